/*
 * steps.c - what an operation's steps may call, as op.h says: to be counted,
 * to wait for a place or a time, to send a job, to end.
 *
 * Owns nothing: its state lies in the operations and in the engine's lists,
 * and all but the counting and the jobs' ends happens on the network
 * thread (driver.c).
 */
#include "engine_private.h"

#include <stdlib.h>

#include "../base/clock.h"

/* ---- counted ---------------------------------------------------------- */

void sq_op_init(struct sq_op *op, const struct sq_op_class *class,
                struct sq_profile *p) {
  op->class = class;
  op->refs = 1;
  op->profile = p;
  if (p) sq_profile_retain(p);
  sq_failure_clear(&op->failure);
}

void sq_op_unref(struct sq_op *op) {
  if (atomic_fetch_sub(&op->refs, 1) != 1) return;
  op->class->destroy(op);
  sq_profile_release(op->profile);
  if (op->engine) sq_engine_unref(op->engine);
#if !defined(__clang_analyzer__) /* it cannot count */
  free(op);
#endif
}

void sq_op_set_user(struct sq_op *op, void *user) { op->user = user; }
void *sq_op_user(const struct sq_op *op) { return op->user; }
bool sq_op_changes(const struct sq_op *op) { return atomic_load(&op->changes); }

const struct sq_failure *sq_op_failure(const struct sq_op *op) {
  return &op->failure;
}

/* ---- places and times ------------------------------------------------- */

struct sq_wire *sq_op_wire(struct sq_op *op) {
  struct sq_engine *e = op->engine;
  return e->wire;
}

struct sq_limits *sq_op_limits(struct sq_op *op) {
  return sq_limits_of(&op->engine->limits, op->profile->options.api_key,
                      sq_now());
}

struct sq_op *sq_op_dying_twin(struct sq_op *op,
                               bool (*same)(struct sq_op *, struct sq_op *)) {
  struct sq_link *head = &op->engine->live, *link;
  for (link = head->next; link != head; link = link->next) {
    struct sq_op *other = SQ_HOLDER(link, struct sq_op, live);
    if (other != op && other->class == op->class &&
        atomic_load(&other->cancel) && same(op, other))
      return other;
  }
  return NULL;
}

double sq_op_random(struct sq_op *op) {
  uint64_t *x = &op->engine->random; /* xorshift64 */
  *x ^= *x << 13;
  *x ^= *x >> 7;
  *x ^= *x << 17;
  return (double)(*x >> 11) / 9007199254740992.0;
}

void sq_engine_look_at(struct sq_engine *e, int64_t at) {
  if (at && (!e->next_wake || at < e->next_wake)) e->next_wake = at;
}

void sq_op_wake_in(struct sq_op *op, int64_t nanoseconds) {
  op->wake_at = nanoseconds > 0 ? sq_now() + nanoseconds : 0;
  sq_engine_look_at(op->engine, op->wake_at);
}

void sq_op_set_within(struct sq_op *op, double seconds) {
  if (seconds > 0) op->ends_at = sq_now() + sq_nanoseconds(seconds);
}

void sq_op_leave_place(struct sq_op *op) {
  sq_link_leave(&op->waiting);
  if (!op->has_place) return;
  op->has_place = false;
  op->profile->running--;
  op->engine->look_for_places = true;
}

void sq_op_queue_for_place(struct sq_op *op) {
  struct sq_engine *e = op->engine;
  if (!sq_link_is_in(&op->waiting)) sq_list_append(&e->waiting, &op->waiting);
  e->look_for_places = true;
}

void sq_op_again_in(struct sq_op *op, int64_t wait) {
  sq_op_leave_place(op);
  if (wait > 0)
    sq_op_wake_in(op, wait); /* wake() asks again with 0 */
  else
    sq_op_queue_for_place(op);
}

/* ---- ends, jobs -------------------------------------------------------- */

static void name_expiry(struct sq_failure *f) {
  bool sent = f->sent;
  sq_failure_set(f, SQ_TIMEOUT, "not done within the time allowed");
  f->sent = sent;
}

void sq_op_finish(struct sq_op *op) {
  if (op->finished) return;
  op->finished = true;
  if (op->expired && op->failure.kind == SQ_CANCELLED)
    name_expiry(&op->failure);
  op->wake_at = 0;
  sq_link_leave(&op->live);
  sq_op_leave_place(op);
  sq_failure_hide(&op->failure,
                  op->profile ? op->profile->options.api_key : NULL);
  sq_queues_post(op, SQ_EVENT_DONE);
  sq_op_unref(op);
}

void sq_op_fail(struct sq_op *op, const struct sq_failure *f) {
  op->failure = *f;
  sq_op_finish(op);
}

static struct sq_op *op_of(struct sq_job *job) {
  return SQ_HOLDER(job, struct sq_op, job);
}

static void job_done(struct sq_job *job) {
  struct sq_op *op = op_of(job);
  struct sq_engine *e = op->engine;
  pthread_mutex_lock(&e->lock);
  sq_queues_ask(op, ASKED_JOB_DONE);
  pthread_mutex_unlock(&e->lock);
  sq_queues_wake_network(e);
}

static void job_dropped(struct sq_job *job) { sq_op_unref(op_of(job)); }

static void job_run(struct sq_job *job) {
  struct sq_op *op = op_of(job);
  op->job_step(op);
}

void sq_op_work(struct sq_op *op, enum sq_crew_name crew,
                void (*run)(struct sq_op *op)) {
  struct sq_engine *e = op->engine;
  op->job_step = run;
  op->job.run = job_run;
  op->job.done = job_done;
  op->job.dropped = job_dropped;
  op->working = true;
  atomic_fetch_add(&op->refs, 1);
  if (sq_crew_add(e->crews[crew], &op->job)) return;
  run(op);
  job_done(&op->job);
}
