/*
 * engine.c - the network thread, the two queues, and the way from one to the
 * other.
 *
 * A sq_engine belongs to the Lua state that made it, which calls
 * sq_engine_free once; its memory is counted (`refs`), since operations that
 * the caller still holds look at it when they are released.  `lock` guards
 * the queues, the trace ring and the operations' fields named in op.h; it is
 * never held over a system call but the write that makes the descriptor
 * readable.  The network thread owns the wire and every live operation.
 */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/eventfd.h>
#endif

#include "../base/clock.h"
#include "op.h"

enum { ASKED_START = 1, ASKED_CANCEL = 2, ASKED_JOB_DONE = 4, ASKED_GO = 8 };
enum { TRACE_RING = 256, ZIP_THREADS = 4 };
#define CREW_PATIENCE 0.2 /* seconds given to a file thread at the end */
#define LINGER (SQ_SECOND / 4000) /* see linger() */

struct sq_engine {
  atomic_int refs;
  pid_t owner;
  int readable, writable; /* one eventfd, or the ends of a pipe */

  pthread_mutex_t lock;
  struct sq_link inbox, outbox;
  bool stop, started;
  atomic_bool signalled; /* the descriptor is readable, or about to be */
  atomic_bool asked;  /* the inbox holds something, or `stop` is set */
  atomic_bool asleep; /* the network thread must be woken to see it */
  struct sq_trace *ring; /* made with the first record */
  unsigned ring_first, ring_count, ring_dropped;

  pthread_mutex_t wire_lock; /* that a wakeup finds the wire, or nothing */
  struct sq_link engines;    /* in the list that atexit walks */
  pthread_t thread;

  /* the network thread's, from start to join */
  struct sq_wire *wire;
  struct sq_crew *crews[SQ_CREWS];
  struct sq_link live, waiting;
  int64_t next_wake;
  bool look_for_places, ended_one;
  uint64_t random;
};

/* ---- the descriptor --------------------------------------------------- */

static bool open_descriptor(struct sq_engine *e) {
#if defined(__linux__)
  e->readable = e->writable = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return e->readable >= 0;
#else
  int ends[2];
  if (pipe(ends) != 0) return false;
  for (int i = 0; i < 2; i++) {
    fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    fcntl(ends[i], F_SETFL, O_NONBLOCK);
  }
  e->readable = ends[0];
  e->writable = ends[1];
  return true;
#endif
}

static void close_descriptor(struct sq_engine *e) {
  if (e->readable < 0) return;
  close(e->readable);
  if (e->writable != e->readable) close(e->writable);
  e->readable = e->writable = -1;
}

/* The reader drains the descriptor first and looks at the queue behind that;
 * a writer queues first and makes it readable behind that, unless somebody
 * has (`signalled`).  So neither needs the lock for its system call, and no
 * wakeup is lost.  At most one signal is outstanding: there is room for it. */
static void wake_reader(struct sq_engine *e) {
  uint64_t one = 1;
  while (write(e->writable, &one, sizeof one) < 0 && errno == EINTR)
    ;
}

static void drain(struct sq_engine *e) {
  uint64_t count;
  while (read(e->readable, &count, sizeof count) < 0 && errno == EINTR)
    ;
}

/* With the lock held: true when the caller is to wake the reader after
 * giving it back. */
static bool claim_signal(struct sq_engine *e) {
  if (e->signalled || e->writable < 0) return false;
  e->signalled = true;
  return true;
}

/* ---- counting --------------------------------------------------------- */

static void engine_unref(struct sq_engine *e) {
  if (atomic_fetch_sub(&e->refs, 1) != 1) return;
  pthread_mutex_destroy(&e->lock);
  pthread_mutex_destroy(&e->wire_lock);
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

/* ---- up: events ------------------------------------------------------- */

/* A done operation is asked nothing more: it leaves the inbox, unless a job
 * of it is there, which has a reference of its own. */
static void forget_asked(struct sq_op *op) {
  op->done = true;
  op->asked &= ASKED_JOB_DONE;
  if (!op->asked) sq_link_leave(&op->inbox);
}

static void post(struct sq_op *op, unsigned event) {
  struct sq_engine *e = op->engine;
  bool wake = false;
  pthread_mutex_lock(&e->lock);
  if (event == SQ_EVENT_DONE) forget_asked(op);
  if (!op->released) {
    op->events |= event;
    if (!sq_link_is_in(&op->outbox)) sq_list_append(&e->outbox, &op->outbox);
    wake = claim_signal(e);
  }
  pthread_mutex_unlock(&e->lock);
  if (wake) wake_reader(e);
}

void sq_op_tell(struct sq_op *op, const struct sq_progress *progress) {
  pthread_mutex_lock(&op->engine->lock);
  op->progress = *progress;
  pthread_mutex_unlock(&op->engine->lock);
  post(op, SQ_EVENT_PROGRESS);
}

void sq_engine_take(struct sq_engine *e, sq_take_handler handler,
                    void *context) {
  struct sq_link *link;
  drain(e);
  pthread_mutex_lock(&e->lock);
  e->signalled = false;
  while ((link = sq_list_pop(&e->outbox))) {
    struct sq_op *op = SQ_HOLDER(link, struct sq_op, outbox);
    unsigned events = op->events;
    op->events = 0;
    handler(context, op, events, &op->progress);
  }
  pthread_mutex_unlock(&e->lock);
}

bool sq_engine_has_news(const struct sq_engine *e) {
  return atomic_load(&e->signalled);
}

void sq_engine_hold(struct sq_engine *e) {
  pthread_mutex_lock(&e->lock);
  bool wake = claim_signal(e);
  pthread_mutex_unlock(&e->lock);
  if (wake) wake_reader(e);
}

int sq_engine_fd(const struct sq_engine *e) { return e->readable; }

bool sq_engine_is_foreign(const struct sq_engine *e) {
  return e->owner != getpid();
}

/* ---- up: trace -------------------------------------------------------- */

bool sq_op_traces(struct sq_op *op, struct sq_trace *out, const char *event) {
  if (!op->profile || !atomic_load(&op->profile->trace)) return false;
  memset(out, 0, sizeof *out);
  out->listener = op->profile->options.listener;
  out->bytes = -1;
  out->seconds = -1;
  sq_show(out->event, sizeof out->event, event, strlen(event));
  return true;
}

void sq_op_trace(struct sq_op *op, const struct sq_trace *record) {
  struct sq_engine *e = op->engine;
  bool wake = false;
  pthread_mutex_lock(&e->lock);
  if (!e->ring) e->ring = malloc(TRACE_RING * sizeof *e->ring);
  if (!e->ring || e->ring_count == TRACE_RING) {
    e->ring_dropped++;
  } else {
    e->ring[(e->ring_first + e->ring_count++) % TRACE_RING] = *record;
    wake = claim_signal(e);
  }
  pthread_mutex_unlock(&e->lock);
  if (wake) wake_reader(e);
}

bool sq_engine_take_trace(struct sq_engine *e, struct sq_trace *out) {
  pthread_mutex_lock(&e->lock);
  bool any = e->ring_count > 0;
  if (any) {
    *out = e->ring[e->ring_first];
    e->ring_first = (e->ring_first + 1) % TRACE_RING;
    e->ring_count--;
    out->dropped = e->ring_dropped;
    e->ring_dropped = 0;
  }
  pthread_mutex_unlock(&e->lock);
  return any;
}

/* ---- down: the inbox -------------------------------------------------- */

/* Behind setting `asked`, and not under `lock`, which the woken thread wants
 * first of all. */
static void wake_network(struct sq_engine *e) {
  if (!atomic_load(&e->asleep)) return; /* it looks before it sleeps */
  pthread_mutex_lock(&e->wire_lock);
  if (e->wire) sq_wire_wakeup(e->wire);
  pthread_mutex_unlock(&e->wire_lock);
}

/* With the lock held. */
static void ask(struct sq_op *op, unsigned what) {
  op->asked |= what;
  atomic_store(&op->engine->asked, true);
  if (!sq_link_is_in(&op->inbox))
    sq_list_append(&op->engine->inbox, &op->inbox);
}

void sq_op_set_user(struct sq_op *op, void *user) { op->user = user; }
void *sq_op_user(const struct sq_op *op) { return op->user; }
const struct sq_failure *sq_op_failure(const struct sq_op *op) {
  return &op->failure;
}

static void ask_running(struct sq_op *op, unsigned what) {
  struct sq_engine *e = op->engine;
  if (!e || sq_engine_is_foreign(e)) return;
  pthread_mutex_lock(&e->lock);
  bool running = e->started && !e->stop && !op->done;
  if (running) ask(op, what);
  pthread_mutex_unlock(&e->lock);
  if (running) wake_network(e);
}

void sq_op_cancel(struct sq_op *op) {
  if (!atomic_exchange(&op->cancel, true)) ask_running(op, ASKED_CANCEL);
}

void sq_op_go(struct sq_op *op) { ask_running(op, ASKED_GO); }

void sq_op_release(struct sq_op *op) {
  struct sq_engine *e = op->engine;
  if (e && sq_engine_is_foreign(e)) return; /* the parent's; left alone */
  if (e) {
    pthread_mutex_lock(&e->lock);
    op->released = true;
    sq_link_leave(&op->outbox);
    pthread_mutex_unlock(&e->lock);
    sq_op_cancel(op);
  }
  sq_op_unref(op);
}

/* ---- the network thread: places and times ----------------------------- */

struct sq_wire *sq_op_wire(struct sq_op *op) { return op->engine->wire; }

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
  post(op, SQ_EVENT_DONE);
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
  ask(op, ASKED_JOB_DONE);
  pthread_mutex_unlock(&e->lock);
  wake_network(e);
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
  while (read_inbox(e)) {
    run_timers(e);
    give_places(e);
    sq_wire_run(e->wire);
    sleep_until_asked(e);
  }
  end_all(e);
  return NULL;
}

/* ---- start and end ---------------------------------------------------- */

/* Engines whose network thread runs: the end of the process stops them
 * before libcurl and OpenSSL are taken down under it. */
static struct {
  pthread_mutex_t lock;
  struct sq_link list;
  pthread_once_t once;
} running = {PTHREAD_MUTEX_INITIALIZER, {NULL, NULL}, PTHREAD_ONCE_INIT};

static void stop_thread(struct sq_engine *e);

static void stop_all(void) {
  struct sq_link *link;
  pthread_mutex_lock(&running.lock);
  while ((link = sq_list_pop(&running.list))) {
    struct sq_engine *e = SQ_HOLDER(link, struct sq_engine, engines);
    if (!sq_engine_is_foreign(e)) stop_thread(e);
  }
  pthread_mutex_unlock(&running.lock);
}

static void set_up_process(void) {
  sq_list_init(&running.list);
  if (sq_wire_global()) atexit(stop_all);
}

struct sq_engine *sq_engine_new(struct sq_failure *f) {
  struct sq_engine *e = calloc(1, sizeof *e);
  if (!e || !open_descriptor(e)) {
    sq_failure_errno(f, e ? errno : ENOMEM, "cannot open", "a descriptor");
    free(e);
    return NULL;
  }
  e->refs = 1;
  e->owner = getpid();
  pthread_mutex_init(&e->lock, NULL);
  pthread_mutex_init(&e->wire_lock, NULL);
  sq_list_init(&e->inbox);
  sq_list_init(&e->outbox);
  sq_list_init(&e->live);
  sq_list_init(&e->waiting);
  e->random = (uint64_t)sq_now() ^ (uint64_t)(uintptr_t)e ^
              ((uint64_t)e->owner << 32);
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
  if (e->wire && e->crews[SQ_FILE_CREW] && e->crews[SQ_ZIP_CREW] &&
      sq_thread_start(network_main, e, &e->thread)) {
    pthread_mutex_lock(&running.lock);
    sq_list_append(&running.list, &e->engines);
    pthread_mutex_unlock(&running.lock);
    e->started = true;
    return true;
  }
  drop_parts(e);
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
  wake_network(e);
  pthread_join(e->thread, NULL);
  drop_parts(e);
  drain_inbox(e);
}

void sq_engine_free(struct sq_engine *e) {
  if (!e) return;
  if (sq_engine_is_foreign(e)) {
    close_descriptor(e); /* the rest is the parent's */
    return;
  }
  pthread_mutex_lock(&running.lock);
  sq_link_leave(&e->engines);
  pthread_mutex_unlock(&running.lock);
  stop_thread(e);
  pthread_mutex_lock(&e->lock);
  while (sq_list_pop(&e->outbox))
    ;
  close_descriptor(e);
  pthread_mutex_unlock(&e->lock);
  engine_unref(e);
}

bool sq_op_submit(struct sq_engine *e, struct sq_op *op,
                  struct sq_failure *f) {
  if (!e->started && !e->stop && !start_thread(e, f)) return false;
  pthread_mutex_lock(&e->lock);
  bool ok = !e->stop;
  if (ok) {
    atomic_fetch_add(&e->refs, 1);
    atomic_fetch_add(&op->refs, 1);
    op->engine = e;
    ask(op, ASKED_START);
  }
  pthread_mutex_unlock(&e->lock);
  if (ok) wake_network(e);
  return ok || sq_failure_set(f, SQ_CLOSED, "the process is ending");
}
