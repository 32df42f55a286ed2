/*
 * task.h - the Task: a coroutine of ours that yields where a call would
 * block, and is resumed when what it waits for has come.
 *
 * A running task is kept alive by the client that spawned it, and keeps that
 * client alive (user value 1); 2 is its coroutine, 3 what became of it (a
 * table of results, or what was raised), 4 the traceback.  Tasks are resumed
 * by step, run, and wait outside a task; nowhere else.
 */
#ifndef SQ_TASK_H
#define SQ_TASK_H

#include "call.h"

SQ_HIDDEN_BEGIN

struct sq_task;

void sq_task_setup(lua_State *L);

/* client:spawn(f, ...) at 1, 2, 3...; leaves the client and the task. */
void sq_task_spawn(lua_State *L, const char *method);
/* What became of the finished task at `index`: pushes its results, or
 * raises. */
int sq_task_give(lua_State *L, int index);
/* Pushes what the task at `index` raised, and gives true, when it failed. */
bool sq_task_push_error(lua_State *L, int index);
/* The same for the first failure of a task that nobody was told of. */
bool sq_task_push_failure(lua_State *L, struct sq_state *s);
/* Warns of the failure on the top, and pops it. */
void sq_task_warn(lua_State *L);

/* True when this very coroutine is a task's, and may yield now. */
bool sq_task_may_yield(lua_State *L, const struct sq_state *s);
/* True when the task that runs is over and only has not yielded since. */
bool sq_task_was_cancelled(const struct sq_state *s);
/* The call waits; the task yields.  To be returned at once. */
int sq_task_yield(lua_State *L, struct sq_call *call, int index,
                  lua_KFunction continuation);

/* Resumes tasks for whose calls something has come, at most `most` of them;
 * gives how many. */
int sq_task_resume_ready(lua_State *L, struct sq_state *s, int most);

/* The call's coroutine is being closed while it waits, by somebody else: that
 * cancels the task. */
void sq_task_lost(lua_State *L, struct sq_task *t, const struct sq_call *call);
/* The call is collected while the task waits for it, which can be only at the
 * state's end, or with the task: nothing will ever resume that. */
void sq_task_orphan(lua_State *L, struct sq_task *t,
                    const struct sq_call *call);

/* Ends the tasks in a client's list: it was closed, or collected. */
void sq_task_end_all(lua_State *L, struct sq_link *tasks);

SQ_HIDDEN_END

#endif
