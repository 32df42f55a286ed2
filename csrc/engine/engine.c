/*
 * engine.c - an engine from its start to its end.
 *
 * A sq_engine belongs to the Lua state that made it, which calls
 * sq_engine_free once; its memory is counted (`refs`), since operations that
 * the caller still holds look at it when they are released.  Its threads are
 * stopped by sq_engine_free, or by the end of the process.
 */
#include "engine_private.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/clock.h"

enum { ZIP_THREADS = 4 };
#define CREW_PATIENCE 0.2 /* seconds given to a file thread at the end */
#define LEAVING_PATIENCE SQ_SECOND

void sq_engine_unref(struct sq_engine *e) {
  if (atomic_fetch_sub(&e->refs, 1) != 1) return;
  pthread_cond_destroy(&e->work);
  pthread_mutex_destroy(&e->lock);
  pthread_mutex_destroy(&e->wire_lock);
  pthread_mutex_destroy(&e->step_lock);
  free(e->ring);
  free(e);
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
  pthread_cond_init(&e->work, NULL);
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
               sq_thread_start(sq_engine_network_main, e, &e->thread);
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
  if (e->driver != SQ_CALLER_DRIVES) e->driver = SQ_NETWORK_DRIVES;
  pthread_mutex_unlock(&e->lock);
  if (!was_running) return;
  sq_queues_wake_network(e);
  pthread_join(e->thread, NULL);
  drop_parts(e);
  sq_engine_drain_inbox(e);
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
  sq_engine_unref(e);
}

bool sq_op_submit(struct sq_engine *e, struct sq_op *op, bool drives,
                  struct sq_failure *f) {
  if (!e->started && !e->stop && !start_thread(e, f)) return false;
  pthread_mutex_lock(&e->lock);
  bool ok = !e->stop, promised = false;
  if (ok) {
    atomic_fetch_add(&e->refs, 1);
    atomic_fetch_add(&op->refs, 1);
    op->engine = e;
    promised = drives && op->class->brief && e->driver == SQ_NOBODY_DRIVES;
    sq_queues_ask(op, ASKED_START);
    if (promised) e->driver = SQ_CALLER_WILL;
  }
  pthread_mutex_unlock(&e->lock);
  if (ok && !promised) sq_queues_wake_network(e);
  return ok || sq_failure_set(f, SQ_CLOSED, "the process is ending");
}
