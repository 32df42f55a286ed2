/*
 * driver.c - how the network thread drives the engine.
 *
 * To drive is to take turns (read the inbox, run the timers, give places, move
 * the transfers as far as they go) and to sleep on the wire between them.  The
 * network thread does, for as long as the engine lives; what an operation's
 * steps touch is its own.  A fork wants the step_lock, which it gives back only
 * while it sleeps.
 */
#include "engine_private.h"

#include "../base/clock.h"

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

/* A wakeup that comes before it ends it at once. */
static void sleep_on_wire(struct sq_engine *e) {
  int64_t left = SQ_SECOND * 60;
  if (e->look_for_places) return;
  if (e->next_wake) left = e->next_wake - sq_now();
  if (left > 0) sq_wire_poll(e->wire, (int)((left + 999999) / 1000000));
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
  while (take_turn(e)) sleep_on_wire(e);
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
