/*
 * call.c - see call.h: how a method waits.
 *
 *   method -> sq_call_run -> drive: handle what came; done? -> finish
 *                              ^                   not yet
 *                              +--- wait <------------+
 *
 * Everything a method does after its operation lies in `finish`, so that one
 * way of waiting serves every method.
 */
#include "call.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "error.h"
#include "task.h"

#define CALL "squarecloud.Call"
#define WAIT (-1)

const char sq_no_op;

/* ---- releasing -------------------------------------------------------- */

static void drop_op(struct sq_op **op) {
  struct sq_op *mine = *op;
  *op = NULL;
  if (mine) sq_op_release(mine);
}

static void release(struct sq_call *call) {
  sq_link_leave(&call->ready);
  sq_link_leave(&call->siblings);
  sq_link_leave(&call->joined);
  drop_op(&call->op);
  sq_state_settle(call->state);
}

/* A second time does nothing.  At the end of the state it comes before the
 * call is closed, which the task is to hear of all the same. */
static int mm_gc(lua_State *L) {
  struct sq_call *call = lua_touserdata(L, 1);
  if (!call->state) return 0;
  if (call->task) sq_task_orphan(L, call->task, call);
  release(call);
  call->state = NULL;
  return 0;
}

static int mm_close(lua_State *L) {
  struct sq_call *call = lua_touserdata(L, 1);
  if (call->task) sq_task_lost(L, call->task, call);
  call->task = NULL;
  return mm_gc(L);
}

void sq_call_setup(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__close", mm_close}, {"__gc", mm_gc}, {NULL, NULL}};
  luaL_newmetatable(L, CALL);
  luaL_setfuncs(L, metamethods, 0);
  lua_pop(L, 1);
}

/* The operation goes; what a POST may have changed stays so. */
void sq_call_abandon(struct sq_call *call) {
  call->closed = true;
  sq_link_leave(&call->siblings);
  if (call->finishing)
    return; /* a finalizer closes its client: it is reading */
  if (call->task) sq_call_wake(call, 0);
  if (!call->op) return;
  bool done = (call->events & SQ_EVENT_DONE) != 0;
  call->sent = done ? sq_op_failure(call->op)->sent : sq_op_changes(call->op);
  drop_op(&call->op);
}

/* ---- driving ---------------------------------------------------------- */

struct sq_call *sq_call_push(lua_State *L, struct sq_state *state,
                             const char *name, const char *about, int keeps) {
  keeps = lua_absindex(L, keeps);
  struct sq_call *call = lua_newuserdatauv(L, sizeof *call, SQ_CALL_VALUES);
  memset(call, 0, sizeof *call);
  size_t n = strlen(name);
  memcpy(call->operation, name, n); /* ours: it fits */
  if (about[0]) call->operation[n++] = ' ';
  sq_show(call->operation + n, sizeof call->operation - n, about,
          strlen(about));
  luaL_setmetatable(L, CALL);
  call->state = state;
  lua_pushvalue(L, keeps);
  lua_setiuservalue(L, -2, SQ_CALL_KEEPS);
  lua_toclose(L, -1);
  return call;
}

/* Runs the progress function at the top with what is known; true when the
 * operation is to go on.  What it raises takes its place. */
static bool run_progress(lua_State *L, struct sq_call *call, int index) {
  struct sq_progress p = call->progress;
  struct sq_state *s = call->state; /* the function may close the coroutine */
  lua_pushinteger(L, p.done);
  if (p.total >= 0)
    lua_pushinteger(L, p.total);
  else
    lua_pushnil(L);
  lua_pushnumber(L, p.rate);
  s->in_callback = true;
  int rc = lua_pcall(L, 3, 1, 0);
  s->in_callback = false;
  if (rc != LUA_OK) {
    call->raises = true;
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, SQ_CALL_PROGRESS);
  }
  return rc == LUA_OK && (!lua_isboolean(L, -1) || lua_toboolean(L, -1));
}

void sq_call_progress(lua_State *L, struct sq_call *call, int index) {
  if (!(call->events & SQ_EVENT_PROGRESS)) return;
  call->events &= ~(unsigned)SQ_EVENT_PROGRESS;
  bool go_on = true;
  if (lua_getiuservalue(L, index, SQ_CALL_PROGRESS) == LUA_TFUNCTION &&
      !call->raises)
    go_on = run_progress(L, call, index);
  lua_pop(L, 1);
  if (!call->op) return; /* closed meanwhile, by it or a finalizer */
  if (!go_on)
    sq_op_cancel(call->op);
  else if (call->progress.done == call->progress.total)
    sq_op_go(call->op);
}

bool sq_call_is_over(const struct sq_call *call) {
  return call->closed || call->raises || (call->events & SQ_EVENT_DONE) != 0;
}

void sq_call_wake(struct sq_call *call, unsigned events) {
  call->events |= events;
  if (!call->state) return;
  sq_state_ready(call->state, call);
  sq_state_settle(call->state);
}

static int drive(lua_State *L, int index);

static int k_drive(lua_State *L, int status, lua_KContext index) {
  struct sq_call *call = lua_touserdata(L, (int)index);
  (void)status;
  if (!call->state || !sq_task_may_yield(L, call->state)) /* by a stranger */
    return lua_yieldk(L, 0, index, k_drive);
  sq_link_leave(&call->ready);
  call->task = NULL;
  return drive(L, (int)index);
}

/* Does what there is to do; the method's number of results, or WAIT when there
 * is nothing else to do. */
static int go_on(lua_State *L, struct sq_call *call, int index) {
  sq_call_progress(L, call, index);
  if (call->raises) {
    lua_getiuservalue(L, index, SQ_CALL_PROGRESS);
    return lua_error(L); /* the call's __close cancels */
  }
  if (call->closed)
    return sq_call_error(L, call, SQ_CLOSED, "the client was closed");
  if (!(call->events & SQ_EVENT_DONE)) return WAIT;
  call->events = 0;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  call->finishing = true;
  int n = call->finish(L, call, index);
  call->finishing = false;
  return n;
}

/* A hook raised: in a coroutine of somebody's, nobody might ever close the
 * call, so its operation ends here. */
static int interrupted(lua_State *L, struct sq_call *call) {
  drop_op(&call->op);
  return lua_error(L);
}

static int drive(lua_State *L, int index) {
  struct sq_call *call = lua_touserdata(L, index);
  struct sq_state *s = call->state;
  for (;;) {
    int n = go_on(L, call, index);
    if (n != WAIT) return n;
    if (sq_task_may_yield(L, s)) return sq_task_yield(L, call, index, k_drive);
    if (sq_engine_is_foreign(s->engine)) /* a progress function forked */
      return luaL_error(L, "not usable after fork: make a new client");
    sq_state_collect(s);
    bool go = sq_state_trace(L, s);
    if (!go) return interrupted(L, call);
    if (call->steps && sq_task_resume_ready(L, s, 1) > 0)
      go = sq_state_breathe(L, s);
    else if (!sq_call_is_over(call) && !call->events)
      go = sq_state_wait(L, s, SQ_SECOND);
    if (!go) return interrupted(L, call);
  }
}

/* WAIT, or nil and an error when the operation cannot begin. */
static int begin(lua_State *L, struct sq_call *call, struct sq_op *op) {
  struct sq_failure f;
  if (op == SQ_NO_OP) return WAIT;
  if (!op) {
    sq_failure_set(&f, SQ_NETWORK, "out of memory");
    return sq_error_return(L, &f, call->operation);
  }
  call->op = op;
  sq_op_set_user(op, call);
  if (!sq_op_submit(call->state->engine, op, &f))
    return sq_error_return(L, &f, call->operation);
  return WAIT;
}

int sq_call_run(lua_State *L, int index, struct sq_op *op, sq_finish finish) {
  struct sq_call *call = lua_touserdata(L, index);
  index = lua_absindex(L, index);
  if (sq_task_may_yield(L, call->state) &&
      sq_task_was_cancelled(call->state)) { /* nothing is begun any more */
    if (op && op != SQ_NO_OP) sq_op_release(op);
    return sq_task_yield(L, call, index, k_drive);
  }
  call->finish = finish;
  int n = begin(L, call, op);
  return n == WAIT ? drive(L, index) : n;
}

/* ---- failing ---------------------------------------------------------- */

int sq_call_failed(lua_State *L, struct sq_call *call) {
  struct sq_failure f = *sq_op_failure(call->op);
  f.sent = f.sent || call->sent;
  return sq_error_return(L, &f, call->operation);
}

int sq_call_error(lua_State *L, struct sq_call *call, enum sq_kind kind,
                  const char *format, ...) {
  struct sq_failure f;
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  sq_failure_set(&f, kind, "%s", text);
  f.sent = call->sent;
  if (call->op) { /* what it came to before this was found wrong */
    f.http_status = sq_op_failure(call->op)->http_status;
    f.sent = f.sent || sq_op_failure(call->op)->sent;
  }
  return sq_error_return(L, &f, call->operation);
}
