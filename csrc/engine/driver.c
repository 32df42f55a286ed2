/*
 * driver.c - who drives the engine, and how.
 *
 * To drive is to take turns (read the inbox, run the timers, give places, move
 * the transfers as far as they go) and to sleep on the wire between them.  One
 * thread drives at a time, `driver`:
 *
 *   SQ_NETWORK_DRIVES  the network thread, while anything is under way
 *   SQ_NOBODY_DRIVES   nothing is; the network thread rests
 *   SQ_CALLER_WILL     a caller that blocks has submitted a request and comes
 *                      at once to drive it; the network thread rests on
 *   SQ_CALLER_DRIVES   it drives, for a moment at most; what is not over by
 *                      then is the network thread's
 *
 * So a short request costs no switch between threads, which takes longer than
 * a server near by.  Everything that an operation's steps touch is the
 * driver's; it changes hands under the lock.  A fork wants the step_lock,
 * which the driver gives back only while it sleeps.
 */
#include "engine_private.h"

#include <sched.h>
#include <signal.h>

#include "../base/clock.h"

#define LINGER (SQ_SECOND / 4000) /* see linger() */
#define MOMENT (SQ_SECOND / 10)   /* the longest that a caller drives */

/* ---- turns ------------------------------------------------------------ */

/* First come, first served, each profile within its bound. */
static void give_places(struct sq_engine *e) {
  struct sq_link *link, *next;
  if (!e->look_for_places) return;
  e->look_for_places = false;
  for (link = e->waiting.next; link != &e->waiting; link = next) {
    struct sq_op *op = SQ_HOLDER(link, struct sq_op, waiting);
    next = link->next;
    if (op->class->transfers) {
      if (op->profile->running >= op->profile->options.concurrency) continue;
      op->profile->running++;
      op->has_place = true;
    }
    sq_link_leave(link);
    op->class->start(op);
    /* a start may end its operation and move the list: begin again */
    next = e->waiting.next;
  }
}

static void cancel(struct sq_op *op) {
  if (op->class->cancel) {
    op->class->cancel(op);
  } else {
    op->class->stop(op);
    sq_failure_set(&op->failure, SQ_CANCELLED, "cancelled");
    sq_op_finish(op);
  }
}

/* As if the caller had cancelled it; its end makes a timeout of that. */
static void expire(struct sq_op *op) {
  op->ends_at = 0;
  op->expired = true;
  atomic_store(&op->cancel, true);
  if (!op->working) cancel(op);
}

static void run_timers(struct sq_engine *e) {
  struct sq_link *link, *next;
  int64_t now = sq_now();
  if (!e->next_wake || now < e->next_wake) return;
  e->next_wake = 0;
  for (link = e->live.next; link != &e->live; link = next) {
    struct sq_op *op = SQ_HOLDER(link, struct sq_op, live);
    next = link->next;
    if (op->ends_at && op->ends_at <= now) {
      expire(op);
      continue;
    }
    sq_engine_look_at(e, op->ends_at);
    if (op->wake_at && op->wake_at <= now) {
      op->wake_at = 0;
      op->class->wake(op);
    } else {
      sq_engine_look_at(e, op->wake_at);
    }
  }
}

/* Handles what one operation was asked. */
static void answer(struct sq_op *op, unsigned asked) {
  struct sq_engine *e = op->engine;
  if (asked & ASKED_START) {
    sq_list_append(&e->live, &op->live);
    sq_engine_look_at(e, op->ends_at);
    sq_op_queue_for_place(op);
  }
  if ((asked & ASKED_GO) && !op->finished && op->class->go) op->class->go(op);
  if (asked & ASKED_JOB_DONE) {
    op->working = false;
    if (!op->finished) op->class->job_done(op);
    sq_op_unref(op);
  } else if ((asked & ASKED_CANCEL) && !op->finished && !op->working) {
    cancel(op);
  }
}

/* False when the engine is to stop. */
static bool read_inbox(struct sq_engine *e) {
  bool stop;
  pthread_mutex_lock(&e->lock);
  struct sq_link *link;
  while (!e->stop && (link = sq_list_pop(&e->inbox))) {
    struct sq_op *op = SQ_HOLDER(link, struct sq_op, inbox);
    unsigned asked = op->asked;
    op->asked = 0;
    pthread_mutex_unlock(&e->lock);
    answer(op, asked);
    pthread_mutex_lock(&e->lock);
  }
  stop = e->stop;
  atomic_store(&e->asked, false);
  pthread_mutex_unlock(&e->lock);
  return !stop;
}

/* False when the engine is to stop. */
static bool turn(struct sq_engine *e) {
  if (!read_inbox(e)) return false;
  run_timers(e);
  give_places(e);
  sq_wire_run(e->wire);
  return true;
}

/* ---- between turns ---------------------------------------------------- */

/* Until `end` at the latest. */
static void sleep_on_wire(struct sq_engine *e, int64_t end) {
  if (e->look_for_places) return;
  if (e->next_wake && e->next_wake < end) end = e->next_wake;
  int64_t left = end - sq_now();
  if (left <= 0) return;
  atomic_store(&e->asleep, true);
  if (!atomic_load(&e->asked))
    sq_wire_poll(e->wire, (int)((left + 999999) / 1000000));
  atomic_store(&e->asleep, false);
}

/* A script that has its answer asks the next thing at once, and waking a
 * thread on another core takes longer than that: so the end of an operation
 * is followed by a short look for more. */
static void linger(struct sq_engine *e) {
  if (!e->ended_one) return;
  e->ended_one = false;
  for (int64_t end = sq_now() + LINGER; sq_now() < end; sched_yield())
    if (atomic_load(&e->asked)) return;
}

/* With the lock held, by the driver. */
static bool is_needed(struct sq_engine *e) {
  return e->stop || atomic_load(&e->asked) || !sq_list_is_empty(&e->live);
}

/* Until there is something that no caller drives.  A caller may have handed
 * over, and have seen the stop, before this thread comes here first. */
static void rest(struct sq_engine *e) {
  pthread_mutex_lock(&e->lock);
  if (e->driver == SQ_NETWORK_DRIVES && !is_needed(e))
    e->driver = SQ_NOBODY_DRIVES;
  while (e->driver != SQ_NETWORK_DRIVES) pthread_cond_wait(&e->work, &e->lock);
  pthread_mutex_unlock(&e->lock);
}

/* ---- the network thread ----------------------------------------------- */

/* Everything under way ends as `closed`. */
static void end_all(struct sq_engine *e) {
  struct sq_link *link;
  while ((link = e->live.next) != &e->live) {
    struct sq_op *op = SQ_HOLDER(link, struct sq_op, live);
    atomic_store(&op->cancel, true);
    op->class->stop(op);
    sq_failure_set(&op->failure, SQ_CLOSED, "closed");
    sq_op_finish(op);
  }
}

static bool take_turn(struct sq_engine *e) {
  pthread_mutex_lock(&e->step_lock);
  bool go_on = turn(e);
  if (!go_on) end_all(e);
  pthread_mutex_unlock(&e->step_lock);
  return go_on;
}

void *sq_engine_network_main(void *arg) {
  struct sq_engine *e = arg;
  rest(e);
  while (take_turn(e)) {
    linger(e);
    if (sq_list_is_empty(&e->live))
      rest(e);
    else
      sleep_on_wire(e, sq_now() + SQ_SECOND * 60);
  }
  return NULL;
}

/* What was asked and never read: started operations get their end, and a
 * finished job gives its reference back. */
void sq_engine_drain_inbox(struct sq_engine *e) {
  struct sq_link *link;
  while ((link = sq_list_pop(&e->inbox))) {
    struct sq_op *op = SQ_HOLDER(link, struct sq_op, inbox);
    unsigned asked = op->asked;
    op->asked = 0;
    if (asked & ASKED_START) {
      sq_failure_set(&op->failure, SQ_CLOSED, "closed");
      sq_op_finish(op);
    }
    if (asked & ASKED_JOB_DONE) sq_op_unref(op);
  }
}

/* ---- a caller --------------------------------------------------------- */

/* As in the engine's own threads, no signal comes in: none of a handler's
 * exits finds this thread inside libcurl, and the thread that looks up a name
 * inherits the mask.  A broken connection's SIGPIPE is taken back. */
static void block_signals(sigset_t *old) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, old);
}

/* Takes a pending SIGPIPE, without waiting for one. */
static void take_pipe_signal(void) {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
#if defined(SQ_NO_SIGTIMEDWAIT)
  sigset_t pending;
  int number;
  if (sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE))
    sigwait(&pipe, &number);
#else
  static const struct timespec now = {0, 0};
  (void)sigtimedwait(&pipe, NULL, &now);
#endif
}

static void unblock_signals(const sigset_t *old) {
  if (!sigismember(old, SIGPIPE)) take_pipe_signal();
  pthread_sigmask(SIG_SETMASK, old, NULL);
}

static bool become_caller(struct sq_engine *e) {
  pthread_mutex_lock(&e->lock);
  bool mine = e->driver == SQ_CALLER_WILL;
  if (mine) e->driver = SQ_CALLER_DRIVES;
  pthread_mutex_unlock(&e->lock);
  return mine;
}

static void hand_over(struct sq_engine *e) {
  pthread_mutex_lock(&e->lock);
  bool left = is_needed(e);
  e->driver = left ? SQ_NETWORK_DRIVES : SQ_NOBODY_DRIVES;
  pthread_mutex_unlock(&e->lock);
  if (left) pthread_cond_signal(&e->work);
}

bool sq_engine_drive(struct sq_engine *e) {
  sigset_t old;
  if (sq_engine_is_foreign(e) || !become_caller(e)) return false;
  int64_t end = sq_now() + MOMENT;
  block_signals(&old);
  pthread_mutex_lock(&e->step_lock);
  while (turn(e) && !sq_list_is_empty(&e->live) && sq_now() < end) {
    pthread_mutex_unlock(&e->step_lock);
    sleep_on_wire(e, end);
    pthread_mutex_lock(&e->step_lock);
  }
  pthread_mutex_unlock(&e->step_lock);
  hand_over(e);
  unblock_signals(&old);
  return true;
}
