/*
 * answer.h - what an answer of the API means, before any JSON is decoded.
 *
 * The kind comes from code and status by response_codes.h.
 */
#ifndef SQ_ANSWER_H
#define SQ_ANSWER_H

#include "failure.h"

SQ_HIDDEN_BEGIN

/* Top-level members of an envelope, found by a scan that decodes nothing
 * else and recurses nowhere (a depth counter), whatever the bytes are.  Of
 * members with the same name the last one counts; all are "" when the body
 * is no object.  \u0000 and halves of surrogate pairs become U+FFFD. */
struct sq_envelope {
  bool is_object;    /* the body is one JSON object as far as a scan sees */
  char status[16];   /* "success", "error"; "" when absent or no string */
  char code[64];     /* as on the wire; "" when absent or no string */
  char message[512]; /* unescaped (\uXXXX to UTF-8), cut; "" when absent */
  bool message_cut;  /* more of it was there */
};
void sq_envelope_scan(const char *body, size_t n, struct sq_envelope *out);

/*
 * Judges an answer: true when it is a success whose body is worth decoding
 * (2xx and {"status":"success",...}; not SNAPSHOT_PROCESSING, which is
 * `pending` even then).  Else `f` is the failure: kind, canonical
 * code, http_status, and the platform's message, or a plain sentence when
 * there is none.  A success leaves `f` clear but for its http_status.
 *   3xx                          protocol ("a redirect on the API")
 *   4xx, 5xx, or status "error"  by sq_response_kind; `post`: what was asked
 *                                was a POST
 *   2xx, empty or HTML body      server (a gateway answered)
 *   2xx, anything else           protocol (status "error" with a code that
 *                                says nothing, too)
 */
bool sq_answer_judge(int http_status, const char *body, size_t n, bool post,
                     struct sq_failure *f);

/* Retry-After: seconds (whole, not negative) or an HTTP date judged against
 * `now` (epoch seconds; the answer's own Date when it has one, never in the
 * past: 0 at least).  -1 when absent or malformed; at most 1e15. */
double sq_retry_after(const char *value, size_t n, int64_t now);

/* How often, and how long, an operation may wait for another try. */
struct sq_retry_policy {
  int retries;           /* attempts after the first, at most */
  double max_retry_wait; /* seconds a Retry-After may ask for */
};

/*
 * Whether to try again after the attempt number `attempts` (1 is the first)
 * failed with `f`, and after how many seconds.  GETs: network, timeout,
 * server, rate_limited.  POSTs (`post`): only what cannot have been carried
 * out: network and timeout with f->sent false, and rate_limited by HTTP 429.
 * Never quota.  Exponential from 0.5 s doubling, capped at 30 s, full jitter
 * (`random` is uniform in [0, 1)); retry_after is a floor, and one above
 * max_retry_wait is final.  *wait is 0 when the answer is no.
 */
bool sq_retry_decide(const struct sq_retry_policy *policy, int attempts,
                     const struct sq_failure *f, bool post, double random,
                     double *wait);

SQ_HIDDEN_END

#endif
