/*
 * queues.c - the two queues between the caller's thread and the network's,
 * the trace ring, and the descriptor that is readable while they hold
 * something for the caller.
 *
 * They are fields of the sq_engine and live as long as it does; the
 * descriptor ends with sq_engine_free.  Up go events and trace records, down
 * goes what an operation is asked.
 */
#include "engine_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/eventfd.h>
#endif

enum { TRACE_RING = 256 };

/* ---- the descriptor --------------------------------------------------- */

bool sq_queues_open(struct sq_engine *e) {
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

void sq_queues_close(struct sq_engine *e) {
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
  while (write(e->writable, &one, sizeof one) < 0 && errno == EINTR) continue;
  atomic_fetch_add(&e->written, 1);
}

/* Two signals may lie in a pipe, one that was late and the next. */
static void drain(struct sq_engine *e) {
  uint64_t counts[16];
  unsigned written = atomic_load(&e->written);
  if (written == e->drained && written == atomic_load(&e->claimed)) return;
  e->drained = written;
  while (read(e->readable, counts, sizeof counts) < 0 && errno == EINTR)
    continue;
}

/* With the lock held: true when the caller is to wake the reader after
 * giving it back. */
static bool claim_signal(struct sq_engine *e) {
  if (e->signalled || e->writable < 0) return false;
  e->signalled = true;
  atomic_fetch_add(&e->claimed, 1);
  return true;
}

/* ---- up: events ------------------------------------------------------- */

/* A done operation is asked nothing more: it leaves the inbox, unless a job
 * of it is there, which has a reference of its own. */
static void forget_asked(struct sq_op *op) {
  op->done = true;
  op->asked &= ASKED_JOB_DONE;
  if (!op->asked) sq_link_leave(&op->inbox);
}

void sq_queues_post(struct sq_op *op, unsigned event) {
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
  sq_queues_post(op, SQ_EVENT_PROGRESS);
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

void sq_engine_hold(struct sq_engine *e, bool held) {
  if (!held) drain(e); /* first, as in sq_engine_take */
  pthread_mutex_lock(&e->lock);
  if (!held) e->signalled = false;
  bool any = held || !sq_list_is_empty(&e->outbox) || e->ring_count > 0;
  bool wake = any && claim_signal(e);
  pthread_mutex_unlock(&e->lock);
  if (wake) wake_reader(e);
}

int sq_engine_fd(const struct sq_engine *e) { return e->readable; }

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

/* Not under `lock`, which the woken thread wants first of all. */
void sq_queues_wake_network(struct sq_engine *e) {
  pthread_mutex_lock(&e->wire_lock);
  if (e->wire) sq_wire_wakeup(e->wire);
  pthread_mutex_unlock(&e->wire_lock);
}

void sq_queues_ask(struct sq_op *op, unsigned what) {
  op->asked |= what;
  if (!sq_link_is_in(&op->inbox))
    sq_list_append(&op->engine->inbox, &op->inbox);
}

static void ask_running(struct sq_op *op, unsigned what) {
  struct sq_engine *e = op->engine;
  if (!e || sq_engine_is_foreign(e)) return;
  pthread_mutex_lock(&e->lock);
  bool running = e->started && !e->stop && !op->done;
  if (running) sq_queues_ask(op, what);
  pthread_mutex_unlock(&e->lock);
  if (running) sq_queues_wake_network(e);
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
