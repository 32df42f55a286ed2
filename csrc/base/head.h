/*
 * head.h - the head of an HTTP answer, read strictly from its lines.
 *
 * libcurl takes a Content-Length that comes twice and differs, and shows a
 * Content-Range to nobody; so what decides about bytes is read here, by us,
 * from the lines as they came.
 */
#ifndef SQ_HEAD_H
#define SQ_HEAD_H

#include "../config.h"

#include <stdbool.h>
#include <stddef.h>

SQ_HIDDEN_BEGIN

enum {
  SQ_ABSENT = -1, /* the header did not come */
  SQ_BROKEN = -2, /* it came malformed, or twice and different */
  SQ_HEAD_BYTES_MAX = 256 * 1024
};

struct sq_head {
  int status;             /* 0: none yet */
  size_t bytes;           /* of all lines, earlier heads included */
  bool begun;             /* a line of this head came */
  bool complete;          /* the blank line came */
  bool malformed;         /* a folded line, which may hide anything */
  int64_t content_length; /* bytes, SQ_ABSENT or SQ_BROKEN */
  int64_t range_first;    /* Content-Range: bytes first-last/total; */
  int64_t range_last;     /* first SQ_ABSENT when unsatisfied (416) */
  int64_t range_total;    /* SQ_ABSENT for "*" */
  bool has_range, bad_range;
  bool has_etag;
  int64_t date;   /* epoch seconds, or -1 */
  char etag[192]; /* with its quotes and W/; "" when absent, too long,
                     or twice and different */
  char last_modified[64];
  char content_type[96];     /* cut when longer */
  char content_encoding[32]; /* the first but identity; cut when longer */
  char retry_after[64];
};

void sq_head_clear(struct sq_head *h);

/*
 * Takes one line as it came (with or without its line end).  A status line
 * begins a head; the blank line makes it complete, unless it is an interim
 * one (1xx), which leaves nothing behind.  Lines behind a complete head
 * (trailers) are counted and ignored.  False when the head is larger than
 * SQ_HEAD_BYTES_MAX.
 */
bool sq_head_line(struct sq_head *h, const char *line, size_t n);

/* A whole number of decimal digits, blanks around it allowed; SQ_BROKEN when
 * it is none, or does not fit. */
int64_t sq_decimal(const char *s, size_t n);

SQ_HIDDEN_END

#endif
