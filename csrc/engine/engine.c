/*
 * engine.c - an engine from its start to its end.
 *
 * A sq_engine belongs to the Lua state that made it, which calls
 * sq_engine_free once; its memory is counted (`refs`), since operations that
 * the caller still holds look at it when they are released.  Its threads are
 * stopped by sq_engine_free, or by the end of the process (process.c).
 */
#include "engine_private.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/clock.h"

enum { ZIP_THREADS = 4 };
#define CREW_PATIENCE 0.2 /* seconds given to a file thread at the end */

void sq_engine_unref(struct sq_engine *e) {
  if (atomic_fetch_sub(&e->refs, 1) != 1) return;
  pthread_mutex_destroy(&e->lock);
  pthread_mutex_destroy(&e->wire_lock);
  pthread_mutex_destroy(&e->step_lock);
  sq_limits_free(&e->limits);
  free(e->ring);
  free(e);
}

/* ---- start and end ---------------------------------------------------- */

bool sq_engine_is_foreign(const struct sq_engine *e) {
  return e->owner != sq_process_number();
}

/* Sets libcurl up here, and not with the first request, since it takes some
 * milliseconds, and a host makes its client before its first frame.  Why that
 * failed is for the first request to say. */
struct sq_engine *sq_engine_new(struct sq_failure *f) {
  sq_process_prepare();
  if (sq_process_enter(f)) sq_process_leave();
  struct sq_engine *e = calloc(1, sizeof *e);
  if (!e || !sq_queues_open(e)) {
    sq_failure_errno(f, e ? errno : ENOMEM, "cannot open", "a descriptor");
    free(e);
    return NULL;
  }
  e->refs = 1;
  e->owner = sq_process_number();
  pthread_mutex_init(&e->lock, NULL);
  pthread_mutex_init(&e->wire_lock, NULL);
  pthread_mutex_init(&e->step_lock, NULL);
  sq_list_init(&e->inbox);
  sq_list_init(&e->outbox);
  sq_list_init(&e->live);
  sq_list_init(&e->waiting);
  e->random =
      (uint64_t)sq_now() ^ (uint64_t)(uintptr_t)e ^ ((uint64_t)getpid() << 32);
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

static bool start_network(struct sq_engine *e) {
  return e->started = sq_thread_start(sq_engine_network_main, e, &e->thread);
}

static bool start_threads(struct sq_engine *e, struct sq_failure *f) {
  if (!sq_process_enter(f)) return false;
  e->wire = sq_wire_new();
  e->crews[SQ_FILE_CREW] = sq_crew_new(1);
  e->crews[SQ_ZIP_CREW] = sq_crew_new(ZIP_THREADS);
  bool ok = e->wire && e->crews[SQ_FILE_CREW] && e->crews[SQ_ZIP_CREW]
                ? sq_process_add(e, start_network, f)
                : sq_failure_set(f, SQ_NETWORK, "not enough memory");
  if (!ok) drop_parts(e);
  sq_process_leave();
  return ok;
}

void sq_engine_stop(struct sq_engine *e) {
  pthread_mutex_lock(&e->lock);
  bool was_running = e->started && !e->stop;
  e->stop = true;
  pthread_mutex_unlock(&e->lock);
  if (!was_running) return;
  sq_queues_wake_network(e);
  pthread_join(e->thread, NULL);
  drop_parts(e);
  sq_engine_drain_inbox(e);
}

void sq_engine_free(struct sq_engine *e) {
  if (!e) return;
  if (sq_engine_is_foreign(e)) {
    sq_queues_close(e); /* the rest is the parent's */
    return;
  }
  if (e->started) {
    sq_process_remove(e);
    sq_engine_stop(e);
    sq_process_leave();
  }
  pthread_mutex_lock(&e->lock);
  while (sq_list_pop(&e->outbox)) continue;
  sq_queues_close(e);
  pthread_mutex_unlock(&e->lock);
  sq_engine_unref(e);
}

bool sq_op_submit(struct sq_engine *e, struct sq_op *op, struct sq_failure *f) {
  if (!e->started && !e->stop && !start_threads(e, f)) return false;
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
