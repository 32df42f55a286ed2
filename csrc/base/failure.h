/*
 * failure.h - what went wrong, as plain data that can cross threads.
 *
 * A failure owns no memory: it is copied by assignment, and making one cannot
 * fail.  Its text is fit to be shown: control characters are escaped and
 * secrets are gone before it gets here (sq_failure_set does both).
 */
#ifndef SQ_FAILURE_H
#define SQ_FAILURE_H

#include "../config.h"

#include <stdbool.h>
#include <stddef.h>

SQ_HIDDEN_BEGIN

enum sq_kind {
  SQ_OK = 0,
  SQ_AUTHENTICATION,
  SQ_PERMISSION,
  SQ_NOT_FOUND,
  SQ_BAD_REQUEST,
  SQ_RATE_LIMITED,
  SQ_QUOTA,
  SQ_PENDING,
  SQ_SERVER,
  SQ_NETWORK,
  SQ_TLS,
  SQ_TIMEOUT,
  SQ_PROTOCOL,
  SQ_EXPIRED,
  SQ_INTEGRITY,
  SQ_FILESYSTEM,
  SQ_EXISTS,
  SQ_CANCELLED,
  SQ_CLOSED,
  SQ_KIND_COUNT
};

struct sq_failure {
  enum sq_kind kind;
  bool retryable;     /* the same call may succeed later */
  bool sent;          /* a POST may have been carried out */
  int http_status;    /* 0: no answer */
  int curl_code;      /* 0: none */
  int err_no;         /* 0: none */
  double retry_after; /* seconds; negative: not said */
  char code[64];      /* the platform's, canonical spelling; "": none */
  char message[1024];
};

/* The kind's name in the contract ("not_found"); "ok" for SQ_OK. */
const char *sq_kind_name(enum sq_kind kind);

/* Clears `f` (kind SQ_OK, retry_after -1). */
void sq_failure_clear(struct sq_failure *f);

/*
 * Makes `f` a failure of `kind` with a printf-like message, cleared first.
 * The text is shown safely: control characters (those that turn the writing
 * direction round, too) and bytes that are no UTF-8 become \xHH; what follows
 * a `?` becomes "[hidden]" when it looks like a query (a `=` before the next
 * blank), and so do the values behind Signature=, AWSAccessKeyId=,
 * X-Amz-Credential=, X-Amz-Security-Token= (or as XML tags) and, to the end
 * of its line or a quote, Authorization:, whatever the case.  Text that was
 * shown before may be shown again.  Cut at the buffer's end on a character's
 * boundary with "...".  `retryable` is set by kind: network, timeout, server,
 * rate_limited and pending are.  The arguments may point into `f`.  Gives
 * false, so that a function can `return sq_failure_set(...)`.
 */
bool sq_failure_set(struct sq_failure *f, enum sq_kind kind, const char *format,
                    ...) SQ_PRINTF(3, 4);

/* The same for a system call: kind filesystem, err_no set, and
 * "<what> <path>: <strerror>" as the message (a null path is left out, a
 * very long one is cut so that the reason stays). */
bool sq_failure_errno(struct sq_failure *f, int err_no, const char *what,
                      const char *path);

/* Replaces each occurrence of `secret` in the message and code by "[hidden]",
 * the beginning of one that was cut at the text's end, too.  Nothing happens
 * when it is null or shorter than 4 bytes. */
void sq_failure_hide(struct sq_failure *f, const char *secret);

/* Copies `n` bytes of outside text to `dst` as sq_failure_set shows it;
 * always terminated; gives dst. */
char *sq_show(char *dst, size_t cap, const char *text, size_t n);

SQ_HIDDEN_END

#endif
