/*
 * engine.c - an engine from its start to its end, and its network thread.
 *
 * A sq_engine belongs to the Lua state that made it, which calls
 * sq_engine_free once; its memory is counted (`refs`), since operations that
 * the caller still holds look at it when they are released.  The network
 * thread owns the wire and every live operation; it is stopped by
 * sq_engine_free, or by the end of the process.
 */
#include "engine_private.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/clock.h"

enum { ZIP_THREADS = 4 };
#define CREW_PATIENCE 0.2 /* seconds given to a file thread at the end */
#define LEAVING_PATIENCE SQ_SECOND
#define LINGER (SQ_SECOND / 4000) /* see linger() */

/* ---- operations, counted ---------------------------------------------- */

static void engine_unref(struct sq_engine *e) {
  if (atomic_fetch_sub(&e->refs, 1) != 1) return;
  pthread_mutex_destroy(&e->lock);
  pthread_mutex_destroy(&e->wire_lock);
  pthread_mutex_destroy(&e->step_lock);
  free(e->ring);
  free(e);
}

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
  if (op->engine) engine_unref(op->engine);
#if !defined(__clang_analyzer__) /* it cannot count */
  free(op);
#endif
}

void sq_op_set_user(struct sq_op *op, void *user) { op->user = user; }
void *sq_op_user(const struct sq_op *op) { return op->user; }
const struct sq_failure *sq_op_failure(const struct sq_op *op) {
  return &op->failure;
}

/* ---- the network thread: places and times ----------------------------- */

struct sq_wire *sq_op_wire(struct sq_op *op) {
  return op->engine->wire;
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

void sq_op_wake_in(struct sq_op *op, int64_t nanoseconds) {
  struct sq_engine *e = op->engine;
  op->wake_at = nanoseconds > 0 ? sq_now() + nanoseconds : 0;
  if (op->wake_at && (!e->next_wake || op->wake_at < e->next_wake))
    e->next_wake = op->wake_at;
}

void sq_op_leave_place(struct sq_op *op) {
  if (!op->has_place) return;
  op->has_place = false;
  op->profile->running--;
  op->engine->look_for_places = true;
}

static void queue_for_place(struct sq_op *op) {
  struct sq_engine *e = op->engine;
  if (!sq_link_is_in(&op->waiting)) sq_list_append(&e->waiting, &op->waiting);
  e->look_for_places = true;
}

void sq_op_again_in(struct sq_op *op, int64_t wait) {
  sq_op_leave_place(op);
  if (wait > 0)
    sq_op_wake_in(op, wait); /* wake() asks again with 0 */
  else
    queue_for_place(op);
}

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

static void run_timers(struct sq_engine *e) {
  struct sq_link *link, *next;
  int64_t now = sq_now();
  if (!e->next_wake || now < e->next_wake) return;
  e->next_wake = 0;
  for (link = e->live.next; link != &e->live; link = next) {
    struct sq_op *op = SQ_HOLDER(link, struct sq_op, live);
    next = link->next;
    if (op->wake_at && op->wake_at <= now) {
      op->wake_at = 0;
      op->class->wake(op);
    } else if (op->wake_at && (!e->next_wake || op->wake_at < e->next_wake)) {
      e->next_wake = op->wake_at;
    }
  }
}

static int until_next_wake(struct sq_engine *e) {
  if (e->look_for_places) return 0;
  if (!e->next_wake) return 60000;
  int64_t left = e->next_wake - sq_now();
  if (left <= 0) return 0;
  left = (left + 999999) / 1000000;
  return left < 60000 ? (int)left : 60000;
}

/* ---- the network thread: jobs and ends -------------------------------- */

void sq_op_finish(struct sq_op *op) {
  if (op->finished) return;
  op->finished = true;
  op->wake_at = 0;
  sq_link_leave(&op->waiting);
  sq_link_leave(&op->live);
  sq_op_leave_place(op);
  sq_failure_hide(&op->failure,
                  op->profile ? op->profile->options.api_key : NULL);
  op->engine->ended_one = true;
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

static void cancel(struct sq_op *op) {
  if (op->class->cancel) {
    op->class->cancel(op);
  } else {
    op->class->stop(op);
    sq_failure_set(&op->failure, SQ_CANCELLED, "cancelled");
    sq_op_finish(op);
  }
}

/* Handles what one operation was asked, on the network thread. */
static void answer(struct sq_op *op, unsigned asked) {
  struct sq_engine *e = op->engine;
  if (asked & ASKED_START) {
    sq_list_append(&e->live, &op->live);
    queue_for_place(op);
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

/* What was asked and never read: started operations get their end, and a
 * finished job gives its reference back. */
static void drain_inbox(struct sq_engine *e) {
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

/* A script that has its answer asks the next thing at once, and waking a
 * thread on another core takes longer than that: so the end of an operation
 * is followed by a short look for more. */
static void linger(struct sq_engine *e) {
  if (!e->ended_one) return;
  e->ended_one = false;
  for (int64_t end = sq_now() + LINGER; sq_now() < end; sched_yield())
    if (atomic_load(&e->asked)) return;
}

static void sleep_until_asked(struct sq_engine *e) {
  int milliseconds = until_next_wake(e);
  if (milliseconds > 0) linger(e);
  atomic_store(&e->asleep, true);
  if (!atomic_load(&e->asked)) sq_wire_poll(e->wire, milliseconds);
  atomic_store(&e->asleep, false);
}

static void *network_main(void *arg) {
  struct sq_engine *e = arg;
  pthread_mutex_lock(&e->step_lock);
  while (read_inbox(e)) {
    run_timers(e);
    give_places(e);
    sq_wire_run(e->wire);
    pthread_mutex_unlock(&e->step_lock);
    sleep_until_asked(e);
    pthread_mutex_lock(&e->step_lock);
  }
  end_all(e);
  pthread_mutex_unlock(&e->step_lock);
  return NULL;
}

/* ---- start and end ---------------------------------------------------- */

/* Engines whose network thread runs: the end of the process stops them
 * before libcurl and OpenSSL are taken down under it. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t fewer;
  struct sq_link list;
  int leaving; /* engines that sq_engine_free is about to stop */
  bool over;   /* the process ends: no thread is started any more */
  pthread_once_t once;
} running = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static void stop_thread(struct sq_engine *e);

/* With the lock held.  Not for ever: whoever exits from a signal's handler may
 * be the one that leaves. */
static void wait_until_left(void) {
  int64_t end = sq_now() + LEAVING_PATIENCE;
  struct timespec until = {(time_t)(end / SQ_SECOND), (long)(end % SQ_SECOND)};
  while (running.leaving > 0 &&
         pthread_cond_timedwait(&running.fewer, &running.lock, &until) == 0)
    ;
}

static void stop_all(void) {
  struct sq_link *link;
  pthread_mutex_lock(&running.lock);
  running.over = true;
  while ((link = sq_list_pop(&running.list))) {
    struct sq_engine *e = SQ_HOLDER(link, struct sq_engine, engines);
    if (!sq_engine_is_foreign(e)) stop_thread(e);
  }
  wait_until_left();
  pthread_mutex_unlock(&running.lock);
}

/* A fork waits until no thread of ours is inside libcurl and OpenSSL, whose
 * locks the child could never take; the time of a step at most.  In the child
 * all engines are foreign, and none is known any more. */
static void before_fork(void) {
  struct sq_link *link;
  pthread_mutex_lock(&running.lock);
  wait_until_left();
  for (link = running.list.next; link != &running.list; link = link->next)
    pthread_mutex_lock(&SQ_HOLDER(link, struct sq_engine, engines)->step_lock);
}

static void after_fork(void) {
  struct sq_link *link;
  for (link = running.list.next; link != &running.list; link = link->next)
    pthread_mutex_unlock(
        &SQ_HOLDER(link, struct sq_engine, engines)->step_lock);
  pthread_mutex_unlock(&running.lock);
}

static void init_fewer(void) {
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&running.fewer, &attr);
  pthread_condattr_destroy(&attr);
}

static void in_child(void) {
  pthread_mutex_init(&running.lock, NULL);
  init_fewer();
  sq_list_init(&running.list);
  running.leaving = 0;
}

static void set_up_process(void) {
  sq_list_init(&running.list);
  init_fewer();
  if (!sq_wire_global()) return;
  atexit(stop_all);
  pthread_atfork(before_fork, after_fork, in_child);
}

bool sq_engine_is_foreign(const struct sq_engine *e) {
  return e->owner != getpid();
}

struct sq_engine *sq_engine_new(struct sq_failure *f) {
  struct sq_engine *e = calloc(1, sizeof *e);
  if (!e || !sq_queues_open(e)) {
    sq_failure_errno(f, e ? errno : ENOMEM, "cannot open", "a descriptor");
    free(e);
    return NULL;
  }
  e->refs = 1;
  e->owner = getpid();
  pthread_mutex_init(&e->lock, NULL);
  pthread_mutex_init(&e->wire_lock, NULL);
  pthread_mutex_init(&e->step_lock, NULL);
  sq_list_init(&e->inbox);
  sq_list_init(&e->outbox);
  sq_list_init(&e->live);
  sq_list_init(&e->waiting);
  e->random =
      (uint64_t)sq_now() ^ (uint64_t)(uintptr_t)e ^ ((uint64_t)e->owner << 32);
  return e;
}

static void drop_parts(struct sq_engine *e) {
  for (int i = 0; i < SQ_CREWS; i++) {
    if (e->crews[i]) sq_crew_stop(e->crews[i], CREW_PATIENCE);
    e->crews[i] = NULL;
  }
  pthread_mutex_lock(&e->wire_lock);
  struct sq_wire *wire = e->wire;
  e->wire = NULL;
  pthread_mutex_unlock(&e->wire_lock);
  if (wire) sq_wire_free(wire);
}

static bool start_thread(struct sq_engine *e, struct sq_failure *f) {
  pthread_once(&running.once, set_up_process);
  if (!sq_wire_global())
    return sq_failure_set(f, SQ_NETWORK, "libcurl cannot be set up");
  e->wire = sq_wire_new();
  e->crews[SQ_FILE_CREW] = sq_crew_new(1);
  e->crews[SQ_ZIP_CREW] = sq_crew_new(ZIP_THREADS);
  pthread_mutex_lock(&running.lock);
  bool over = running.over;
  e->started = !over && e->wire && e->crews[SQ_FILE_CREW] &&
               e->crews[SQ_ZIP_CREW] &&
               sq_thread_start(network_main, e, &e->thread);
  if (e->started) sq_list_append(&running.list, &e->engines);
  pthread_mutex_unlock(&running.lock);
  if (e->started) return true;
  drop_parts(e);
  if (over) return sq_failure_set(f, SQ_CLOSED, "the process is ending");
  return sq_failure_set(f, SQ_NETWORK, "the engine's thread cannot be started");
}

/* Leaves nothing of the engine running; what waits to be taken stays. */
static void stop_thread(struct sq_engine *e) {
  pthread_mutex_lock(&e->lock);
  bool was_running = e->started && !e->stop;
  e->stop = true;
  atomic_store(&e->asked, true);
  pthread_mutex_unlock(&e->lock);
  if (!was_running) return;
  sq_queues_wake_network(e);
  pthread_join(e->thread, NULL);
  drop_parts(e);
  drain_inbox(e);
}

/* The end of the process waits for an engine that leaves (1) until it is
 * gone (-1). */
static void leave_running(struct sq_engine *e, int change) {
  pthread_mutex_lock(&running.lock);
  sq_link_leave(&e->engines);
  running.leaving += change;
  pthread_cond_signal(&running.fewer);
  pthread_mutex_unlock(&running.lock);
}

void sq_engine_free(struct sq_engine *e) {
  if (!e) return;
  if (sq_engine_is_foreign(e)) {
    sq_queues_close(e); /* the rest is the parent's */
    return;
  }
  if (e->started) {
    leave_running(e, 1);
    stop_thread(e);
    leave_running(e, -1);
  }
  pthread_mutex_lock(&e->lock);
  while (sq_list_pop(&e->outbox))
    ;
  sq_queues_close(e);
  pthread_mutex_unlock(&e->lock);
  engine_unref(e);
}

bool sq_op_submit(struct sq_engine *e, struct sq_op *op, struct sq_failure *f) {
  if (!e->started && !e->stop && !start_thread(e, f)) return false;
  pthread_mutex_lock(&e->lock);
  bool ok = !e->stop;
  if (ok) {
    atomic_fetch_add(&e->refs, 1);
    atomic_fetch_add(&op->refs, 1);
    op->engine = e;
    sq_queues_ask(op, ASKED_START);
  }
  pthread_mutex_unlock(&e->lock);
  if (ok) sq_queues_wake_network(e);
  return ok || sq_failure_set(f, SQ_CLOSED, "the process is ending");
}
