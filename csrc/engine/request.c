/*
 * request.c - one API request, with its retries.
 *
 *   start -> exchange -> judged -> done
 *              ^           | worth another try
 *              +-- wait <--+
 *
 * The operation owns its strings, the transfer of the attempt under way, and
 * the body; after its end the caller reads head and body from it.
 */
#include "op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/url.h"

struct request {
  struct sq_op op;
  char *operation, *method, *url, *body_text;
  size_t body_size;
  double timeout;
  bool post;
  int attempts;
  struct sq_transfer *transfer;
  struct sq_head head;
  struct sq_buf body;
  bool too_large, no_memory;
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

static void trace_end(struct request *r, const struct sq_failure *f) {
  struct sq_trace t;
  if (!open_trace(r, &t, f->kind == SQ_OK ? "response" : "failure")) return;
  t.http_status = r->head.status;
  t.seconds = sq_transfer_seconds(r->transfer);
  if (f->kind == SQ_OK)
    t.bytes = (int64_t)r->body.size;
  else
    snprintf(t.detail, sizeof t.detail, "%s%s%s", sq_kind_name(f->kind),
             f->code[0] ? ": " : "", f->code);
  sq_op_trace(&r->op, &t);
}

static void trace_retry(struct request *r, double wait) {
  struct sq_trace t;
  if (!open_trace(r, &t, "retry")) return;
  t.seconds = wait;
  sq_op_trace(&r->op, &t);
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

static void drop_transfer(struct request *r) {
  sq_transfer_free(r->transfer);
  r->transfer = NULL;
}

/* The platform's word that it has not carried out what it was asked. */
static bool is_refusal(enum sq_kind kind) {
  return kind == SQ_AUTHENTICATION || kind == SQ_PERMISSION ||
         kind == SQ_NOT_FOUND || kind == SQ_BAD_REQUEST ||
         kind == SQ_RATE_LIMITED || kind == SQ_QUOTA;
}

/* What this attempt came to; kind SQ_OK when its body is worth decoding. */
static void judge(struct request *r, const struct sq_failure *transport,
                  struct sq_failure *f) {
  *f = *transport;
  if (r->too_large) {
    sq_failure_set(f, SQ_PROTOCOL, "the answer is larger than %zu bytes",
                   r->op.profile->options.max_response_bytes);
  } else if (r->no_memory) {
    sq_failure_set(f, SQ_NETWORK, "out of memory");
    f->retryable = false;
  } else if (f->kind == SQ_OK &&
             !sq_answer_judge(r->head.status, r->body.data, r->body.size, f)) {
    int64_t now = r->head.date >= 0 ? r->head.date : (int64_t)time(NULL);
    if (r->head.retry_after[0])
      f->retry_after =
          sq_retry_after(r->head.retry_after, strlen(r->head.retry_after), now);
  }
  if (f->kind != SQ_OK) f->http_status = r->head.status;
  f->sent = r->post && transport->sent && !is_refusal(f->kind);
  sq_failure_hide(f, r->op.profile->options.api_key); /* trace shows it, too */
}

static void on_end(void *context, const struct sq_failure *transport) {
  struct request *r = context;
  const struct sq_profile_options *o = &r->op.profile->options;
  struct sq_retry_policy policy = {o->retries, o->max_retry_wait};
  struct sq_failure f;
  double wait;
  judge(r, transport, &f);
  trace_end(r, &f);
  drop_transfer(r);
  if (f.kind == SQ_OK) {
    r->op.failure = f; /* still tells http_status and sent */
    sq_op_finish(&r->op);
  } else if (sq_retry_decide(&policy, r->attempts, &f, r->post,
                             sq_op_random(&r->op), &wait)) {
    trace_retry(r, wait);
    sq_op_again_in(&r->op, sq_nanoseconds(wait) + 1);
  } else {
    sq_op_fail(&r->op, &f);
  }
}

static void start(struct sq_op *op) {
  static const struct sq_handlers handlers = {on_head, on_body, on_end};
  struct request *r = request_of(op);
  struct sq_transfer_options o = {0};
  struct sq_failure f;
  o.profile = &op->profile->options;
  o.method = r->method;
  o.url = r->url;
  o.api = true;
  o.body = r->body_text;
  o.body_size = r->body_size;
  o.timeout = r->timeout;
  r->attempts++;
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

static void wake(struct sq_op *op) { sq_op_again_in(op, 0); }

static void stop(struct sq_op *op) { drop_transfer(request_of(op)); }

static void destroy(struct sq_op *op) {
  struct request *r = request_of(op);
  sq_buf_free(&r->body);
  free(r->operation);
  free(r->method);
  free(r->url);
  free(r->body_text);
}

static const struct sq_op_class request_class = {
    .transfers = true,
    .brief = true,
    .start = start,
    .wake = wake,
    .stop = stop,
    .destroy = destroy,
};

struct sq_op *sq_request_new(struct sq_profile *p,
                             const struct sq_request_options *options) {
  struct request *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  sq_op_init(&r->op, &request_class, p);
  r->operation = sq_strdup(options->operation);
  r->method = sq_strdup(options->method);
  r->url = sq_strdup(options->url);
  r->body_text = sq_strdup(options->body);
  r->body_size = options->body_size;
  r->timeout = options->timeout;
  r->post = strcmp(options->method, "POST") == 0;
  if (r->operation && r->method && r->url && (r->body_text || !options->body))
    return &r->op;
  sq_op_unref(&r->op);
  return NULL;
}

const struct sq_head *sq_request_head(const struct sq_op *op) {
  return &((const struct request *)op)->head;
}

const struct sq_buf *sq_request_body(const struct sq_op *op) {
  return &((const struct request *)op)->body;
}
