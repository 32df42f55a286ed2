/*
 * clock.h - monotonic time in nanoseconds, and seconds turned into it.
 */
#ifndef SQ_CLOCK_H
#define SQ_CLOCK_H

#include "../config.h"

#include <time.h>

SQ_HIDDEN_BEGIN

#define SQ_SECOND INT64_C(1000000000)

static inline int64_t sq_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * SQ_SECOND + t.tv_nsec;
}

/* Clamped to [0, about 30 years]. */
static inline int64_t sq_nanoseconds(double seconds) {
  if (!(seconds > 0)) return 0;
  return seconds < 1e9 ? (int64_t)(seconds * 1e9) : (int64_t)1e18;
}

SQ_HIDDEN_END

#endif
