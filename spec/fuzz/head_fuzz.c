/*
 * head_fuzz.c - an answer's head, and what the store's answers mean for the
 * bytes of a download: csrc/base/head.c, csrc/base/store.c.
 *
 *   8 bytes of what is wanted, the head's lines, a blank line, a body
 */
#include "fuzz.h"

#include "../../csrc/base/store.h"

static void check_head(const struct sq_head *h) {
  CHECK(h->content_length >= SQ_BROKEN && h->date >= -1);
  CHECK(h->status == 0 || (h->status >= 100 && h->status <= 999));
  CHECK(fuzz_line_is_plain(h->etag));
  CHECK(fuzz_line_is_plain(h->last_modified));
  CHECK(fuzz_line_is_plain(h->retry_after));
  CHECK(strlen(h->content_type) < sizeof h->content_type);
  CHECK(strlen(h->content_encoding) < sizeof h->content_encoding);
  if (!h->has_range || h->bad_range) {
    CHECK(h->range_first == SQ_ABSENT && h->range_total == SQ_ABSENT);
  } else if (h->range_first >= 0) {
    CHECK(h->range_last >= h->range_first && h->range_last < INT64_MAX);
    CHECK(h->range_total == SQ_ABSENT || h->range_last < h->range_total);
  } else {
    CHECK(h->range_total >= 0);
  }
}

static void check_failure(const struct sq_failure *f) {
  CHECK(f->kind != SQ_OK && f->kind < SQ_KIND_COUNT);
  CHECK(f->message[0] != '\0' && fuzz_line_is_plain(f->message));
  CHECK(fuzz_line_is_plain(f->code));
}

/* Bytes are taken only where they belong. */
static void check_grant(const struct sq_want *w, const struct sq_head *h,
                        const struct sq_grant *g) {
  CHECK(g->length >= -1 && g->total >= -1);
  switch (g->verdict) {
    case SQ_VERDICT_TAKE:
      CHECK(w->ranged && h->status == 206);
      CHECK(g->first == w->first && g->length > 0);
      CHECK(g->first <= INT64_MAX - g->length);
      CHECK(w->end < 0 || g->first + g->length <= w->end);
      CHECK(g->total < 0 || g->first + g->length <= g->total);
      CHECK(w->total < 0 || g->total == w->total);
      break;
    case SQ_VERDICT_WHOLE:
      CHECK(h->status == 200 && g->first == 0);
      CHECK(w->expected < 0 || g->total == w->expected);
      break;
    case SQ_VERDICT_DONE:
      CHECK(h->status == 416 && g->total == w->first && w->first > 0);
      break;
    case SQ_VERDICT_RESTART:
    case SQ_VERDICT_REFUSE:
      check_failure(&g->failure);
      break;
    case SQ_VERDICT_REDIRECT:
    case SQ_VERDICT_ERROR:
      CHECK(h->status >= 300);
      break;
  }
}

static struct sq_want take_want(const uint8_t **data, size_t *size) {
  struct sq_want w = {0};
  unsigned flags = (unsigned)fuzz_take(data, size, 1);
  w.ranged = flags & 1;
  w.pinned = flags & 2;
  w.etag = flags & 4 ? "\"abc\"" : "";
  w.modified = flags & 128 ? "Thu, 27 Jun 2024 06:23:42 GMT" : "";
  w.begun = w.modified[0] != '\0';
  w.first = (int64_t)fuzz_take(data, size, 1);
  w.end = flags & 8 ? w.first + 1 + (int64_t)fuzz_take(data, size, 1) : -1;
  w.total = flags & 16 ? w.first + (int64_t)fuzz_take(data, size, 2) : -1;
  w.expected = flags & 32 ? (int64_t)fuzz_take(data, size, 2) : -1;
  w.expires = flags & 64 ? 1700000000 : -1;
  if (!w.ranged) w.first = 0;
  if (w.total >= 0 && w.expected >= 0) w.total = w.expected;
  /* as the download keeps it: a piece ends, and inside the total once that
     is known */
  if (w.total >= 0 && (w.end < 0 || w.end > w.total)) w.end = w.total;
  return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct sq_want want = take_want(&data, &size);
  struct sq_head head;
  struct sq_grant grant;
  sq_head_clear(&head);
  while (size > 0 && !head.complete) {
    const uint8_t *end = memchr(data, '\n', size);
    size_t n = end ? (size_t)(end + 1 - data) : size;
    char *line = malloc(n); /* to its last byte, no NUL behind it */
    CHECK(line != NULL);
    memcpy(line, data, n);
    bool fits = sq_head_line(&head, line, n);
    CHECK(fits == (head.bytes <= SQ_HEAD_BYTES_MAX));
    CHECK(sq_decimal(line, n) >= SQ_BROKEN);
    free(line);
    check_head(&head);
    data += n;
    size -= n;
  }
  sq_store_judge(&want, &head, &grant);
  check_grant(&want, &head, &grant);
  if (grant.verdict == SQ_VERDICT_ERROR) {
    struct sq_failure f;
    sq_store_error(&want, &head, (const char *)data, size, 1700000000, &f);
    check_failure(&f);
    CHECK(f.retry_after >= -1);
  }
  if (size > 0) {
    const char *problem = sq_store_magic_problem((const char *)data, size);
    if (!problem && size > 1) CHECK(memcmp(data, "PK", 2) == 0);
  }
  return 0;
}
