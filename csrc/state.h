/*
 * state.h - a Lua state's one engine, and what its clients share.
 *
 * The userdata "squarecloud.Engine" is made by the first client (or
 * open_zip) and found again through a weak entry in the registry, so that it
 * ends with the last object that keeps it in a user value.  Two more weak
 * tables lie there: from a listener's number to its client, for trace, and
 * from a task's address to the task.
 */
#ifndef SQ_STATE_H
#define SQ_STATE_H

#include "config.h"

#include <lua.h>

#include "base/list.h"
#include "engine/engine.h"

SQ_HIDDEN_BEGIN

struct sq_call;
struct sq_task;

struct sq_state {
  struct sq_engine *engine; /* null once collected */
  struct sq_link ready;     /* tasks' calls that something has come for */
  struct sq_link failures;  /* tasks whose failure nobody was told of */
  struct sq_link doomed;    /* cancelled tasks, yet to be taken down */
  int nested;               /* tasks being taken down */
  struct sq_task *current;  /* the task that runs, innermost */
  int unfinished;           /* tasks running */
  bool in_callback;         /* a progress or trace function runs */
  bool held;                /* the descriptor is readable for `ready` */
  uint64_t listeners;       /* numbered so far */
  int64_t hook_at;          /* when the last empty Lua call was made */
};

void sq_state_setup(lua_State *L);

/* Pushes the state's engine userdata, made when there is none; raises when
 * it cannot be made. */
struct sq_state *sq_state_push(lua_State *L);

/* Raises when nothing of ours may be called now: after a fork, or from a
 * progress or trace function. */
void sq_state_check(lua_State *L, const struct sq_state *s);

/* Takes what has come; each call it is for is then in `ready`. */
void sq_state_collect(struct sq_state *s);
/* Keeps the descriptor readable while calls are ready and not handled, and
 * no longer. */
void sq_state_settle(struct sq_state *s);
/* Something has come for the call: when a task yielded for it, it is ready.
 * A blocking caller polls for it itself. */
void sq_state_ready(struct sq_state *s, struct sq_call *call);
/* Waits for something to come, at most so long and at most a quarter of a
 * second; lets the interpreter's hooks run.  False when one raised: what it
 * raised is on the top. */
bool sq_state_wait(lua_State *L, struct sq_state *s, int64_t nanoseconds);
/* The same for those who find something to do time and again: no waiting,
 * but the hooks have their turn. */
bool sq_state_breathe(lua_State *L, struct sq_state *s);

/* Pushes the weak table of tasks by address. */
void sq_state_push_tasks(lua_State *L);

/* A number by which the client at `index` is told of its requests. */
uint64_t sq_state_listen(lua_State *L, struct sq_state *s, int index);
/* Runs the trace functions for what was recorded.  Errors turn the client's
 * tracing off, with a warning.  False when a hook raised, as sq_state_wait. */
bool sq_state_trace(lua_State *L, struct sq_state *s);
/* Runs the trace function of the client at `index`, if it has one, for `t`,
 * behind what was recorded before; raises what a hook raised. */
void sq_state_tell(lua_State *L, struct sq_state *s, int index,
                   const struct sq_trace *t);

SQ_HIDDEN_END

#endif
