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

#include "client.h"
#include "error.h"
#include "object.h"

enum { TASK_CLIENT = 1, TASK_THREAD, TASK_OUTCOME, TASK_TRACEBACK };
enum { NESTED_MAX = 50 }; /* take-downs within take-downs, on the C stack */
enum status { RUNNING, DONE, FAILED, CANCELLED };

struct sq_task {
  struct sq_state *state; /* null before it is spawned, and when collected */
  lua_State *co;          /* null when nothing is to be taken down */
  enum status status;
  enum sq_kind why; /* it was cancelled: SQ_CANCELLED or SQ_CLOSED */
  bool active;
  bool waited;             /* somebody has, or had, its failure */
  struct sq_call *waiting; /* what it yielded for */
  struct sq_link siblings; /* in its client's list while it runs */
  struct sq_link waiters;  /* calls of wait() for it */
  struct sq_link last;     /* in the state's `failures` until somebody is
                              told, or in its `doomed` */
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

/* Makes the task on the top be found. */
static void remember(lua_State *L, struct sq_task *t) {
  sq_state_push_tasks(L);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, t);
  lua_pop(L, 1);
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

static int reset_thread(lua_State *L, lua_State *co) {
#if defined(LUA_VERSION_RELEASE_NUM) && \
    LUA_VERSION_NUM * 100 + 6 <= LUA_VERSION_RELEASE_NUM
  return lua_closethread(co, L);
#else
  (void)L;
  return lua_resetthread(co);
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

/* It is over; `status` says how.  Stack: the task at `index`; 0: it is being
 * collected, and nowhere to be found.  A failure that nobody waits for is kept
 * until it is told. */
static void end(lua_State *L, struct sq_task *t, int index,
                enum status status) {
  t->status = status;
  t->state->unfinished--;
  sq_link_leave(&t->siblings);
  wake_waiters(t);
  if (status == FAILED && !t->waited)
    sq_list_append(&t->state->failures, &t->last);
  else if (index != 0)
    hold(L, index, false);
}

/* Somebody is told of the failure. */
static void heard(lua_State *L, struct sq_task *t, int index) {
  t->waited = true;
  if (!sq_link_is_in(&t->last)) return;
  sq_link_leave(&t->last);
  hold(L, index, false);
}

/* Runs the body's <close> variables, and gives up the coroutine.  They are
 * as good as inside the task.  What they raise can only be warned of. */
static void take_down(lua_State *L, struct sq_task *t, int index) {
  struct sq_state *s = t->state;
  struct sq_task *outer = s->current;
  lua_State *co = t->co;
  index = lua_absindex(L, index);
  if (!co) return;
  bool unwinds = lua_status(co) == LUA_YIELD;
  t->co = NULL;
  t->waiting = NULL;
  s->current = t;
  s->nested++;
  int rc = reset_thread(L, co);
  s->nested--;
  s->current = outer;
  if (rc != LUA_OK && unwinds) {
    lua_xmove(co, L, 1);
    sq_error_warn(L, "squarecloud: error while a task was being closed: ");
  }
  lua_pushnil(L);
  lua_setiuservalue(L, index, TASK_THREAD);
}

static void take_down_doomed(lua_State *L, struct sq_state *s) {
  struct sq_link *link;
  while (s->nested == 0 && (link = sq_list_pop(&s->doomed))) {
    struct sq_task *t = SQ_HOLDER(link, struct sq_task, last);
    push_task(L, t);
    if (!lua_isnil(L, -1)) { /* else its own __gc does it */
      hold(L, -1, false);
      take_down(L, t, -1);
    }
    lua_pop(L, 1);
  }
}

/* Cancels from outside, or from within: then it goes on to its next yield,
 * and no further.  A <close> variable may cancel a task whose <close>
 * variable cancels a task ...: past some depth that waits. */
static void cancel(lua_State *L, struct sq_task *t, int index,
                   enum sq_kind why) {
  struct sq_state *s = t->state;
  if (t->status != RUNNING) return;
  t->why = why;
  end(L, t, index, CANCELLED);
  if (t->active) return;
  if (s->nested == NESTED_MAX) {
    hold(L, index, true);
    sq_list_append(&s->doomed, &t->last);
    return;
  }
  take_down(L, t, index);
  take_down_doomed(L, s);
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

/* Ends a task that nobody will resume; what there is to take down, its __gc
 * does. */
static void abandon(lua_State *L, struct sq_task *t, enum sq_kind why) {
  if (t->status != RUNNING) return;
  push_task(L, t);
  bool found = !lua_isnil(L, -1);
  t->why = why;
  end(L, t, found ? lua_gettop(L) : 0, CANCELLED);
  if (found && !t->co) {
    lua_pushnil(L);
    lua_setiuservalue(L, -2, TASK_THREAD);
  }
  lua_pop(L, 1);
}

void sq_task_lost(lua_State *L, struct sq_task *t, const struct sq_call *call) {
  if (t->waiting != call) return;
  t->co = NULL; /* whoever closes it does what take_down would */
  t->waiting = NULL;
  abandon(L, t, SQ_CANCELLED);
}

void sq_task_orphan(lua_State *L, struct sq_task *t,
                    const struct sq_call *call) {
  if (t->waiting == call) abandon(L, t, SQ_CLOSED);
}

/* ---- resuming --------------------------------------------------------- */

/* The coroutine's results, as a table; protected: memory may be short. */
static int f_results(lua_State *L) {
  lua_State *co = lua_touserdata(L, 1);
  int count = lua_gettop(co);
  lua_createtable(L, count, 1);
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
  while (count > 0) {
    lua_xmove(co, L, 1);
    lua_rawseti(L, -2, count--);
  }
  return 1;
}

static int f_traceback(lua_State *L) {
  luaL_traceback(L, lua_touserdata(L, 1), NULL, 0);
  return 1;
}

static int f_yielded(lua_State *L) {
  lua_pushliteral(L, "a task must not call coroutine.yield");
  return 1;
}

/* Pushes f(co), or what it raised. */
static int push_about(lua_State *L, lua_State *co, lua_CFunction f) {
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, co);
  return lua_pcall(L, 1, 1, 0);
}

/* The body has raised, or has yielded by itself: its <close> variables are
 * run, with what it raised on the coroutine's top, and may raise in turn. */
static void unwind(lua_State *L, struct sq_task *t, int index, int rc) {
  push_about(L, t->co, f_traceback);
  lua_setiuservalue(L, index, TASK_TRACEBACK);
  if (rc == LUA_YIELD) {
    push_about(L, t->co, f_yielded);
  } else {
    lua_checkstack(t->co, 1);
    lua_pushvalue(t->co, -1);
    lua_xmove(t->co, L, 1);
  }
  if (reset_thread(L, t->co) != LUA_OK) {
    lua_pop(L, 1);
    lua_xmove(t->co, L, 1);
  }
  lua_setiuservalue(L, index, TASK_OUTCOME);
}

/* Stack: the task on the top; what it is to go on with is on its coroutine.
 * There is room on the stack. */
static void resume(lua_State *L, struct sq_task *t, int arguments) {
  int index = lua_gettop(L), count = 0;
  struct sq_state *s = t->state;
  struct sq_task *outer = s->current;
  t->waiting = NULL;
  t->active = true;
  s->current = t;
  int rc = lua_resume(t->co, L, arguments, &count);
  bool waits = rc == LUA_YIELD && t->waiting;
  if (rc == LUA_OK) {
    rc = push_about(L, t->co, f_results);
    lua_setiuservalue(L, index, TASK_OUTCOME);
  } else if (!waits) {
    unwind(L, t, index, rc);
  }
  t->active = false;
  s->current = outer;
  bool is_over = t->status != RUNNING; /* cancelled meanwhile */
  if (!is_over && waits) return;
  if (!is_over) end(L, t, index, rc == LUA_OK ? DONE : FAILED);
  take_down(L, t, index);
  take_down_doomed(L, s);
}

bool sq_task_may_yield(lua_State *L, const struct sq_state *s) {
  return s->current && s->current->co == L && lua_isyieldable(L);
}

bool sq_task_was_cancelled(const struct sq_state *s) {
  return s->current && s->current->status != RUNNING;
}

int sq_task_yield(lua_State *L, struct sq_call *call, int index,
                  lua_KFunction continuation) {
  struct sq_task *t = call->state->current;
  luaL_checkstack(L, 4, NULL); /* may raise: then the task does not wait yet */
  push_task(L, t);
  lua_setiuservalue(L, index, SQ_CALL_TASK);
  call->task = t;
  call->index = index;
  t->waiting = call;
  return lua_yieldk(L, 0, (lua_KContext)index, continuation);
}

/* Something has come for the call: its progress function runs here, on the
 * thread that steps; the task is resumed when that is not all. */
static void handle(lua_State *L, struct sq_call *call) {
  struct sq_task *t = call->task;
  int top = lua_gettop(L);
  lua_checkstack(t->co, 1);
  lua_pushvalue(t->co, call->index);
  lua_xmove(t->co, L, 1); /* the call, so that it stays alive */
  lua_getiuservalue(L, -1, SQ_CALL_TASK);
  remember(L, t); /* found unreachable, and waited for by a finalizer */
  sq_call_progress(L, call, top + 1);
  lua_settop(L, top + 2);
  if (t->status == RUNNING && t->waiting == call && sq_call_is_over(call))
    resume(L, t, 0);
  lua_settop(L, top);
}

int sq_task_resume_ready(lua_State *L, struct sq_state *s, int most) {
  struct sq_link *link;
  int handled = 0;
  luaL_checkstack(L, 20, NULL); /* before anything is taken */
  for (; handled < most && (link = sq_list_pop(&s->ready)); handled++)
    handle(L, SQ_HOLDER(link, struct sq_call, ready));
  return handled;
}

/* ---- spawn ------------------------------------------------------------ */

/* Pushes a new task for the client at 1, and takes the function at 2 and its
 * arguments off the stack.  What can raise comes first: then it counts. */
static struct sq_task *push_new(lua_State *L, const char *method) {
  int arguments = lua_gettop(L) - 2;
  luaL_checkstack(L, 20, method);
  struct sq_task *t = lua_newuserdatauv(L, sizeof *t, 4);
  memset(t, 0, sizeof *t);
  sq_list_init(&t->waiters);
  luaL_setmetatable(L, SQ_TASK);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, TASK_CLIENT);
  lua_State *co = lua_newthread(L);
  lua_setiuservalue(L, -2, TASK_THREAD);
  remember(L, t);
  hold(L, -1, true);
  if (!lua_checkstack(co, arguments + 1))
    luaL_error(L, "%s: too many arguments", method);
  struct sq_client *c = sq_client_check(L, 1); /* a finalizer may close it */
  t->co = co;
  t->state = c->state;
  t->state->unfinished++;
  sq_list_append(&c->tasks, &t->siblings);
  lua_insert(L, 2);
  lua_xmove(L, co, arguments + 1);
  return t;
}

void sq_task_spawn(lua_State *L, const char *method) {
  sq_client_check(L, 1);
  if (!lua_isfunction(L, 2))
    luaL_error(L, "%s: expected a function, got %s", method,
               luaL_typename(L, 2));
  int arguments = lua_gettop(L) - 2;
  resume(L, push_new(L, method), arguments);
}

/* ---- wait ------------------------------------------------------------- */

void sq_task_warn(lua_State *L) {
  sq_error_warn(L, "squarecloud: a task failed and nobody waited for it: ");
}

bool sq_task_push_error(lua_State *L, int index) {
  struct sq_task *t = check(L, index);
  if (t->status != FAILED) return false;
  heard(L, t, index);
  lua_getiuservalue(L, index, TASK_OUTCOME);
  return true;
}

bool sq_task_push_failure(lua_State *L, struct sq_state *s) {
  struct sq_link *link;
  while ((link = s->failures.next) != &s->failures) {
    struct sq_task *t = SQ_HOLDER(link, struct sq_task, last);
    push_task(L, t);
    if (lua_isnil(L, -1)) { /* being collected: its own __gc warns */
      sq_link_leave(link);
      lua_pop(L, 1);
      continue;
    }
    sq_task_push_error(L, lua_gettop(L));
    lua_remove(L, -2);
    return true;
  }
  return false;
}

int sq_task_give(lua_State *L, int index) {
  struct sq_task *t = check(L, index);
  struct sq_failure f;
  if (t->status == CANCELLED) {
    sq_failure_set(
        &f, t->why, "the task was %s",
        t->why == SQ_CLOSED ? "closed with its client" : "cancelled");
    return sq_error_return(L, &f, NULL);
  }
  if (sq_task_push_error(L, index)) return lua_error(L);
  lua_getiuservalue(L, index, TASK_OUTCOME);
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
  if (t->status != RUNNING) return sq_task_give(L, lua_gettop(L));
  return sq_call_error(L, call, SQ_TIMEOUT, "the task is still running");
}

/* task:wait([seconds]) */
static int m_wait(lua_State *L) {
  struct sq_task *t = check(L, 1);
  double seconds = luaL_optnumber(L, 2, -1);
  if (!lua_isnoneornil(L, 2) && !(seconds >= 0))
    return luaL_error(L, "wait: seconds must not be negative");
  if (t->status != RUNNING) return sq_task_give(L, 1);
  struct sq_state *s = t->state;
  sq_state_check(L, s);
  if (s->current == t) return luaL_error(L, "a task cannot wait for itself");
  if (s->current && !sq_task_may_yield(L, s))
    return luaL_error(
        L, "wait: cannot be called in a coroutine of your own inside a task");
  struct sq_call *call = sq_call_push(L, s, "wait", "", 1);
  if (t->status != RUNNING) return sq_task_give(L, 1); /* by a finalizer */
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

/* ---- the class -------------------------------------------------------- */

static void get(lua_State *L, int index, int field) {
  static const char *const names[] = {"running", "done", "failed", "cancelled"};
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

/* Only a task whose client is collected with it can be running here, or have
 * failed unheard. */
static int mm_gc(lua_State *L) {
  struct sq_task *t = check(L, 1);
  if (!t->state) return 0;
  if (t->status == FAILED && !t->waited && sq_task_push_error(L, 1))
    sq_task_warn(L);
  if (t->status == RUNNING) {
    t->status = CANCELLED;
    t->why = SQ_CLOSED;
    t->state->unfinished--;
  }
  sq_link_leave(&t->siblings);
  sq_link_leave(&t->last);
  while (sq_list_pop(&t->waiters)) continue;
  struct sq_state *s = t->state;
  if (!t->active) take_down(L, t, 1);
  t->state = NULL;
  take_down_doomed(L, s);
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
