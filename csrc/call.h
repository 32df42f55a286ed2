/*
 * call.h - one call of a method while it waits for the engine.
 *
 * A sq_call is a userdata on the stack of the function that made it, marked
 * to be closed: whatever way the call is left, its operation is released
 * (and so cancelled, when it goes on).  It owns the caller's reference of its
 * operation.  User values: 1 the object that the call keeps alive (a client,
 * a ZipFile), 2 the progress function or nil, 3 whatever `finish` needs,
 * 4 the task that waits.
 */
#ifndef SQ_CALL_H
#define SQ_CALL_H

#include "config.h"

#include <lua.h>

#include "state.h"

SQ_HIDDEN_BEGIN

struct sq_call;

/* Called when the operation is done, with the call at `index`: pushes the
 * method's results and gives their number. */
typedef int (*sq_finish)(lua_State *L, struct sq_call *call, int index);
enum {
  SQ_CALL_KEEPS = 1,
  SQ_CALL_PROGRESS,
  SQ_CALL_CONTEXT,
  SQ_CALL_TASK,
  SQ_CALL_VALUES = SQ_CALL_TASK
};

struct sq_call {
  struct sq_state *state;
  struct sq_op *op;
  sq_finish finish;
  struct sq_link ready;    /* in the state's list, when a task yielded */
  struct sq_link siblings; /* in its client's list, or nowhere */
  struct sq_link joined;   /* in the waiters of a task */
  struct sq_task *task;    /* that yielded for it; null: somebody blocks */
  int index;               /* of the call, on that task's stack */
  unsigned events;
  bool closed;    /* by its client */
  bool finishing; /* `finish` reads the operation */
  bool steps;     /* while it blocks, tasks are resumed */
  bool raises;    /* its progress function raised: in place of the function */
  bool sent;      /* its operation, which is gone, may have been carried out */
  struct sq_progress progress;
  char operation[160]; /* "restore_snapshot a1", fit to be shown */
  bool database;       /* for `finish` */
};

void sq_call_setup(lua_State *L);

/* Pushes a new call for "<name> <about>", to be closed; user value 1 is the
 * value at `keeps`. */
struct sq_call *sq_call_push(lua_State *L, struct sq_state *state,
                             const char *name, const char *about, int keeps);

/* For sq_call_run: nothing is asked of the engine, the call is woken by
 * sq_call_wake. */
#define SQ_NO_OP ((struct sq_op *)(uintptr_t)&sq_no_op)
extern const char sq_no_op;

/* Runs `op` (null: no memory) and gives the results of `finish`.  To be
 * returned by the method at once: return sq_call_run(...). */
int sq_call_run(lua_State *L, int index, struct sq_op *op, sq_finish finish);

/* nil and the error of the call's operation. */
int sq_call_failed(lua_State *L, struct sq_call *call);
/* nil and an error of kind `kind` with this text. */
int sq_call_error(lua_State *L, struct sq_call *call, enum sq_kind kind,
                  const char *format, ...) SQ_PRINTF(4, 5);

/* ---- for tasks ---- */

/* Something (SQ_EVENT_*) has come for the call that is not the engine's. */
void sq_call_wake(struct sq_call *call, unsigned events);
/* Runs the progress function of the call at `index`, when there is progress.
 * What it raises is raised by the call when it goes on. */
void sq_call_progress(lua_State *L, struct sq_call *call, int index);
/* True when the call's method has something to do. */
bool sq_call_is_over(const struct sq_call *call);

/* Ends the call from outside (its client was closed). */
void sq_call_abandon(struct sq_call *call);

SQ_HIDDEN_END

#endif
