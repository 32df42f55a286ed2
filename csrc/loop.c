/*
 * loop.c - see loop.h.  Owns nothing.  A turn is: take what has come, run
 * trace functions, resume tasks.
 */
#include "loop.h"

#include <lauxlib.h>

#include "base/clock.h"
#include "client.h"
#include "error.h"
#include "task.h"

enum { STEP_EVENTS = 100, STEP_EVENTS_MAX = 1000000 };

static int m_spawn(lua_State *L) {
  sq_task_spawn(L, "spawn");
  return 1;
}

/* ---- step, run -------------------------------------------------------- */

static struct sq_state *check_outside(lua_State *L, const char *method) {
  struct sq_client *c = sq_client_check(L, 1);
  if (c->state->current)
    luaL_error(L, "%s: cannot be called inside a task", method);
  return c->state;
}

static double read_seconds(lua_State *L, const char *method, double seconds) {
  if (!(seconds >= 0))
    luaL_error(L, "%s: seconds must not be negative", method);
  return seconds;
}

static int take_turn(lua_State *L, struct sq_state *s, int most) {
  sq_state_collect(s);
  if (!sq_state_trace(L, s)) return lua_error(L);
  sq_state_check(L, s); /* a trace function may have forked, */
  int n = sq_task_resume_ready(L, s, most);
  sq_state_check(L, s); /* or a progress function, or a task */
  return n;
}

/* A failure that nobody waits for must not go unheard. */
static void warn_of_failures(lua_State *L, struct sq_state *s) {
  while (sq_task_push_failure(L, s)) sq_task_warn(L);
}

/* client:step([seconds[, events]]) */
static int m_step(lua_State *L) {
  struct sq_state *s = check_outside(L, "step");
  double seconds = read_seconds(L, "step", luaL_optnumber(L, 2, 0));
  lua_Integer most = luaL_optinteger(L, 3, STEP_EVENTS);
  if (most < 1) return luaL_error(L, "step: events must be at least 1");
  if (most > STEP_EVENTS_MAX) most = STEP_EVENTS_MAX;
  int64_t end = sq_now() + sq_nanoseconds(seconds);
  while (take_turn(L, s, (int)most) == 0 && s->unfinished > 0) {
    int64_t left = end - sq_now();
    if (left <= 0) break;
    if (!sq_state_wait(L, s, left)) return lua_error(L);
  }
  sq_state_settle(s);
  warn_of_failures(L, s);
  lua_pushinteger(L, s->unfinished);
  return 1;
}

/* client:run(f, ...) */
static int m_run(lua_State *L) {
  enum { TASK = 2 };
  struct sq_state *s = check_outside(L, "run");
  sq_task_spawn(L, "run");
  while (s->unfinished > 0) {
    if (!sq_state_breathe(L, s)) return lua_error(L);
    if (take_turn(L, s, STEP_EVENTS) == 0 && s->unfinished > 0 &&
        !sq_state_wait(L, s, SQ_SECOND))
      return lua_error(L);
  }
  sq_state_settle(s);
  bool raises = sq_task_push_error(L, TASK) || sq_task_push_failure(L, s);
  warn_of_failures(L, s);
  return raises ? lua_error(L) : sq_task_give(L, TASK);
}

/* ---- sleep ------------------------------------------------------------ */

static int finish_sleep(lua_State *L, struct sq_call *call, int index) {
  (void)index;
  if (sq_op_failure(call->op)->kind != SQ_OK) return sq_call_failed(L, call);
  lua_pushboolean(L, 1);
  return 1;
}

/* client:sleep(seconds) */
static int m_sleep(lua_State *L) {
  struct sq_client *c = sq_client_check(L, 1);
  double seconds = read_seconds(L, "sleep", luaL_checknumber(L, 2));
  struct sq_call *call = sq_call_push(L, c->state, "sleep", "", 1);
  int index = lua_gettop(L);
  sq_client_check(L, 1); /* a finalizer may close it */
  sq_list_append(&c->calls, &call->siblings);
  return sq_call_run(L, index, sq_timer_new(seconds), finish_sleep);
}

/* ---- what event loops ask --------------------------------------------- */

static int m_pending(lua_State *L) {
  lua_pushinteger(L, sq_client_check(L, 1)->state->unfinished);
  return 1;
}

static int m_pollfd(lua_State *L) {
  lua_pushinteger(L, sq_engine_fd(sq_client_check(L, 1)->state->engine));
  return 1;
}

static int m_events(lua_State *L) {
  sq_client_check(L, 1);
  lua_pushliteral(L, "r");
  return 1;
}

static int m_timeout(lua_State *L) {
  sq_client_check(L, 1);
  lua_pushnil(L);
  return 1;
}

void sq_loop_add(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"spawn", m_spawn},  {"run", m_run},         {"step", m_step},
      {"sleep", m_sleep},  {"pending", m_pending}, {"pollfd", m_pollfd},
      {"getfd", m_pollfd}, {"events", m_events},   {"timeout", m_timeout},
      {NULL, NULL}};
  luaL_setfuncs(L, methods, 0);
}
