/*
 * timer.c - an operation that ends after a while, by the monotonic clock.
 */
#include "op.h"

#include <stdlib.h>

#include "../base/clock.h"

struct timer {
  struct sq_op op;
  int64_t nanoseconds;
};

static void start(struct sq_op *op) {
  sq_op_wake_in(op, ((struct timer *)op)->nanoseconds + 1);
}

static void wake(struct sq_op *op) { sq_op_finish(op); }
static void stop(struct sq_op *op) { sq_op_wake_in(op, 0); }
static void destroy(struct sq_op *op) { (void)op; }

static const struct sq_op_class timer_class = {
    .start = start,
    .wake = wake,
    .stop = stop,
    .destroy = destroy,
};

struct sq_op *sq_timer_new(double seconds) {
  struct timer *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  sq_op_init(&t->op, &timer_class, NULL);
  t->nanoseconds = sq_nanoseconds(seconds);
  return &t->op;
}
