/*
 * clock.h - monotonic time in nanoseconds, seconds turned into it, and rates
 * by it.
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

/* The smoothed rate (0: none yet) after `seconds` at `newest` a second. */
static inline double sq_smooth(double rate, double newest, double seconds) {
  double weight = seconds < 1 ? seconds / (seconds + 1) : 0.5;
  return rate > 0 ? rate + weight * (newest - rate) : newest;
}

SQ_HIDDEN_END

#endif
