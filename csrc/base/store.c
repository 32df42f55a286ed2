/*
 * store.c - see store.h.  Owns nothing; no allocation.
 */
#include "store.h"

#include <string.h>
#include <strings.h>

#include "answer.h"
#include "response_codes.h"
#include "url.h"

bool sq_etag_is_strong(const char *etag) {
  size_t n = strlen(etag);
  return n >= 2 && etag[0] == '"' && strcspn(etag + 1, "\" ") == n - 2 &&
         etag[n - 1] == '"';
}

static void refuse(struct sq_grant *g, enum sq_kind kind, const char *why) {
  g->verdict = SQ_VERDICT_REFUSE;
  sq_failure_set(&g->failure, kind, "%s", why);
}

static void restart(struct sq_grant *g, enum sq_kind kind, const char *why) {
  refuse(g, kind, why);
  g->verdict = SQ_VERDICT_RESTART;
}

/* Another etag, or another size where one is known, is another object; one
 * that comes late may be, and is not to vouch for bytes that came without. */
static bool is_changed(const struct sq_want *w, const struct sq_head *h) {
  if (w->etag[0] && h->etag[0]) return strcmp(w->etag, h->etag) != 0;
  if (h->etag[0] && w->begun) return true;
  return w->modified[0] && h->last_modified[0] &&
         strcmp(w->modified, h->last_modified) != 0;
}

static bool judge_total(const struct sq_want *w, int64_t total,
                        struct sq_grant *g) {
  if (w->expected < 0 || total == w->expected) return true;
  g->verdict = SQ_VERDICT_REFUSE;
  return sq_failure_set(&g->failure, SQ_INTEGRITY,
                        "the store has %lld bytes, the listing says %lld",
                        (long long)total, (long long)w->expected);
}

static bool judge_form(const struct sq_head *h, struct sq_grant *g) {
  if (h->malformed) {
    refuse(g, SQ_PROTOCOL, "the store sent malformed headers");
    return false;
  }
  if (h->content_encoding[0] &&
      strcasecmp(h->content_encoding, "identity") != 0) {
    refuse(g, SQ_PROTOCOL, "the store sent encoded bytes");
    return false;
  }
  if (h->content_length == SQ_BROKEN) {
    refuse(g, SQ_PROTOCOL, "the store sent a malformed Content-Length");
    return false;
  }
  return true;
}

/* 206 */
static void judge_partial(const struct sq_want *w, const struct sq_head *h,
                          struct sq_grant *g) {
  /* read_range has seen to it that this is a number */
  int64_t length = h->range_last - h->range_first + 1;
  if (!w->ranged) {
    refuse(g, SQ_PROTOCOL,
           "the store sent only part of the file when asked for all of it");
  } else if (!h->has_range || h->bad_range || h->range_first < 0 ||
             strncasecmp(h->content_type, "multipart/", 10) == 0) {
    restart(g, SQ_PROTOCOL, "the store sent a part without a usable range");
  } else if (is_changed(w, h) || (w->total >= 0 && h->range_total >= 0 &&
                                  h->range_total != w->total)) {
    restart(g, SQ_INTEGRITY, "the snapshot changed during the download");
  } else if (h->range_first != w->first ||
             (w->end >= 0 && h->range_last >= w->end) ||
             (h->range_total < 0 && w->total < 0)) {
    restart(g, SQ_PROTOCOL, "the store sent a range that was not requested");
  } else if (h->content_length >= 0 && h->content_length != length) {
    refuse(g, SQ_PROTOCOL,
           "the store sent a length that does not fit its range");
  } else if (h->range_total < 0 || judge_total(w, h->range_total, g)) {
    g->verdict = SQ_VERDICT_TAKE;
    g->first = w->first;
    g->length = length;
    g->total = h->range_total >= 0 ? h->range_total : w->total;
    g->assumed = h->content_length < 0;
  }
}

/* 200: to a ranged request too it means "here is all of it".  When it does
 * not say how much that is, it may be no more than what is known. */
static void judge_whole(const struct sq_want *w, const struct sq_head *h,
                        struct sq_grant *g) {
  int64_t known = w->expected;
  if (known < 0 && w->pinned) known = w->total;
  if (w->pinned && w->total >= 0 && h->content_length >= 0 &&
      h->content_length != w->total) {
    refuse(g, SQ_INTEGRITY, "the snapshot changed during the download");
  } else if (h->content_length < 0 || judge_total(w, h->content_length, g)) {
    g->verdict = SQ_VERDICT_WHOLE;
    g->assumed = h->content_length < 0;
    g->length = g->total = g->assumed ? known : h->content_length;
  }
}

/* 416: "bytes star/N" tells whether all of it is there. */
static void judge_unsatisfied(const struct sq_want *w, const struct sq_head *h,
                              struct sq_grant *g) {
  bool all = !h->bad_range && h->range_total == w->first && w->first > 0 &&
             (w->total < 0 || w->total == w->first);
  if (all && !is_changed(w, h)) {
    g->verdict = SQ_VERDICT_DONE;
    g->total = h->range_total;
  } else {
    restart(g, SQ_INTEGRITY, "the store has no such range");
  }
}

void sq_store_judge(const struct sq_want *want, const struct sq_head *head,
                    struct sq_grant *grant) {
  int status = head->status;
  memset(grant, 0, sizeof *grant);
  sq_failure_clear(&grant->failure);
  grant->length = grant->total = SQ_ABSENT;
  if (status == 200 || status == 206) {
    if (!judge_form(head, grant)) {
    } else if (status == 206) {
      judge_partial(want, head, grant);
    } else {
      judge_whole(want, head, grant);
    }
  } else if (status == 416 && want->ranged) {
    judge_unsatisfied(want, head, grant);
  } else if (status == 412) {
    restart(grant, SQ_INTEGRITY, "the snapshot changed during the download");
  } else if (status == 301 || status == 302 || status == 303 || status == 307 ||
             status == 308) {
    grant->verdict = SQ_VERDICT_REDIRECT;
  } else if (status >= 400) {
    grant->verdict = SQ_VERDICT_ERROR;
  } else {
    grant->verdict = SQ_VERDICT_REFUSE;
    sq_failure_set(&grant->failure, SQ_PROTOCOL,
                   "the store answered HTTP %d instead of a file", status);
  }
  if (grant->verdict == SQ_VERDICT_RESTART ||
      grant->verdict == SQ_VERDICT_REFUSE)
    grant->failure.http_status = status;
}

/* ---- errors ----------------------------------------------------------- */

/* The text of the first <name>...</name>. */
static void xml_text(const char *body, size_t n, const char *name, char *dst,
                     size_t cap) {
  char open[32] = "<";
  strcat(strcat(open, name), ">");
  dst[0] = '\0';
  const char *at = memmem(body, n, open, strlen(open));
  if (!at) return;
  at += strlen(open);
  const char *end = memchr(at, '<', n - (size_t)(at - body));
  if (end) sq_show(dst, cap, at, (size_t)(end - at));
}

/* S3 tells of an expired token by a 400, of anything else by a 403. */
static bool says_expired(const struct sq_want *w, const struct sq_head *h,
                         const char *code, const char *message, int64_t now) {
  int64_t date = h->date >= 0 ? h->date : now;
  if (strcasecmp(code, "ExpiredToken") == 0)
    return h->status == 400 || h->status == 403;
  return h->status == 403 && (strcasestr(message, "expired") != NULL ||
                              (w->expires >= 0 && w->expires <= date));
}

static enum sq_kind kind_of(int status, const char *code) {
  if (strcmp(code, "SlowDown") == 0 || status == 408) return SQ_SERVER;
  if (status == 401 || status == 403) return SQ_PERMISSION;
  return sq_status_kind(status);
}

void sq_store_error(const struct sq_want *want, const struct sq_head *head,
                    const char *body, size_t n, int64_t now,
                    struct sq_failure *f) {
  char code[64], message[256];
  int status = head->status;
  xml_text(body ? body : "", body ? n : 0, "Code", code, sizeof code);
  xml_text(body ? body : "", body ? n : 0, "Message", message, sizeof message);
  if (says_expired(want, head, code, message, now))
    sq_failure_set(f, SQ_EXPIRED,
                   "the download address has expired, list the snapshots "
                   "again for a new one");
  else
    sq_failure_set(f, kind_of(status, code), "%s",
                   message[0] ? message : "the store refused the download");
  memcpy(f->code, code, sizeof f->code);
  f->http_status = status;
  if (head->retry_after[0])
    f->retry_after =
        sq_retry_after(head->retry_after, strlen(head->retry_after),
                       head->date >= 0 ? head->date : now);
}

const char *sq_store_magic_problem(const char *bytes, size_t n) {
  /* an entry; the end record of an empty archive, plain or of ZIP64 */
  static const char starts[3][4] = {
      {'P', 'K', 3, 4}, {'P', 'K', 5, 6}, {'P', 'K', 6, 6}};
  size_t m = n < 4 ? n : 4;
  for (size_t i = 0; i < SQ_COUNT(starts); i++)
    if (memcmp(bytes, starts[i], m) == 0) return NULL;
  if (m == 4 && memcmp(bytes, "<?xm", 4) == 0) return "XML";
  if (bytes[0] == '<') return "an HTML page";
  return bytes[0] == '{' ? "JSON" : "no ZIP file";
}
