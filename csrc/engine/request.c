/*
 * request.c - one API request, with its retries.
 *
 *   start -> limits -> exchange -> judged -> done
 *    ^  ^       | not yet            | worth another try
 *    |  +- wait +                    |
 *    +---- wait <--------------------+
 *
 * What the platform's limits make it wait for spends no try.
 *
 * The operation owns its strings, the transfer of the attempt under way, the
 * body, and a reference of the file that it sends; after its end the caller
 * reads head and body from it.  While a file is sent a clock ticks, for
 * progress and stalls.
 */
#include "op.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/url.h"

#define TICK (SQ_SECOND / 10)

struct request {
  struct sq_op op;
  const char *method;
  char *operation, *url, *body_text, *app;
  size_t body_size;
  enum sq_action action;
  bool paced;          /* told that it waits for the pace, this try */
  struct sq_zip *file; /* null: none is sent */
  int64_t file_sent;   /* of its bytes */
  int64_t told, told_at;
  double rate;
  int file_errno; /* of a read that failed */
  double timeout;
  bool post;
  int attempts;
  struct sq_transfer *transfer;
  struct sq_head head;
  struct sq_buf body;
  bool too_large, no_memory;
  int64_t gone_at, ended_at; /* the last attempt */
};

static struct request *request_of(struct sq_op *op) {
  return (struct request *)op;
}

/* ---- trace ------------------------------------------------------------ */

static bool open_trace(struct request *r, struct sq_trace *t,
                       const char *event) {
  if (!sq_op_traces(&r->op, t, event)) return false;
  sq_show(t->operation, sizeof t->operation, r->operation,
          strlen(r->operation));
  sq_show(t->method, sizeof t->method, r->method, strlen(r->method));
  sq_show(t->url, sizeof t->url, r->url, sq_url_public_length(r->url));
  t->attempt = r->attempts;
  return true;
}

static void trace_request(struct request *r) {
  struct sq_trace t;
  if (open_trace(r, &t, "request")) sq_op_trace(&r->op, &t);
}

static void say_why(struct sq_trace *t, const char *what, const char *code) {
  snprintf(t->detail, sizeof t->detail, "%s%s%s", what, code[0] ? ": " : "",
           code);
}

static void trace_end(struct request *r, const struct sq_failure *f) {
  struct sq_trace t;
  if (!open_trace(r, &t, f->kind == SQ_OK ? "response" : "failure")) return;
  t.http_status = r->head.status;
  t.seconds = sq_transfer_seconds(r->transfer);
  if (f->kind == SQ_OK)
    t.bytes = (int64_t)r->body.size;
  else
    say_why(&t, sq_kind_name(f->kind), f->code);
  sq_op_trace(&r->op, &t);
}

static void trace_retry(struct request *r, const struct sq_failure *f,
                        double wait) {
  struct sq_trace t;
  if (!open_trace(r, &t, "retry")) return;
  say_why(&t, sq_kind_name(f->kind), f->code);
  t.seconds = wait;
  sq_op_trace(&r->op, &t);
}

/* Of the pace once a try: each create that goes puts the others off. */
static void trace_wait(struct request *r, const char *why, int64_t wait) {
  struct sq_trace t;
  bool pace = why == sq_limits_pace;
  if ((pace && r->paced) || !open_trace(r, &t, "wait")) return;
  r->paced = pace;
  t.attempt++;
  t.seconds = (double)wait / 1e9;
  if (pace)
    say_why(&t, why, "");
  else
    say_why(&t, sq_kind_name(SQ_RATE_LIMITED), why);
  sq_op_trace(&r->op, &t);
}

/* ---- limits ----------------------------------------------------------- */

static struct sq_limited limited(const struct request *r) {
  const struct sq_profile_options *o = &r->op.profile->options;
  return (struct sq_limited){r->action, r->app, o->pace, o->max_retry_wait,
                             &o->limit_times};
}

/* The nanoseconds that it has to wait for, which it traces; 0: it may go. */
static int64_t held_up(struct request *r) {
  struct sq_limited who = limited(r);
  const char *why = "";
  int64_t now = sq_now();
  int64_t at = sq_limits_may_go(sq_op_limits(&r->op), &who, now, &why);
  if (at > now) trace_wait(r, why, at - now);
  return at - now;
}

static void note_gone(void *context) {
  struct request *r = context;
  struct sq_limited who = limited(r);
  sq_limits_gone(sq_op_limits(&r->op), &who, sq_now());
}

/* As sq_limits_note. */
static double note_end(struct request *r, const struct sq_failure *f) {
  struct sq_limited who = limited(r);
  return sq_limits_note(sq_op_limits(&r->op), &who, r->gone_at, sq_now(), f);
}

/* ---- one attempt ------------------------------------------------------ */

static bool on_head(void *context, const struct sq_head *head) {
  struct request *r = context;
  r->head = *head;
  return true;
}

static enum sq_take on_body(void *context, const char *bytes, size_t n) {
  struct request *r = context;
  size_t limit = r->op.profile->options.max_response_bytes;
  if (n > limit || r->body.size > limit - n) {
    r->too_large = true;
    return SQ_STOP;
  }
  if (sq_buf_add(&r->body, bytes, n)) return SQ_TAKEN;
  r->no_memory = true;
  return SQ_STOP;
}

static int64_t on_read(void *context, char *dst, size_t n) {
  struct request *r = context;
  int64_t left = sq_zip_size(r->file) - r->file_sent;
  if (left < (int64_t)n) n = (size_t)left;
  int64_t got = sq_zip_pread(r->file, dst, n, r->file_sent);
  if (got < 0)
    r->file_errno = errno;
  else
    r->file_sent += got;
  return got;
}

static void drop_transfer(struct request *r) {
  sq_transfer_free(r->transfer);
  r->transfer = NULL;
}

/* The platform's word that it has not carried out what it was asked; a 202
 * says that it was taken, whatever its code. */
static bool is_refusal(const struct sq_failure *f) {
  if (f->http_status == 202) return false;
  switch (f->kind) {
    case SQ_AUTHENTICATION:
    case SQ_PERMISSION:
    case SQ_NOT_FOUND:
    case SQ_BAD_REQUEST:
    case SQ_RATE_LIMITED:
    case SQ_QUOTA:
      return true;
    case SQ_PENDING: /* another restore is under way, and this one is not */
      return f->http_status == 409 &&
             strcmp(f->code, "RESTORE_IN_PROGRESS") == 0;
    default:
      return false;
  }
}

/* What this attempt came to; kind SQ_OK when its body is worth decoding. */
static void judge(struct request *r, const struct sq_failure *transport,
                  struct sq_failure *f) {
  *f = *transport;
  if (r->too_large) {
    sq_failure_set(f, SQ_PROTOCOL,
                   "the answer is larger than %zu bytes (max_response_bytes)",
                   r->op.profile->options.max_response_bytes);
  } else if (r->no_memory) {
    sq_failure_set(f, SQ_NETWORK, "out of memory");
    f->retryable = false;
  } else if (r->file_errno) {
    sq_failure_errno(f, r->file_errno, "cannot read", sq_zip_path(r->file));
  } else if (f->kind == SQ_OK && !r->head.complete) {
    /* libcurl is content with a head that ends with the connection */
    sq_failure_set(f, SQ_NETWORK, "the answer ended inside its headers");
  } else if (f->kind == SQ_OK && !sq_answer_judge(r->head.status, r->body.data,
                                                  r->body.size, r->post, f)) {
    int64_t now = r->head.date >= 0 ? r->head.date : (int64_t)time(NULL);
    if (r->head.retry_after[0])
      f->retry_after =
          sq_retry_after(r->head.retry_after, strlen(r->head.retry_after), now);
  }
  if (f->kind != SQ_OK) f->http_status = r->head.status;
  f->sent = r->post && transport->sent && !r->file_errno && !is_refusal(f);
  sq_failure_hide(f, r->op.profile->options.api_key); /* trace shows it, too */
}

static void tell(struct request *r, int64_t now) {
  double seconds = (double)(now - r->told_at) / 1e9;
  if (seconds > 0 && r->file_sent >= r->told)
    r->rate =
        sq_smooth(r->rate, (double)(r->file_sent - r->told) / seconds, seconds);
  r->told = r->file_sent;
  r->told_at = now;
  struct sq_progress p = {r->file_sent, sq_zip_size(r->file), r->rate};
  sq_op_tell(&r->op, &p);
}

static void on_end(void *context, const struct sq_failure *transport) {
  struct request *r = context;
  const struct sq_profile_options *o = &r->op.profile->options;
  struct sq_retry_policy policy = {o->retries, o->max_retry_wait};
  struct sq_failure f;
  double wait;
  r->ended_at = sq_now();
  judge(r, transport, &f);
  double limit = note_end(r, &f);
  trace_end(r, &f);
  drop_transfer(r);
  sq_op_wake_in(&r->op, 0);
  if (f.kind == SQ_OK) {
    if (r->file_sent > r->told) tell(r, sq_now());
    r->op.failure = f; /* still tells http_status and sent */
    sq_op_finish(&r->op);
  } else if (limit >= 0 && sq_retry_decide(&policy, r->attempts, &f, r->post,
                                           sq_op_random(&r->op), &wait)) {
    atomic_store(&r->op.changes, false);
    if (wait < limit) wait = limit;
    trace_retry(r, &f, wait);
    sq_op_again_in(&r->op, sq_nanoseconds(wait) + 1);
  } else {
    sq_op_fail(&r->op, &f);
  }
}

static void start(struct sq_op *op) {
  static const struct sq_handlers handlers = {.sent = note_gone,
                                              .head = on_head,
                                              .body = on_body,
                                              .read = on_read,
                                              .end = on_end};
  struct request *r = request_of(op);
  struct sq_transfer_options o = {0};
  struct sq_transfer_file file;
  struct sq_failure f;
  int64_t wait = held_up(r);
  if (wait > 0) {
    sq_op_again_in(op, wait);
    return;
  }
  /* the caller cancels before it asks: one of the two sees the other */
  atomic_store(&op->changes, r->post);
  if (atomic_load(&op->cancel)) return;
  if (r->file) {
    const char *path = sq_zip_path(r->file), *slash = strrchr(path, '/');
    file.name = slash ? slash + 1 : path;
    file.size = sq_zip_size(r->file);
    o.file = &file;
    r->file_sent = r->told = 0;
    r->told_at = sq_now();
    r->rate = 0;
    sq_op_wake_in(op, TICK);
  }
  o.profile = &op->profile->options;
  o.method = r->method;
  o.url = r->url;
  o.api = true;
  o.body = r->body_text;
  o.body_size = r->body_size;
  o.timeout = r->file ? 0 : r->timeout; /* its size says how long it takes */
  r->attempts++;
  r->paced = false;
  r->gone_at = sq_now();
  note_gone(r);
  r->too_large = r->no_memory = false;
  r->body.size = 0; /* its memory serves again */
  sq_head_clear(&r->head);
  r->transfer = sq_transfer_new(sq_op_wire(op), &o, &handlers, r, &f);
  if (!r->transfer)
    sq_op_fail(op, &f);
  else
    trace_request(r);
}

/* ---- the class -------------------------------------------------------- */

/* Null, or what is wrong with the file's sending. */
static const char *problem_of(const struct request *r, int64_t now) {
  bool whole = r->file_sent == sq_zip_size(r->file);
  double most = whole ? r->timeout : r->op.profile->options.stall_timeout;
  int64_t still = now - sq_transfer_active_at(r->transfer);
  if (!sq_transfer_is_sent(r->transfer) || still < sq_nanoseconds(most))
    return NULL;
  return whole ? "no answer after everything was sent" : "the upload stalled";
}

/* A wait is over, or a file is being sent. */
static void wake(struct sq_op *op) {
  struct request *r = request_of(op);
  struct sq_failure f;
  if (!r->transfer) {
    sq_op_again_in(op, 0);
    return;
  }
  int64_t now = sq_now();
  const char *problem = problem_of(r, now);
  if (problem) {
    sq_failure_set(&f, SQ_TIMEOUT, "%s", problem);
    f.sent = true;
    on_end(r, &f);
  } else {
    if (r->file_sent > r->told) tell(r, now);
    sq_op_wake_in(op, TICK);
  }
}

static void cancel(struct sq_op *op) {
  struct request *r = request_of(op);
  bool sent = r->post && r->transfer && sq_transfer_is_sent(r->transfer);
  drop_transfer(r);
  sq_failure_set(&op->failure, SQ_CANCELLED, "cancelled");
  op->failure.sent = sent;
  sq_op_finish(op);
}

static void stop(struct sq_op *op) { drop_transfer(request_of(op)); }

static void destroy(struct sq_op *op) {
  struct request *r = request_of(op);
  sq_buf_free(&r->body);
  sq_zip_release(r->file);
  free(r->operation);
  free(r->url);
  free(r->body_text);
  free(r->app);
}

static const struct sq_op_class request_class = {
    .transfers = true,
    .start = start,
    .wake = wake,
    .cancel = cancel,
    .stop = stop,
    .destroy = destroy,
};

struct sq_op *sq_request_new(struct sq_profile *p,
                             const struct sq_request_options *options) {
  struct request *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  sq_op_init(&r->op, &request_class, p);
  r->operation = sq_strdup(options->operation);
  r->method = options->method;
  r->url = sq_strdup(options->url);
  r->body_text = sq_strdup(options->body);
  r->body_size = options->body_size;
  r->action = options->action;
  r->app = sq_strdup(options->app ? options->app : "");
  r->timeout = options->timeout;
  r->file = options->file;
  if (r->file) sq_zip_retain(r->file);
  r->post = strcmp(options->method, "POST") == 0;
  if (r->operation && r->url && r->app && (r->body_text || !options->body))
    return &r->op;
  sq_op_unref(&r->op); /* frees it */
  return NULL;         /* cppcheck-suppress memleak */
}

const struct sq_head *sq_request_head(const struct sq_op *op) {
  return &((const struct request *)op)->head;
}

void sq_request_times(const struct sq_op *op, int64_t *begun, int64_t *ended) {
  const struct request *r = (const struct request *)op;
  *begun = r->gone_at;
  *ended = r->ended_at;
}

const struct sq_buf *sq_request_body(const struct sq_op *op) {
  return &((const struct request *)op)->body;
}
