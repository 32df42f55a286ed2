/*
 * task.c - see task.h.
 *
 *   spawn -> running -> done        wait() gives what it returned
 *               |  +--> failed      wait() raises what it raised
 *               +-----> cancelled   wait() gives nil and an error
 *
 * A task that is on the C stack (`active`: it runs, or one that it spawned
 * does) cannot be taken down at once; it is marked, and taken down when it
 * next yields.  Its body is never resumed again.
 */
#include "task.h"

#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "client.h"
#include "error.h"
#include "object.h"

enum { TASK_CLIENT = 1, TASK_THREAD, TASK_OUTCOME, TASK_TRACEBACK };
enum { STEP_EVENTS = 100 };
enum status { RUNNING, DONE, FAILED, CANCELLED };

struct sq_task {
  struct sq_state *state; /* null before it is spawned, and when collected */
  lua_State *co;          /* null once it is over */
  enum status status;
  enum sq_kind why; /* it was cancelled: SQ_CANCELLED or SQ_CLOSED */
  bool active;
  bool waited;             /* somebody has, or had, its failure */
  struct sq_call *waiting; /* what it yielded for */
  struct sq_link siblings; /* in its client's list while it runs */
  struct sq_link waiters;  /* calls of wait() for it */
  struct sq_link failed;   /* in the state's list until somebody is told */
};

static const char *const fields[] = {"status", "traceback", NULL};

static struct sq_task *check(lua_State *L, int index) {
  return luaL_checkudata(L, index, SQ_TASK);
}

/* ---- finding each other ----------------------------------------------- */

/* Pushes the task's object; found by its address in a weak table. */
static void push_task(lua_State *L, struct sq_task *t) {
  sq_state_push_tasks(L);
  lua_rawgetp(L, -1, t);
  lua_remove(L, -2);
}

/* The client holds its running tasks: client's table[task] = true or nil. */
static void hold(lua_State *L, int task, bool held) {
  task = lua_absindex(L, task);
  lua_getiuservalue(L, task, TASK_CLIENT);
  if (lua_getiuservalue(L, -1, SQ_CLIENT_TASKS) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, -3, SQ_CLIENT_TASKS);
  }
  lua_pushvalue(L, task);
  if (held)
    lua_pushboolean(L, 1);
  else
    lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

/* ---- endings ---------------------------------------------------------- */

static void reset_thread(lua_State *L, lua_State *co) {
#if defined(LUA_VERSION_RELEASE_NUM) && LUA_VERSION_NUM * 100 + 6 <= \
                                            LUA_VERSION_RELEASE_NUM
  lua_closethread(co, L);
#else
  (void)L;
  lua_resetthread(co);
#endif
}

static void wake_waiters(struct sq_task *t) {
  struct sq_link *link;
  while ((link = sq_list_pop(&t->waiters))) {
    struct sq_call *call = SQ_HOLDER(link, struct sq_call, joined);
    t->waited = t->waited || t->status == FAILED;
    sq_call_wake(call, SQ_EVENT_DONE);
  }
}

/* It is over; `status` says how.  Stack: the task at `index`. */
static void end(lua_State *L, struct sq_task *t, int index,
                enum status status) {
  t->status = status;
  t->state->unfinished--;
  sq_link_leave(&t->siblings);
  hold(L, index, false);
  wake_waiters(t);
  if (status == FAILED && !t->waited)
    sq_list_append(&t->state->failures, &t->failed);
}

/* Runs the body's <close> variables, and gives up the coroutine.  What they
 * raise has nobody to go to. */
static void take_down(lua_State *L, struct sq_task *t, int index) {
  lua_State *co = t->co;
  index = lua_absindex(L, index);
  t->co = NULL;
  t->waiting = NULL;
  if (!co) return;
  reset_thread(L, co);
  lua_pushnil(L);
  lua_setiuservalue(L, index, TASK_THREAD);
}

/* Cancels from outside (or from within: then it goes on to its next yield,
 * and no further). */
static void cancel(lua_State *L, struct sq_task *t, int index,
                   enum sq_kind why) {
  if (t->status != RUNNING) return;
  t->why = why;
  end(L, t, index, CANCELLED);
  if (!t->active) take_down(L, t, index);
}

void sq_task_end_all(lua_State *L, struct sq_link *tasks) {
  while (!sq_list_is_empty(tasks)) {
    struct sq_task *t = SQ_HOLDER(tasks->next, struct sq_task, siblings);
    push_task(L, t);
    if (lua_isnil(L, -1)) /* being collected as well: its own __gc does it */
      sq_link_leave(&t->siblings);
    else
      cancel(L, t, -1, SQ_CLOSED);
    lua_pop(L, 1);
  }
}

/* ---- resuming --------------------------------------------------------- */

/* What the body raised, on the top, becomes the outcome. */
static void fail(lua_State *L, struct sq_task *t, int index) {
  lua_setiuservalue(L, index, TASK_OUTCOME);
  luaL_traceback(L, t->co, NULL, 0);
  lua_setiuservalue(L, index, TASK_TRACEBACK);
  end(L, t, index, FAILED);
  take_down(L, t, index);
}

static void succeed(lua_State *L, struct sq_task *t, int index, int count) {
  lua_createtable(L, count, 1);
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
  for (int i = 1; i <= count; i++) {
    lua_pushvalue(t->co, i - count - 1);
    lua_xmove(t->co, L, 1);
    lua_rawseti(L, -2, i);
  }
  lua_setiuservalue(L, index, TASK_OUTCOME);
  end(L, t, index, DONE);
  take_down(L, t, index);
}

/* Stack: the task on the top; its arguments are on its coroutine. */
static void resume(lua_State *L, struct sq_task *t, int arguments) {
  int index = lua_gettop(L), count = 0;
  struct sq_state *s = t->state;
  struct sq_task *outer = s->current;
  lua_State *co = t->co;
  luaL_checkstack(L, 8, "too many tasks in one another");
  t->waiting = NULL;
  t->active = true;
  s->current = t;
  int rc = lua_resume(co, L, arguments, &count);
  s->current = outer;
  t->active = false;
  if (t->status != RUNNING) { /* cancelled meanwhile */
    take_down(L, t, index);
  } else if (rc == LUA_YIELD && !t->waiting) {
    lua_pushliteral(L, "a task must not yield by itself");
    fail(L, t, index);
  } else if (rc == LUA_OK) {
    succeed(L, t, index, count);
  } else if (rc != LUA_YIELD) {
    lua_xmove(co, L, 1);
    fail(L, t, index);
  }
}

bool sq_task_may_yield(lua_State *L, const struct sq_state *s) {
  return s->current && s->current->co == L && lua_isyieldable(L);
}

int sq_task_yield(lua_State *L, struct sq_call *call, int index,
                  lua_KFunction continuation) {
  call->task = call->state->current;
  call->index = index;
  call->task->waiting = call;
  return lua_yieldk(L, 0, (lua_KContext)index, continuation);
}

/* Something has come for the call: its progress function runs here, on the
 * thread that steps; the task is resumed when that is not all. */
static void handle(lua_State *L, struct sq_call *call) {
  struct sq_task *t = call->task;
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  push_task(L, t);
  lua_checkstack(t->co, 1);
  lua_pushvalue(t->co, call->index);
  lua_xmove(t->co, L, 1); /* the call, so that it stays alive */
  sq_call_progress(L, call, top + 2);
  if (t->status == RUNNING && t->waiting == call && sq_call_is_over(call)) {
    lua_settop(L, top + 1);
    resume(L, t, 0);
  }
  lua_settop(L, top);
}

int sq_task_resume_ready(lua_State *L, struct sq_state *s, int most) {
  struct sq_link others, *link;
  int handled = 0;
  sq_list_init(&others);
  while (handled < most && (link = sq_list_pop(&s->ready))) {
    struct sq_call *call = SQ_HOLDER(link, struct sq_call, ready);
    if (!call->task) { /* somebody blocks for it further up the C stack */
      sq_list_append(&others, link);
    } else {
      handle(L, call);
      handled++;
    }
  }
  while ((link = sq_list_pop(&others))) sq_list_append(&s->ready, link);
  return handled;
}

/* ---- spawn ------------------------------------------------------------ */

static struct sq_task *push_new(lua_State *L, struct sq_client *c) {
  struct sq_task *t = lua_newuserdatauv(L, sizeof *t, 4);
  memset(t, 0, sizeof *t);
  sq_list_init(&t->waiters);
  luaL_setmetatable(L, SQ_TASK);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, TASK_CLIENT);
  lua_State *co = lua_newthread(L);
  lua_setiuservalue(L, -2, TASK_THREAD);
  sq_state_push_tasks(L);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, t);
  lua_pop(L, 1);
  hold(L, -1, true);
  t->co = co;
  t->state = c->state;
  t->state->unfinished++;
  sq_list_append(&c->tasks, &t->siblings);
  return t;
}

/* client:spawn(f, ...) at 1, 2, 3...; leaves the task alone on the stack. */
static struct sq_task *spawn(lua_State *L, const char *method) {
  struct sq_client *c = sq_client_check(L, 1);
  if (!lua_isfunction(L, 2))
    luaL_error(L, "%s: expected a function, got %s", method,
               luaL_typename(L, 2));
  int arguments = lua_gettop(L) - 2;
  struct sq_task *t = push_new(L, c);
  lua_insert(L, 2);
  if (!lua_checkstack(t->co, arguments + 1))
    luaL_error(L, "%s: too many arguments", method);
  lua_xmove(L, t->co, arguments + 1);
  resume(L, t, arguments);
  return t;
}

static int m_spawn(lua_State *L) {
  spawn(L, "spawn");
  return 1;
}

/* ---- wait ------------------------------------------------------------- */

/* What became of the task at `index`: pushes its results, or raises. */
static int give(lua_State *L, struct sq_task *t, int index) {
  struct sq_failure f;
  if (t->status == CANCELLED) {
    sq_failure_set(&f, t->why, "the task was %s",
                   t->why == SQ_CLOSED ? "closed with its client"
                                       : "cancelled");
    return sq_error_return(L, &f, NULL);
  }
  lua_getiuservalue(L, index, TASK_OUTCOME);
  if (t->status == FAILED) {
    t->waited = true;
    sq_link_leave(&t->failed);
    return lua_error(L);
  }
  int outcome = lua_gettop(L);
  lua_getfield(L, outcome, "n");
  int count = (int)lua_tointeger(L, -1);
  luaL_checkstack(L, count, "too many results");
  for (int i = 1; i <= count; i++) lua_rawgeti(L, outcome, i);
  return count;
}

static int finish_wait(lua_State *L, struct sq_call *call, int index) {
  lua_getiuservalue(L, index, SQ_CALL_KEEPS);
  struct sq_task *t = lua_touserdata(L, -1);
  if (t->status != RUNNING) return give(L, t, lua_gettop(L));
  return sq_call_error(L, call, SQ_TIMEOUT, "the task is still running");
}

/* task:wait([seconds]) */
static int m_wait(lua_State *L) {
  struct sq_task *t = check(L, 1);
  double seconds = luaL_optnumber(L, 2, -1);
  if (lua_gettop(L) >= 2 && !lua_isnil(L, 2) && !(seconds >= 0))
    return luaL_error(L, "wait: seconds must not be negative");
  if (t->status != RUNNING) return give(L, t, 1);
  struct sq_state *s = t->state;
  sq_state_check(L, s);
  if (s->current == t) return luaL_error(L, "a task cannot wait for itself");
  if (s->current && !sq_task_may_yield(L, s))
    return luaL_error(L, "wait: not in a coroutine of your own inside a task");
  struct sq_call *call = sq_call_push(L, s, "wait", "", 1);
  call->steps = true;
  sq_list_append(&t->waiters, &call->joined);
  return sq_call_run(L, lua_gettop(L),
                     seconds >= 0 ? sq_timer_new(seconds) : SQ_NO_OP,
                     finish_wait);
}

static int m_cancel(lua_State *L) {
  struct sq_task *t = check(L, 1);
  if (t->status == RUNNING) {
    sq_state_check(L, t->state);
    cancel(L, t, 1, SQ_CANCELLED);
  }
  return 0;
}

/* ---- step, run -------------------------------------------------------- */

/* A failure that nobody waits for must not go unheard. */
static void warn_of_failures(lua_State *L, struct sq_state *s) {
  struct sq_link *link;
  while ((link = sq_list_pop(&s->failures))) {
    struct sq_task *t = SQ_HOLDER(link, struct sq_task, failed);
    push_task(L, t);
    lua_getiuservalue(L, -1, TASK_OUTCOME);
    sq_error_warn(L, "squarecloud: a task failed and nobody waited for it: ");
    lua_pop(L, 1);
  }
}

static struct sq_client *check_outside(lua_State *L, const char *method) {
  struct sq_client *c = sq_client_check(L, 1);
  if (c->state->current) luaL_error(L, "%s: not inside a task", method);
  return c;
}

static int take_turn(lua_State *L, struct sq_state *s, int most) {
  sq_state_collect(s);
  sq_state_trace(L, s);
  return sq_task_resume_ready(L, s, most);
}

/* client:step([seconds[, events]]) */
static int m_step(lua_State *L) {
  struct sq_state *s = check_outside(L, "step")->state;
  int64_t end = sq_now() + sq_nanoseconds(luaL_optnumber(L, 2, 0));
  lua_Integer most = luaL_optinteger(L, 3, STEP_EVENTS);
  if (most < 1) return luaL_error(L, "step: at least one event is handled");
  while (take_turn(L, s, most < 1000000 ? (int)most : 1000000) == 0 &&
         s->unfinished > 0 && sq_now() < end)
    sq_state_wait(L, s, end - sq_now());
  sq_state_settle(s);
  warn_of_failures(L, s);
  lua_pushinteger(L, s->unfinished);
  return 1;
}

/* Raises the first failure that nobody waited for. */
static void raise_failures(lua_State *L, struct sq_state *s) {
  struct sq_link *link = sq_list_pop(&s->failures);
  if (!link) return;
  struct sq_task *t = SQ_HOLDER(link, struct sq_task, failed);
  t->waited = true;
  push_task(L, t);
  lua_getiuservalue(L, -1, TASK_OUTCOME);
  lua_error(L);
}

/* client:run(f, ...) */
static int m_run(lua_State *L) {
  struct sq_state *s = check_outside(L, "run")->state;
  struct sq_task *t = spawn(L, "run");
  while (s->unfinished > 0)
    if (take_turn(L, s, STEP_EVENTS) == 0 && s->unfinished > 0)
      sq_state_wait(L, s, SQ_SECOND);
  sq_state_settle(s);
  if (t->status != FAILED) raise_failures(L, s);
  return give(L, t, 2);
}

/* ---- sleep, and what event loops ask ---------------------------------- */

static int finish_sleep(lua_State *L, struct sq_call *call, int index) {
  (void)index;
  if (sq_op_failure(call->op)->kind != SQ_OK) return sq_call_failed(L, call);
  lua_pushboolean(L, 1);
  return 1;
}

/* client:sleep(seconds) */
static int m_sleep(lua_State *L) {
  struct sq_client *c = sq_client_check(L, 1);
  double seconds = luaL_checknumber(L, 2);
  if (!(seconds >= 0)) return luaL_error(L, "sleep: seconds, not negative");
  struct sq_call *call = sq_call_push(L, c->state, "sleep", "", 1);
  sq_list_append(&c->calls, &call->siblings);
  return sq_call_run(L, lua_gettop(L), sq_timer_new(seconds), finish_sleep);
}

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

void sq_tasks_add(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"spawn", m_spawn},     {"run", m_run},       {"step", m_step},
      {"sleep", m_sleep},     {"pending", m_pending}, {"pollfd", m_pollfd},
      {"getfd", m_pollfd},    {"events", m_events}, {"timeout", m_timeout},
      {NULL, NULL}};
  luaL_setfuncs(L, methods, 0);
}

/* ---- the class -------------------------------------------------------- */

static void get(lua_State *L, int index, int field) {
  static const char *const names[] = {"running", "done", "failed",
                                      "cancelled"};
  struct sq_task *t = lua_touserdata(L, index);
  if (field == 0)
    lua_pushstring(L, names[t->status]);
  else
    lua_getiuservalue(L, index, TASK_TRACEBACK);
}

static int mm_tostring(lua_State *L) {
  check(L, 1);
  lua_settop(L, 1);
  get(L, 1, 0);
  lua_pushfstring(L, SQ_TASK " (%s): %p", lua_tostring(L, -1),
                  lua_topointer(L, 1));
  return 1;
}

/* Only a task whose client is collected with it can be running here. */
static int mm_gc(lua_State *L) {
  struct sq_task *t = check(L, 1);
  struct sq_link *link;
  sq_link_leave(&t->siblings);
  sq_link_leave(&t->failed);
  while ((link = sq_list_pop(&t->waiters)))
    ;
  if (t->state && t->status == RUNNING) {
    t->status = CANCELLED;
    t->why = SQ_CLOSED;
    t->state->unfinished--;
    take_down(L, t, 1);
  }
  t->state = NULL;
  return 0;
}

void sq_task_setup(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"wait", m_wait}, {"cancel", m_cancel}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__tostring", mm_tostring}, {"__gc", mm_gc}, {NULL, NULL}};
  static const struct sq_record_class class = {SQ_TASK, fields, get, methods,
                                               metamethods};
  sq_record_setup(L, &class);
}
