/*
 * crew.h - threads that do what can take long: file work, ZIP work.
 *
 * A crew starts its threads as jobs come, up to its size.  A job lies in its
 * operation (struct sq_op) and holds a reference to it from sq_crew_add until
 * its `done` has been called, on the crew's thread.  The crew's state is its
 * own and counted: a thread that is held up in a system call when the crew is
 * stopped is left behind with it, finishes that one job, tells nobody, and
 * frees what is left.
 */
#ifndef SQ_CREW_H
#define SQ_CREW_H

#include "../base/list.h"

#include <pthread.h>

SQ_HIDDEN_BEGIN

struct sq_crew;

struct sq_job {
  struct sq_link link;
  void (*run)(struct sq_job *job);
  void (*done)(struct sq_job *job);    /* told when the crew is still there */
  void (*dropped)(struct sq_job *job); /* told when it is not, or never ran */
  bool last; /* run even by a crew that stops, within its time */
};

struct sq_crew *sq_crew_new(int threads); /* null: no memory */

/* False when no thread can be had to run it (nothing is called then). */
bool sq_crew_add(struct sq_crew *crew, struct sq_job *job);

/* Drops the jobs not begun (but `last` ones), waits at most `seconds` for the
 * others, and gives up the crew. */
void sq_crew_stop(struct sq_crew *crew, double seconds);

/* Starts a thread as all of ours are: every signal blocked, a small stack.
 * False when it cannot be had. */
bool sq_thread_start(void *(*run)(void *), void *arg, void *pthread);

/* A condition to wait for until `end`, as sq_now counts, or until it is
 * signalled; false when that time has come. */
void sq_cond_init(pthread_cond_t *cond);
bool sq_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock,
                        int64_t end);

SQ_HIDDEN_END

#endif
