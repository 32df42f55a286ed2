/*
 * process.c - what engines mean to their process: its end stops their network
 * threads before libcurl and OpenSSL are taken down under them, and a fork
 * waits until no thread of ours is inside them.
 *
 * Owns the list of running engines, the one such thing of the process.  A
 * thread that sets up libcurl, or starts or stops an engine, says so from
 * sq_process_enter to sq_process_leave: exit and fork wait for it.
 */
#include "engine_private.h"

#include <pthread.h>
#include <stdlib.h>

#include "../base/clock.h"
#include "transfer.h"

#define PATIENCE (2 * SQ_SECOND)

static struct {
  pthread_mutex_t lock;
  pthread_cond_t fewer;
  struct sq_link list; /* engines whose network thread runs */
  int busy;            /* threads between enter and leave */
  bool over;           /* the process ends: no thread is started any more */
  bool has_libcurl;
  pthread_once_t once, libcurl_once;
} process = {.lock = PTHREAD_MUTEX_INITIALIZER,
             .once = PTHREAD_ONCE_INIT,
             .libcurl_once = PTHREAD_ONCE_INIT};

/* ---- who we are ------------------------------------------------------- */

/* How many forks lie between this process and the first: what has another
 * number is a forebear's.  (getpid would be a system call at every use.) */
static unsigned number = 1;

unsigned sq_process_number(void) { return number; }

/* ---- its end, its forks ----------------------------------------------- */

/* With the lock held.  Not for ever: whoever exits from a signal's handler may
 * be the one that is busy. */
static void wait_for_busy(void) {
  int64_t end = sq_now() + PATIENCE;
  while (process.busy > 0 &&
         sq_cond_wait_until(&process.fewer, &process.lock, end))
    continue;
}

static void at_exit(void) {
  struct sq_link *link;
  pthread_mutex_lock(&process.lock);
  process.over = true;
  while ((link = sq_list_pop(&process.list))) {
    struct sq_engine *e = SQ_HOLDER(link, struct sq_engine, engines);
    if (!sq_engine_is_foreign(e)) sq_engine_stop(e);
  }
  wait_for_busy();
  pthread_mutex_unlock(&process.lock);
}

/* The locks of libcurl and OpenSSL are such as the child could never take;
 * it waits the time of a step at most. */
static void before_fork(void) {
  struct sq_link *link;
  pthread_mutex_lock(&process.lock);
  wait_for_busy();
  for (link = process.list.next; link != &process.list; link = link->next)
    pthread_mutex_lock(&SQ_HOLDER(link, struct sq_engine, engines)->step_lock);
}

static void in_parent(void) {
  struct sq_link *link;
  for (link = process.list.next; link != &process.list; link = link->next)
    pthread_mutex_unlock(
        &SQ_HOLDER(link, struct sq_engine, engines)->step_lock);
  pthread_mutex_unlock(&process.lock);
}

/* All engines are foreign, and none is known any more. */
static void in_child(void) {
  number++;
  pthread_mutex_init(&process.lock, NULL);
  sq_cond_init(&process.fewer);
  sq_list_init(&process.list);
  process.busy = 0;
}

/* Ends run in the reverse of the order in which they were asked for, and a
 * process may end while another thread sets libcurl up: so libcrypto's end is
 * asked for first, then ours, and only then comes the set-up. */
static void set_up(void) {
  sq_list_init(&process.list);
  sq_cond_init(&process.fewer);
  sq_wire_prepare();
  if (atexit(at_exit) != 0) process.over = true;
  pthread_atfork(before_fork, in_parent, in_child);
}

void sq_process_prepare(void) { pthread_once(&process.once, set_up); }

/* Where the set-up asks for an end after all, ours comes before that. */
static void set_up_libcurl(void) {
  process.has_libcurl = sq_wire_global() && atexit(at_exit) == 0;
}

bool sq_process_enter(struct sq_failure *f) {
  pthread_mutex_lock(&process.lock);
  bool over = process.over;
  if (!over) process.busy++;
  pthread_mutex_unlock(&process.lock);
  if (over) return sq_failure_set(f, SQ_CLOSED, "the process is ending");
  pthread_once(&process.libcurl_once, set_up_libcurl);
  if (process.has_libcurl) return true;
  sq_process_leave();
  return sq_failure_set(f, SQ_NETWORK, "libcurl could not be initialised");
}

void sq_process_leave(void) {
  pthread_mutex_lock(&process.lock);
  process.busy--;
  pthread_cond_broadcast(&process.fewer);
  pthread_mutex_unlock(&process.lock);
}

bool sq_process_add(struct sq_engine *e, bool (*start)(struct sq_engine *e),
                    struct sq_failure *f) {
  pthread_mutex_lock(&process.lock);
  bool over = process.over, ok = !over && start(e);
  if (ok) sq_list_append(&process.list, &e->engines);
  pthread_mutex_unlock(&process.lock);
  if (over) return sq_failure_set(f, SQ_CLOSED, "the process is ending");
  return ok ||
         sq_failure_set(f, SQ_NETWORK, "the engine's thread cannot be started");
}

void sq_process_remove(struct sq_engine *e) {
  pthread_mutex_lock(&process.lock);
  sq_link_leave(&e->engines);
  process.busy++;
  pthread_mutex_unlock(&process.lock);
}
