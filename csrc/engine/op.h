/*
 * op.h - an operation as the engine sees it, and what its steps may call.
 *
 * Each kind of operation (request.c, download.c, zip_op.c, timer.c) is a
 * struct that begins with a struct sq_op, and a struct sq_op_class of steps.
 * Every step runs on the network thread (driver.c).  A step that needs a
 * file or a ZIP sends the operation's one job; until `job_done` the fields it
 * works on are the job's, which are never those of struct sq_op but `cancel`.
 * An operation ends by sq_op_finish, once.
 */
#ifndef SQ_OP_H
#define SQ_OP_H

#include "../config.h"

#include <stdatomic.h>

#include "../base/answer.h"
#include "../base/list.h"
#include "crew.h"
#include "profile.h"
#include "transfer.h"

SQ_HIDDEN_BEGIN

struct sq_op_class {
  bool transfers; /* takes one of its profile's places while it runs */
  void (*start)(struct sq_op *op);    /* a place is there */
  void (*wake)(struct sq_op *op);     /* wake_at has come */
  void (*job_done)(struct sq_op *op); /* the job came back */
  void (*go)(struct sq_op *op);       /* sq_op_go; null: of no interest */
  /* The caller cancelled, and no job is under way (a class with jobs looks at
   * op->cancel when one is done): must lead to sq_op_finish.  Null: stop and
   * finish at once. */
  void (*cancel)(struct sq_op *op);
  /* Drops transfers at once; a job under way goes on. */
  void (*stop)(struct sq_op *op);
  void (*destroy)(struct sq_op *op); /* frees what the struct owns, not it */
};

struct sq_op {
  const struct sq_op_class *class;
  atomic_int refs;
  atomic_bool cancel;         /* wanted no longer; long work looks at it */
  struct sq_engine *engine;   /* null until submitted */
  struct sq_profile *profile; /* counted; null for ZIP work and timers */
  void *user;
  atomic_bool changes; /* a POST that went out, and was not refused */
  struct sq_failure failure;

  /* guarded by the engine's lock */
  struct sq_link inbox, outbox;
  unsigned asked;  /* what waits in the inbox */
  unsigned events; /* what waits in the outbox */
  struct sq_progress progress;
  bool released; /* the caller will take nothing more */
  bool done;     /* its done event was posted */

  /* the network thread's */
  struct sq_link live, waiting;
  int64_t wake_at; /* 0: not at all */
  int64_t ends_at; /* 0: when it is done */
  bool has_place, finished, working, expired;
  struct sq_job job;
  void (*job_step)(struct sq_op *op);
};

/* Fills a new operation, zeroed by calloc; takes a reference of `p`. */
void sq_op_init(struct sq_op *op, const struct sq_op_class *class,
                struct sq_profile *p);
void sq_op_unref(struct sq_op *op);

/* ---- for the steps ---------------------------------------------------- */

void sq_op_wake_in(struct sq_op *op, int64_t nanoseconds); /* 0: never */
/* Gives back the place and asks for one again: `start` comes after `wait`
 * nanoseconds, or when its turn comes. */
void sq_op_again_in(struct sq_op *op, int64_t wait);
void sq_op_leave_place(struct sq_op *op); /* or its turn to get one */
/* The end.  The failure is in op->failure; kind SQ_OK is success. */
void sq_op_finish(struct sq_op *op);
void sq_op_fail(struct sq_op *op, const struct sq_failure *f);

enum sq_crew_name { SQ_FILE_CREW, SQ_ZIP_CREW, SQ_CREWS };
/* Sends the job; when no thread can be had it runs at once, here. */
void sq_op_work(struct sq_op *op, enum sq_crew_name crew,
                void (*run)(struct sq_op *op));

/* Another live operation of this class that `same` says is about the same
 * thing and that was cancelled but has not ended; null when there is none. */
struct sq_op *sq_op_dying_twin(struct sq_op *op,
                               bool (*same)(struct sq_op *, struct sq_op *));

struct sq_wire *sq_op_wire(struct sq_op *op);
/* Those of its profile's key; null when memory is short. */
struct sq_limits *sq_op_limits(struct sq_op *op);
double sq_op_random(struct sq_op *op); /* uniform in [0, 1) */

/* ---- any thread ------------------------------------------------------- */

void sq_op_tell(struct sq_op *op, const struct sq_progress *progress);
/* The record of `event` for this operation, to be filled and traced; false
 * when nobody listens. */
bool sq_op_traces(struct sq_op *op, struct sq_trace *out, const char *event);
void sq_op_trace(struct sq_op *op, const struct sq_trace *record);

SQ_HIDDEN_END

#endif
