/*
 * jump.c - preloaded by the specs: a wall clock that jumps at every look, by
 * JUMP_SECONDS forwards, then as far backwards, then not at all.  Clocks that
 * never jump are left alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static time_t jump(void) {
  static atomic_uint looks;
  static const int turns[] = {1, -1, 0};
  const char *seconds = getenv("JUMP_SECONDS");
  int turn = turns[atomic_fetch_add(&looks, 1) % 3];
  return seconds ? turn * (time_t)atoll(seconds) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *t) {
  int (*real)(clockid_t, struct timespec *);
  *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
  int rc = real(clock, t);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
    t->tv_sec += jump();
  return rc;
}

time_t time(time_t *t) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (t) *t = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  t->tv_sec = now.tv_sec;
  t->tv_usec = now.tv_nsec / 1000;
  return 0;
}
