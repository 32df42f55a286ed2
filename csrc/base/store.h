/*
 * store.h - what an answer of the store means for the bytes of a download:
 * judged from its head, before the first byte is written.
 *
 * libcurl checks of a range at most its start; everything that decides
 * whether bytes may be joined is decided here, and driven by table tests.
 */
#ifndef SQ_STORE_H
#define SQ_STORE_H

#include "failure.h"
#include "head.h"

SQ_HIDDEN_BEGIN

/* What was asked, and what is known. */
struct sq_want {
  bool ranged;          /* a Range was sent: bytes=first-(end - 1) */
  int64_t first, end;   /* end -1: to the object's end */
  int64_t total;        /* of the object, -1 while unknown */
  int64_t expected;     /* what the listing says, -1: nothing */
  int64_t expires;      /* from the address, epoch seconds, -1: none */
  const char *etag;     /* of the bytes that are there; "": none */
  const char *modified; /* their Last-Modified; "": none */
  bool begun;           /* bytes are there, or on their way */
  bool pinned;          /* the address names a version: it cannot change */
};

enum sq_verdict {
  SQ_VERDICT_TAKE,     /* the body is bytes [first, first + length) */
  SQ_VERDICT_WHOLE,    /* it is the whole object: drop what is there */
  SQ_VERDICT_DONE,     /* 416: everything is there already */
  SQ_VERDICT_RESTART,  /* start over without ranges, once; else failure */
  SQ_VERDICT_REDIRECT, /* look at where it points */
  SQ_VERDICT_ERROR,    /* read the body for its code: sq_store_error */
  SQ_VERDICT_REFUSE    /* final: failure */
};

struct sq_grant {
  enum sq_verdict verdict;
  int64_t first, length; /* length -1: until the connection ends */
  int64_t total;         /* -1: still unknown */
  bool assumed;          /* the answer has no length of its own: one that
                            ends early may end without any error */
  struct sq_failure failure;
};

void sq_store_judge(const struct sq_want *want, const struct sq_head *head,
                    struct sq_grant *grant);

/* The failure that a non-2xx answer stands for; `body` is at most its first
 * 16 KiB, XML with a <Code> as S3 has it, or anything.  Time of day comes
 * from the answer's Date, else from `now`. */
void sq_store_error(const struct sq_want *want, const struct sq_head *head,
                    const char *body, size_t n, int64_t now,
                    struct sq_failure *f);

/* Null when a file may begin with these (1 to 4) bytes of a ZIP, else what
 * it looks like: "an HTML page", "XML", "JSON", "no ZIP file". */
const char *sq_store_magic_problem(const char *bytes, size_t n);

/* True when an etag may stand in If-Range: quoted, not weak, not empty. */
bool sq_etag_is_strong(const char *etag);

SQ_HIDDEN_END

#endif
