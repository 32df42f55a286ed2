/*
 * state.c - see state.h.  Owns the engine; the ready list's links lie in the
 * calls, which leave it before they are gone.
 */
#include "state.h"

#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "call.h"
#include "client.h"
#include "error.h"

#define ENGINE "squarecloud.Engine"
#define PATIENCE_MS 250
#define HOOK_EVERY (SQ_SECOND / 4)

/* Their addresses are keys in the registry, each of a weak table. */
static const char engine_key, listeners_key, tasks_key;

/* ---- making and ending ------------------------------------------------ */

static int mm_gc(lua_State *L) {
  struct sq_state *s = lua_touserdata(L, 1);
  struct sq_engine *e = s->engine;
  s->engine = NULL;
  sq_engine_free(e);
  return 0;
}

static void push_weak_table(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

static void make_table(lua_State *L, const void *key) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) != LUA_TTABLE) {
    push_weak_table(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  }
  lua_pop(L, 1);
}

void sq_state_setup(lua_State *L) {
  luaL_newmetatable(L, ENGINE);
  lua_pushcfunction(L, mm_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  make_table(L, &engine_key);
  make_table(L, &listeners_key);
  make_table(L, &tasks_key);
}

void sq_state_push_tasks(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &tasks_key);
}

static struct sq_state *make(lua_State *L) {
  struct sq_failure f;
  struct sq_state *s = lua_newuserdatauv(L, sizeof *s, 0);
  memset(s, 0, sizeof *s);
  sq_list_init(&s->ready);
  sq_list_init(&s->failures);
  sq_list_init(&s->doomed);
  luaL_setmetatable(L, ENGINE);
  s->engine = sq_engine_new(&f);
  if (!s->engine) {
    sq_error_push(L, &f, "Client");
    lua_error(L);
  }
  return s;
}

struct sq_state *sq_state_push(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &engine_key);
  if (lua_rawgeti(L, -1, 1) == LUA_TUSERDATA) {
    struct sq_state *s = lua_touserdata(L, -1);
    if (s->engine && !sq_engine_is_foreign(s->engine)) {
      lua_remove(L, -2);
      return s;
    }
  }
  lua_pop(L, 1);
  struct sq_state *s = make(L);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, 1);
  lua_remove(L, -2);
  return s;
}

void sq_state_check(lua_State *L, const struct sq_state *s) {
  if (!s->engine) luaL_error(L, "the client is closed");
  if (sq_engine_is_foreign(s->engine))
    luaL_error(L, "not usable after fork: make a new client");
  if (s->in_callback)
    luaL_error(L, "cannot be called from a progress or trace function");
}

/* ---- what has come ---------------------------------------------------- */

void sq_state_ready(struct sq_state *s, struct sq_call *call) {
  if (call->task && !sq_link_is_in(&call->ready))
    sq_list_append(&s->ready, &call->ready);
}

static void on_event(void *context, struct sq_op *op, unsigned events,
                     const struct sq_progress *progress) {
  struct sq_state *s = context;
  struct sq_call *call = sq_op_user(op);
  call->events |= events;
  call->progress = *progress;
  sq_state_ready(s, call);
}

void sq_state_collect(struct sq_state *s) {
  s->held = false;
  sq_engine_take(s->engine, on_event, s);
}

void sq_state_settle(struct sq_state *s) {
  bool held = !sq_list_is_empty(&s->ready);
  if (held == s->held || !s->engine || sq_engine_is_foreign(s->engine)) return;
  s->held = held;
  sq_engine_hold(s->engine, held);
}

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* False when a hook raised; what it raised is on the top. */
static bool let_hooks_run(lua_State *L, struct sq_state *s, int64_t now) {
  s->hook_at = now;
  sq_state_settle(s);
  lua_pushcfunction(L, nothing);
  return lua_pcall(L, 0, 0, 0) == LUA_OK;
}

bool sq_state_wait(lua_State *L, struct sq_state *s, int64_t nanoseconds) {
  struct pollfd p = {sq_engine_fd(s->engine), POLLIN, 0};
  int64_t ms = nanoseconds > 0 ? (nanoseconds + 999999) / 1000000 : 0;
  int n = poll(&p, 1, ms < PATIENCE_MS ? (int)ms : PATIENCE_MS);
  int64_t now = sq_now();
  return (n > 0 && now - s->hook_at < HOOK_EVERY) || let_hooks_run(L, s, now);
}

bool sq_state_breathe(lua_State *L, struct sq_state *s) {
  int64_t now = sq_now();
  return now - s->hook_at < HOOK_EVERY || let_hooks_run(L, s, now);
}

/* ---- trace ------------------------------------------------------------ */

uint64_t sq_state_listen(lua_State *L, struct sq_state *s, int index) {
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &listeners_key);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, (lua_Integer)++s->listeners);
  lua_pop(L, 1);
  return s->listeners;
}

static void set_text(lua_State *L, const char *name, const char *value) {
  if (!value[0]) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static void push_record(lua_State *L, const struct sq_trace *t) {
  lua_createtable(L, 0, 8);
  set_text(L, "event", t->event);
  set_text(L, "operation", t->operation);
  set_text(L, "method", t->method);
  set_text(L, "url", t->url);
  set_text(L, "detail", t->detail);
  lua_pushinteger(L, t->attempt);
  lua_setfield(L, -2, "attempt");
  if (t->http_status) {
    lua_pushinteger(L, t->http_status);
    lua_setfield(L, -2, "http_status");
  }
  if (t->bytes >= 0) {
    lua_pushinteger(L, t->bytes);
    lua_setfield(L, -2, "bytes");
  }
  if (t->seconds >= 0) {
    lua_pushnumber(L, t->seconds);
    lua_setfield(L, -2, "seconds");
  }
  if (t->dropped) {
    lua_pushinteger(L, t->dropped);
    lua_setfield(L, -2, "dropped");
  }
}

/* Stack on entry: ..., client, trace function.  Pops the function. */
static void run(lua_State *L, struct sq_state *s, const struct sq_trace *t) {
  push_record(L, t);
  s->in_callback = true;
  int rc = lua_pcall(L, 1, 0, 0);
  s->in_callback = false;
  if (rc == LUA_OK) return;
  sq_client_trace_off(L, -2);
  sq_error_warn(L,
                "squarecloud: the trace function failed and was turned off: ");
}

/* A hook that waits for its turn, as the interpreter's at Ctrl-C, has it
 * before the function: what it raises there would count as the function's. */
bool sq_state_trace(lua_State *L, struct sq_state *s) {
  struct sq_trace t;
  /* a trace function may fork: then the rest is the parent's */
  while (s->engine && !sq_engine_is_foreign(s->engine) &&
         sq_engine_take_trace(s->engine, &t)) {
    luaL_checkstack(L, 8, NULL);
    if (!let_hooks_run(L, s, sq_now())) return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &listeners_key);
    if (lua_rawgeti(L, -1, (lua_Integer)t.listener) == LUA_TUSERDATA &&
        sq_client_push_trace(L, -1))
      run(L, s, &t);
    lua_pop(L, 2);
  }
  return true;
}

void sq_state_tell(lua_State *L, struct sq_state *s, int index,
                   const struct sq_trace *t) {
  if (!sq_state_trace(L, s)) lua_error(L);
  lua_pushvalue(L, index);
  if (sq_client_push_trace(L, -1)) run(L, s, t);
  lua_pop(L, 1);
}
