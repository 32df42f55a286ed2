/*
 * head.c - the one reader of answer lines.  Owns nothing; see head.h.
 */
#include "head.h"

#include <string.h>
#include <strings.h>

#include "isotime.h"
#include "url.h"

struct text {
  const char *s;
  size_t n;
};

static struct text trim(const char *s, size_t n) {
  while (n > 0 && (s[0] == ' ' || s[0] == '\t')) s++, n--;
  while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r' ||
                   s[n - 1] == '\n'))
    n--;
  return (struct text){s, n};
}

int64_t sq_decimal(const char *s, size_t n) {
  struct text t = trim(s, n);
  int64_t value = 0;
  if (t.n == 0) return SQ_BROKEN;
  for (size_t i = 0; i < t.n; i++) {
    int digit = t.s[i] - '0';
    if (digit < 0 || digit > 9) return SQ_BROKEN;
    if (value > (INT64_MAX - digit) / 10) return SQ_BROKEN;
    value = value * 10 + digit;
  }
  return value;
}

void sq_head_clear(struct sq_head *h) {
  memset(h, 0, sizeof *h);
  h->content_length = SQ_ABSENT;
  h->range_first = h->range_last = h->range_total = SQ_ABSENT;
  h->date = -1;
}

/* What matters is how the value begins. */
static void keep_start(char *dst, size_t cap, struct text value) {
  size_t n = value.n < cap ? value.n : cap - 1;
  memcpy(dst, value.s, n);
  dst[n] = '\0';
}

/* A value too long for its field counts as absent, and so does one with a
 * control character: half an etag would be another etag. */
static void keep(char *dst, size_t cap, struct text value) {
  bool fits = value.n < cap && sq_text_is_plain(value.s, value.n);
  keep_start(dst, cap, fits ? value : (struct text){"", 0});
}

/* "bytes 0-9/10", "bytes 0-9/" + star, "bytes " + star + "/10" */
static bool read_range(struct sq_head *h, struct text v) {
  if (v.n < 6 || strncasecmp(v.s, "bytes", 5) != 0 ||
      (v.s[5] != ' ' && v.s[5] != '\t'))
    return false;
  v = trim(v.s + 5, v.n - 5);
  const char *slash = memchr(v.s, '/', v.n);
  if (!slash) return false;
  struct text span = trim(v.s, (size_t)(slash - v.s));
  struct text total = trim(slash + 1, v.n - (size_t)(slash + 1 - v.s));
  h->range_total = total.n == 1 && total.s[0] == '*'
                       ? SQ_ABSENT
                       : sq_decimal(total.s, total.n);
  if (h->range_total == SQ_BROKEN) return false;
  if (span.n == 1 && span.s[0] == '*') return h->range_total >= 0;
  const char *dash = memchr(span.s, '-', span.n);
  if (!dash) return false;
  h->range_first = sq_decimal(span.s, (size_t)(dash - span.s));
  h->range_last = sq_decimal(dash + 1, span.n - (size_t)(dash + 1 - span.s));
  return h->range_first >= 0 && h->range_last >= h->range_first &&
         h->range_last < INT64_MAX && /* its length is a number, too */
         (h->range_total < 0 || h->range_last < h->range_total);
}

static void take_length(struct sq_head *h, struct text v) {
  int64_t length = sq_decimal(v.s, v.n);
  if (h->content_length != SQ_ABSENT && h->content_length != length)
    length = SQ_BROKEN;
  h->content_length = length;
}

static void take_range(struct sq_head *h, struct text v) {
  if (h->has_range || !read_range(h, v)) {
    h->range_first = h->range_last = h->range_total = SQ_ABSENT;
    h->bad_range = true;
  }
  h->has_range = true;
}

static void take_etag(struct sq_head *h, struct text v) {
  char etag[sizeof h->etag];
  keep(etag, sizeof etag, v);
  if (h->has_etag && strcmp(etag, h->etag) != 0) etag[0] = '\0';
  memcpy(h->etag, etag, sizeof etag);
  h->has_etag = true;
}

/* Of several lines the one that says most: nothing may hide a coding. */
static void take_encoding(struct sq_head *h, struct text v) {
  char *now = h->content_encoding;
  if (v.n > 0 && (!now[0] || strcasecmp(now, "identity") == 0))
    keep_start(now, sizeof h->content_encoding, v);
}

static bool named(struct text name, const char *want) {
  return name.n == strlen(want) && strncasecmp(name.s, want, name.n) == 0;
}

static void take_field(struct sq_head *h, struct text name, struct text v) {
  if (named(name, "content-length"))
    take_length(h, v);
  else if (named(name, "content-range"))
    take_range(h, v);
  else if (named(name, "etag"))
    take_etag(h, v);
  else if (named(name, "last-modified"))
    keep(h->last_modified, sizeof h->last_modified, v);
  else if (named(name, "content-type"))
    keep_start(h->content_type, sizeof h->content_type, v);
  else if (named(name, "content-encoding"))
    take_encoding(h, v);
  else if (named(name, "retry-after"))
    keep(h->retry_after, sizeof h->retry_after, v);
  else if (named(name, "date"))
    h->date = sq_time_parse_http(v.s, v.n);
}

/* "HTTP/1.1 200 OK", "HTTP/2 200" */
static int parse_status(const char *s, size_t n) {
  const char *space = memchr(s, ' ', n);
  if (!space) return 0;
  struct text rest = trim(space, n - (size_t)(space - s));
  if (rest.n < 3 || (rest.n > 3 && rest.s[3] != ' ')) return 0;
  int64_t status = sq_decimal(rest.s, 3);
  return status >= 100 ? (int)status : 0;
}

static bool is_interim(int status) { return status >= 100 && status < 200; }

static void take_line(struct sq_head *h, const char *line, size_t n) {
  struct text t = trim(line, n);
  const char *colon = memchr(t.s, ':', t.n);
  h->begun = true;
  if (line[0] == ' ' || line[0] == '\t')
    h->malformed = true;
  else if (colon)
    take_field(h, trim(t.s, (size_t)(colon - t.s)),
               trim(colon + 1, t.n - (size_t)(colon + 1 - t.s)));
}

bool sq_head_line(struct sq_head *h, const char *line, size_t n) {
  size_t bytes = h->bytes + n;
  bool interim = is_interim(h->status);
  if (h->complete) {
  } else if (n == 0 || line[0] == '\r' || line[0] == '\n') {
    if (interim)
      sq_head_clear(h);
    else
      h->complete = true;
  } else if ((!h->begun || interim) && n > 5 &&
             strncasecmp(line, "HTTP/", 5) == 0) {
    sq_head_clear(h);
    h->status = parse_status(line, n);
    h->begun = true;
  } else {
    take_line(h, line, n);
  }
  h->bytes = bytes;
  return bytes <= SQ_HEAD_BYTES_MAX;
}
