/*
 * engine_private.h - a sq_engine, and what engine.c, driver.c, steps.c,
 * queues.c and process.c need of each other.
 *
 * `lock` guards the queues, the trace ring and the operations' fields named
 * in op.h; it is given back before the descriptor is written or read.
 */
#ifndef SQ_ENGINE_PRIVATE_H
#define SQ_ENGINE_PRIVATE_H

#include "engine.h"

#include <pthread.h>

#include "op.h"

SQ_HIDDEN_BEGIN

struct sq_engine {
  atomic_int refs;
  unsigned owner;         /* sq_process_number() */
  int readable, writable; /* one eventfd, or the ends of a pipe */

  pthread_mutex_t lock;
  struct sq_link inbox, outbox;
  bool stop, started;
  atomic_bool signalled;        /* the descriptor is readable, or about to be */
  atomic_uint claimed, written; /* signals; not the same: one is on its way */
  unsigned drained;             /* of those written; the caller's */
  struct sq_trace *ring;        /* made with the first record */
  unsigned ring_first, ring_count, ring_dropped;

  pthread_mutex_t wire_lock; /* that a wakeup finds the wire, or nothing */
  pthread_mutex_t step_lock; /* the network thread's, but while it sleeps */
  struct sq_link engines;    /* in process.c's list */
  pthread_t thread;

  /* the network thread's */
  struct sq_wire *wire;
  struct sq_crew *crews[SQ_CREWS];
  struct sq_link live, waiting;
  struct sq_limits *limits; /* of all keys */
  int64_t next_wake;
  bool look_for_places;
  uint64_t random;
};

/* What an operation may be asked; merged while it waits in the inbox. */
enum { ASKED_START = 1, ASKED_CANCEL = 2, ASKED_JOB_DONE = 4, ASKED_GO = 8 };

void sq_engine_unref(struct sq_engine *e);

/* driver.c: the network thread's main function, and, once it has ended, an
 * end for what it never read. */
void *sq_engine_network_main(void *engine);
void sq_engine_drain_inbox(struct sq_engine *e);

/* steps.c: the timers are run then (0: never), if not before. */
void sq_engine_look_at(struct sq_engine *e, int64_t at);
/* `start` is called when a place is free. */
void sq_op_queue_for_place(struct sq_op *op);

/* Opens the descriptor; false with errno set. */
bool sq_queues_open(struct sq_engine *e);
void sq_queues_close(struct sq_engine *e);

/* An event of `op` for the caller, SQ_EVENT_*. */
void sq_queues_post(struct sq_op *op, unsigned event);

/* With the lock held, and sq_queues_wake_network once it is given back. */
void sq_queues_ask(struct sq_op *op, unsigned what);
void sq_queues_wake_network(struct sq_engine *e);

/* Leaves nothing of the engine running; what waits to be taken stays. */
void sq_engine_stop(struct sq_engine *e);

/* process.c.  Before the first engine: the process's end and its forks are
 * looked after. */
void sq_process_prepare(void);

/* Another one after every fork, once prepared. */
unsigned sq_process_number(void);

/* Before an engine is started, and once it is or will not be: ends and forks
 * of the process wait meanwhile.  Enter sets libcurl up; false with `f` when
 * that cannot be, or the process ends. */
bool sq_process_enter(struct sq_failure *f);
void sq_process_leave(void);

/* In between: `start` runs its thread, if the process goes on. */
bool sq_process_add(struct sq_engine *e, bool (*start)(struct sq_engine *e),
                    struct sq_failure *f);

/* Enters, to stop a running engine: it is sq_engine_stop's alone now. */
void sq_process_remove(struct sq_engine *e);

SQ_HIDDEN_END

#endif
