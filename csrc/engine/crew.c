/*
 * crew.c - see crew.h.  One lock guards all of a crew; no job runs under it,
 * but `done` does, so that a stop cannot fall between a job's end and its
 * telling.
 */
#include "crew.h"

#include <signal.h>
#include <stdlib.h>

#include "../base/clock.h"

enum { STACK_BYTES = 256 * 1024, CREW_MAX = 16 };

struct sq_crew {
  pthread_mutex_t lock;
  pthread_cond_t work, quiet;
  struct sq_link jobs;
  int refs;    /* the owner, and each thread */
  int size;    /* threads at most */
  int threads; /* started */
  int idle;    /* waiting for work, or woken for it */
  int queued;  /* jobs that no thread has taken */
  int busy;    /* alive and not yet gone */
  bool stopped;
  pthread_t ids[CREW_MAX];
};

bool sq_thread_start(void *(*run)(void *), void *arg, void *pthread) {
  pthread_attr_t attr;
  sigset_t all, old;
  if (pthread_attr_init(&attr) != 0) return false;
  pthread_attr_setstacksize(&attr, STACK_BYTES);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int rc = pthread_create(pthread, &attr, run, arg);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attr);
  return rc == 0;
}

void sq_cond_init(pthread_cond_t *cond) {
#if defined(SQ_NO_COND_CLOCK)
  pthread_cond_init(cond, NULL);
#else
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(cond, &attr);
  pthread_condattr_destroy(&attr);
#endif
}

/* The end as the condition's clock has it. */
static int64_t end_by_clock(int64_t end) {
#if defined(SQ_NO_COND_CLOCK)
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return end - sq_now() + (int64_t)now.tv_sec * SQ_SECOND + now.tv_nsec;
#else
  return end;
#endif
}

bool sq_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock,
                        int64_t end) {
  int64_t at = end_by_clock(end);
  struct timespec until = {(time_t)(at / SQ_SECOND), (long)(at % SQ_SECOND)};
  pthread_cond_timedwait(cond, lock, &until);
  return sq_now() < end;
}

static void destroy(struct sq_crew *crew) {
  pthread_cond_destroy(&crew->quiet);
  pthread_cond_destroy(&crew->work);
  pthread_mutex_destroy(&crew->lock);
  free(crew);
}

/* Unlocks, and frees with the last reference. */
static void leave(struct sq_crew *crew) {
  bool last = --crew->refs == 0;
  pthread_mutex_unlock(&crew->lock);
  if (last) destroy(crew);
}

static void *crew_main(void *arg) {
  struct sq_crew *crew = arg;
  pthread_mutex_lock(&crew->lock);
  for (;;) {
    struct sq_link *link = sq_list_pop(&crew->jobs);
    if (!link) {
      if (crew->stopped) break;
      crew->idle++;
      pthread_cond_wait(&crew->work, &crew->lock);
      crew->idle--;
      continue;
    }
    struct sq_job *job = SQ_HOLDER(link, struct sq_job, link);
    crew->queued--;
    pthread_mutex_unlock(&crew->lock);
    job->run(job);
    pthread_mutex_lock(&crew->lock);
    if (!crew->stopped)
      job->done(job);
    else
      job->dropped(job);
  }
  crew->busy--;
  pthread_cond_signal(&crew->quiet);
  leave(crew);
  return NULL;
}

struct sq_crew *sq_crew_new(int threads) {
  struct sq_crew *crew = calloc(1, sizeof *crew);
  if (!crew) return NULL;
  pthread_mutex_init(&crew->lock, NULL);
  pthread_cond_init(&crew->work, NULL);
  sq_cond_init(&crew->quiet);
  sq_list_init(&crew->jobs);
  crew->refs = 1;
  crew->size = threads < CREW_MAX ? threads : CREW_MAX;
  return crew;
}

/* With the lock held. */
static void start_one(struct sq_crew *crew) {
  if (crew->idle > crew->queued || crew->threads == crew->size) return;
  if (!sq_thread_start(crew_main, crew, &crew->ids[crew->threads])) return;
  crew->threads++;
  crew->busy++;
  crew->refs++;
}

bool sq_crew_add(struct sq_crew *crew, struct sq_job *job) {
  pthread_mutex_lock(&crew->lock);
  start_one(crew);
  bool ok = crew->threads > 0 && !crew->stopped;
  if (ok) {
    sq_list_append(&crew->jobs, &job->link);
    crew->queued++;
    pthread_cond_signal(&crew->work);
  }
  pthread_mutex_unlock(&crew->lock);
  return ok;
}

static void wait_quiet(struct sq_crew *crew, double seconds) {
  int64_t end = sq_now() + sq_nanoseconds(seconds);
  while (crew->busy > 0 && sq_cond_wait_until(&crew->quiet, &crew->lock, end))
    continue;
}

/* With the lock held: drops the jobs not begun, or all of those but `last`
 * ones. */
static void drop_jobs(struct sq_crew *crew, bool all) {
  struct sq_link *link, kept;
  sq_list_init(&kept);
  while ((link = sq_list_pop(&crew->jobs))) {
    struct sq_job *job = SQ_HOLDER(link, struct sq_job, link);
    if (job->last && !all)
      sq_list_append(&kept, link);
    else
      job->dropped(job);
  }
  while ((link = sq_list_pop(&kept))) sq_list_append(&crew->jobs, link);
}

void sq_crew_stop(struct sq_crew *crew, double seconds) {
  pthread_mutex_lock(&crew->lock);
  crew->stopped = true;
  drop_jobs(crew, false);
  pthread_cond_broadcast(&crew->work);
  wait_quiet(crew, seconds);
  drop_jobs(crew, true);
  bool all_gone = crew->busy == 0;
  pthread_mutex_unlock(&crew->lock);
  for (int i = 0; i < crew->threads; i++) {
    if (all_gone)
      pthread_join(crew->ids[i], NULL);
    else
      pthread_detach(crew->ids[i]);
  }
  pthread_mutex_lock(&crew->lock);
  leave(crew);
}
