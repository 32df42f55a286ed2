/*
 * limits.h - the platform's rate limits: what one API key has to wait for.
 *
 * A limit pauses more than the request that met it, so what is known of it is
 * kept for the key, and each request asks before it goes:
 *
 *   sq_limits_may_go -> goes: sq_limits_gone -> answered: sq_limits_note
 *         ^  not yet      |                                   | again
 *         +--- waits <----+-----------------------------------+
 *
 * Which code pauses what is said by the one table in limits.c; for how long,
 * by struct sq_limit_times.  Times are monotonic nanoseconds.
 */
#ifndef SQ_LIMITS_H
#define SQ_LIMITS_H

#include "failure.h"

SQ_HIDDEN_BEGIN

/* Seconds that a limit pauses what it pauses, when the platform names no
 * time, and that creates of one key are kept apart. */
struct sq_limit_times {
  double calls;       /* every call of the key */
  double creates;     /* its creates */
  double application; /* creates and restores of one application */
  double pace;
};
extern const struct sq_limit_times sq_limit_times; /* the platform's */

/* What a request does, as far as limits are concerned. */
enum sq_action { SQ_ASKS = 0, SQ_CREATES, SQ_RESTORES };

/* A request, and how long it is ready to wait. */
struct sq_limited {
  enum sq_action action;
  const char *app; /* id of what is created of or restored; "": none */
  double pace;     /* seconds behind the last create; 0: at once */
  double most;     /* seconds of a pause; 0: never */
  const struct sq_limit_times *times;
};

/* The limits of one key; null wherever one is taken means none. */
struct sq_limits;

/* Those of `key`, in the list *all of the keys that are known (null at first);
 * made when they are not there, null when memory is short. */
struct sq_limits *sq_limits_of(struct sq_limits **all, const char *key,
                               int64_t now);
void sq_limits_free(struct sq_limits **all);

/* When the request may go: `now`, or later; then *why is what it waits for:
 * the limit's code ("": it had none that is known), or sq_limits_pace. */
extern const char sq_limits_pace[];
int64_t sq_limits_may_go(struct sq_limits *l, const struct sq_limited *who,
                         int64_t now, const char **why);

/* It goes; and once more when it is on its way, which may be later. */
void sq_limits_gone(struct sq_limits *l, const struct sq_limited *who,
                    int64_t now);

/* A request that went at `gone` came to `f`.  Gives the seconds that it has
 * to wait before it goes again: 0 when it met no limit, negative when it met
 * one that it will not wait out. */
double sq_limits_note(struct sq_limits *l, const struct sq_limited *who,
                      int64_t gone, int64_t now, const struct sq_failure *f);

SQ_HIDDEN_END

#endif
