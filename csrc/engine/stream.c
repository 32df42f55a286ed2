/*
 * stream.c - one connection of a download: what it asks, what it makes of
 * the answer, and where the bytes go.
 *
 * A stream owns its transfer and its buffer.  Its head and body handlers run
 * inside libcurl and only note and write; what they noted is acted upon in
 * on_end.
 */
#include "download.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/clock.h"
#include "address.h"

enum { REDIRECTS_MAX = 5, REDIRECT_BODY_MAX = 1024 * 1024, MAGIC_BYTES = 4 };

static struct sq_piece *piece_of(struct stream *s) {
  return &s->download->pieces.list[s->piece];
}

static struct sq_want want_of(struct stream *s) {
  struct download *d = s->download;
  struct sq_piece *piece = piece_of(s);
  struct sq_want want = {0};
  want.ranged = d->ranges;
  want.first = d->ranges ? piece->next : 0;
  want.end = d->pieces.total >= 0 ? piece->end : -1;
  want.total = d->pieces.total;
  want.expected = d->expected;
  want.expires = d->expires;
  want.etag = d->etag;
  want.modified = d->modified;
  want.pinned = d->pinned;
  return want;
}

/* ---- inside libcurl --------------------------------------------------- */

static bool is_alone(const struct stream *s) {
  const struct download *d = s->download;
  for (int i = 0; i < STREAMS_MAX; i++)
    if (&d->streams[i] != s && d->streams[i].state != STREAM_IDLE) return false;
  return true;
}

static void take_names(struct download *d, const struct sq_head *head) {
  memcpy(d->etag, head->etag, sizeof d->etag);
  memcpy(d->modified, head->last_modified, sizeof d->modified);
}

static bool take_range(struct stream *s, const struct sq_head *head) {
  struct download *d = s->download;
  d->ranges_seen = true;
  if (!s->want.begun) take_names(d, head);
  if (d->pieces.total < 0 && s->grant.total >= 0) {
    sq_pieces_set_total(&d->pieces, s->grant.total);
    sq_download_sized(d);
  }
  return true;
}

static bool on_head(void *context, const struct sq_head *head) {
  struct stream *s = context;
  s->want.begun = sq_pieces_done(&s->download->pieces) > 0 || !is_alone(s);
  sq_store_judge(&s->want, head, &s->grant);
  s->judged = true;
  switch (s->grant.verdict) {
    case SQ_VERDICT_TAKE:
      return take_range(s, head);
    case SQ_VERDICT_WHOLE:
      s->unproven = true;
      return true;
    case SQ_VERDICT_REDIRECT:
    case SQ_VERDICT_ERROR:
      return true;
    default:
      return false;
  }
}

static bool flush(struct stream *s) {
  struct sq_piece *piece = piece_of(s);
  if (s->fill == 0) return true;
  if (!sq_part_write(&s->download->part, s->buffer, s->fill, piece->next,
                     &s->failure))
    return false;
  piece->next += (int64_t)s->fill;
  s->fill = 0;
  return true;
}

/* What an answer ended with.  Too few bytes to be looked at, where more are to
 * come, are none: the next answer begins where they did. */
static void flush_last(struct stream *s, bool is_whole) {
  bool few = piece_of(s)->next == 0 && s->fill < MAGIC_BYTES;
  if (few && !is_whole && !s->satisfied) s->fill = 0;
  flush(s);
}

static bool check_magic(struct stream *s) {
  const char *problem = sq_store_magic_problem(s->buffer, s->fill);
  if (!problem) return true;
  return sq_failure_set(&s->failure, SQ_INTEGRITY,
                        "the store sent %s instead of a snapshot", problem);
}

/* All of it comes, whatever was asked: it takes the place of what is there, and
 * no range is asked for again, but not before its first bytes have turned out
 * to be a snapshot's. */
static bool prove(struct stream *s, const char *bytes, size_t n) {
  struct download *d = s->download;
  size_t fill = s->fill;
  for (size_t i = 0; i < n && s->fill < MAGIC_BYTES; i++)
    s->buffer[s->fill++] = bytes[i];
  if (s->fill < MAGIC_BYTES) return true;
  d->strange = !check_magic(s);
  if (d->strange) return false;
  if (!is_alone(s)) {
    s->grant.verdict = SQ_VERDICT_RESTART;
    return sq_failure_set(&s->grant.failure, SQ_PROTOCOL,
                          "the store stopped answering ranges");
  }
  s->fill = fill; /* the rest of it comes with the bytes */
  s->unproven = false;
  d->ranges = false;
  s->piece = 0;
  take_names(d, sq_transfer_head(s->transfer));
  sq_download_renew(d, s->grant.total);
  return true;
}

static bool store(struct stream *s, const char *bytes, size_t n) {
  while (n > 0) {
    size_t room = PIECE_BYTES - s->fill, m = n < room ? n : room;
    bool first = piece_of(s)->next == 0 && s->fill < MAGIC_BYTES;
    memcpy(s->buffer + s->fill, bytes, m);
    s->fill += m;
    bytes += m;
    n -= m;
    if (first && s->fill >= MAGIC_BYTES && !check_magic(s)) return false;
    if (s->fill == PIECE_BYTES && !flush(s)) return false;
  }
  return true;
}

static enum sq_take take_bytes(struct stream *s, const char *bytes, size_t n) {
  if (s->unproven && !prove(s, bytes, n)) return SQ_STOP;
  if (s->unproven) {
    s->got += (int64_t)n;
    return SQ_TAKEN;
  }
  struct sq_piece *piece = piece_of(s);
  int64_t left = piece->end - piece->next - (int64_t)s->fill;
  if (s->download->holding) {
    s->paused = true;
    return SQ_PAUSE;
  }
  if (s->grant.length >= 0 && s->got + (int64_t)n > s->grant.length) {
    sq_failure_set(&s->failure, SQ_PROTOCOL,
                   "the store sent more bytes than it announced");
    return SQ_STOP;
  }
  s->got += (int64_t)n;
  s->satisfied = (int64_t)n >= left; /* the rest is another stream's piece */
  if ((int64_t)n > left) n = (size_t)left;
  if (!store(s, bytes, n)) return SQ_STOP;
  return s->satisfied && s->grant.length != s->got ? SQ_STOP : SQ_TAKEN;
}

static enum sq_take on_body(void *context, const char *bytes, size_t n) {
  struct stream *s = context;
  switch (s->grant.verdict) {
    case SQ_VERDICT_TAKE:
    case SQ_VERDICT_WHOLE:
      return take_bytes(s, bytes, n);
    case SQ_VERDICT_REDIRECT:
      s->got += (int64_t)n;
      return s->got > REDIRECT_BODY_MAX ? SQ_STOP : SQ_TAKEN;
    default:
      if (s->error_body.size + n > ERROR_BYTES) return SQ_STOP;
      return sq_buf_add(&s->error_body, bytes, n) ? SQ_TAKEN : SQ_STOP;
  }
}

/* ---- after it --------------------------------------------------------- */

static const char *redirect_problem(struct stream *s, const char *to) {
  if (!to) return "has no address";
  if (sq_address_is_http(to) && !sq_address_is_http(s->download->url))
    return "leads from https to http";
  return sq_address_problem(to, false);
}

static void follow(struct stream *s, const char *to) {
  struct sq_failure f;
  const char *problem = redirect_problem(s, to);
  if (!problem && ++s->redirects > REDIRECTS_MAX) problem = "is one too many";
  char *copy = problem ? NULL : sq_strdup(to);
  if (!copy) {
    if (!problem) problem = sq_address_no_memory;
    sq_failure_set(&f,
                   problem == sq_address_no_memory ? SQ_NETWORK : SQ_PROTOCOL,
                   "the store's redirect %s", problem);
    sq_download_fail(s->download, &f);
    return;
  }
  int redirects = s->redirects;
  sq_stream_drop(s);
  s->redirects = redirects;
  s->redirected = copy;
  sq_stream_start(s);
}

/* A store may give less than it was asked for, but not crumbs for ever: those
 * count as failures. */
static bool gave_enough(const struct stream *s, struct sq_failure *f) {
  const struct sq_piece *p = &s->download->pieces.list[s->piece];
  if (p->next == p->end || s->got >= PIECE_BYTES) return true;
  sq_failure_set(f, SQ_PROTOCOL, "the store sends too little at a time");
  f->retryable = true;
  return false;
}

/* What the end of a body means. */
static void end_of_body(struct stream *s, const struct sq_failure *transport) {
  struct download *d = s->download;
  struct sq_piece *piece = piece_of(s);
  struct sq_failure f = *transport;
  if (s->unproven) s->fill = 0;
  if (s->unproven && f.kind == SQ_OK) { /* it never came to its first bytes */
    d->strange = true;
    if (s->grant.length < 0 || s->got == s->grant.length)
      sq_failure_set(&s->failure, SQ_INTEGRITY,
                     "the store sent %" PRId64 " bytes instead of a snapshot",
                     s->got);
  }
  if (s->failure.kind == SQ_OK)
    flush_last(s, f.kind == SQ_OK && s->grant.length < 0);
  /* a body that ended before its fourth byte, of unknown length: there may be
   * more of it, but a part does not make way for that */
  bool cut = s->unproven && f.kind == SQ_OK && s->grant.length < 0;
  bool has_part = sq_pieces_done(&d->pieces) > 0;
  if (cut) s->failure.retryable = has_part;
  if (cut && !has_part) {
    sq_download_restart(d, &s->failure);
  } else if (s->failure.kind != SQ_OK) {
    sq_download_stream_failed(s, &s->failure);
  } else if (s->satisfied || (f.kind == SQ_OK && s->got == s->grant.length &&
                              gave_enough(s, &f))) {
    sq_download_stream_done(s);
  } else if (f.kind == SQ_OK && s->grant.length < 0 && d->pieces.total < 0) {
    d->length_unknown = true; /* the ZIP check will tell */
    sq_pieces_set_total(&d->pieces, piece->next);
    sq_download_stream_done(s);
  } else {
    if (f.kind == SQ_OK) {
      sq_failure_set(&f, s->grant.assumed ? SQ_INTEGRITY : SQ_NETWORK,
                     "the store's answer ended early");
      f.retryable = true;
    }
    sq_download_stream_failed(s, &f);
  }
}

static void end_of_error(struct stream *s) {
  struct sq_failure f;
  sq_store_error(&s->want, sq_transfer_head(s->transfer), s->error_body.data,
                 s->error_body.size, (int64_t)time(NULL), &f);
  sq_download_stream_failed(s, &f);
}

/* libcurl is content with a head that ends with the connection. */
static void end_without_head(struct stream *s,
                             const struct sq_failure *transport) {
  struct sq_failure f = *transport;
  if (f.kind == SQ_OK)
    sq_failure_set(&f, SQ_NETWORK,
                   "the store's answer ended inside its headers");
  sq_download_stream_failed(s, &f);
}

static void trace_end(struct stream *s, const struct sq_failure *transport) {
  sq_download_trace(s->download, s->judged ? "response" : "failure",
                    s->judged ? "" : sq_kind_name(transport->kind),
                    sq_transfer_head(s->transfer)->status,
                    sq_transfer_seconds(s->transfer));
}

static void on_end(void *context, const struct sq_failure *transport) {
  struct stream *s = context;
  struct download *d = s->download;
  struct sq_pieces *p = &d->pieces;
  trace_end(s, transport);
  if (!s->judged) {
    end_without_head(s, transport);
    return;
  }
  switch (s->grant.verdict) {
    case SQ_VERDICT_TAKE:
    case SQ_VERDICT_WHOLE:
      end_of_body(s, transport);
      break;
    case SQ_VERDICT_DONE:
      if (p->total < 0) sq_pieces_set_total(p, s->grant.total);
      sq_download_stream_done(s);
      break;
    case SQ_VERDICT_RESTART:
      sq_download_restart(d, &s->grant.failure);
      break;
    case SQ_VERDICT_REDIRECT:
      if (transport->kind == SQ_OK || transport->kind == SQ_CANCELLED)
        follow(s, sq_transfer_redirect(s->transfer));
      else
        sq_download_stream_failed(s, transport);
      break;
    case SQ_VERDICT_ERROR:
      end_of_error(s);
      break;
    case SQ_VERDICT_REFUSE:
      sq_download_stream_failed(s, &s->grant.failure);
      break;
  }
}

/* ---- beginning and end ------------------------------------------------ */

void sq_stream_start(struct stream *s) {
  static const struct sq_handlers handlers = {
      .head = on_head, .body = on_body, .end = on_end};
  struct download *d = s->download;
  struct sq_want want = s->want = want_of(s);
  struct sq_transfer_options o = {0};
  struct sq_failure f;
  char range[64];
  if (!s->buffer) s->buffer = malloc(PIECE_BYTES);
  if (want.end >= 0)
    snprintf(range, sizeof range, "%" PRId64 "-%" PRId64, want.first,
             want.end - 1);
  else
    snprintf(range, sizeof range, "%" PRId64 "-", want.first);
  o.profile = &d->op.profile->options;
  o.method = "GET";
  o.url = s->redirected ? s->redirected : d->url;
  o.range = want.ranged ? range : NULL;
  o.if_range = want.ranged && sq_etag_is_strong(d->etag) ? d->etag : NULL;
  if (!want.ranged) piece_of(s)->next = 0;
  s->judged = s->unproven = s->paused = s->satisfied = false;
  s->got = 0;
  s->fill = 0;
  s->error_body.size = 0;
  s->window_at = s->started_at = sq_now();
  s->window_got = 0;
  sq_failure_clear(&s->failure);
  if (s->buffer)
    s->transfer = sq_transfer_new(sq_op_wire(&d->op), &o, &handlers, s, &f);
  else
    sq_failure_set(&f, SQ_NETWORK, "out of memory");
  if (!s->transfer) {
    sq_download_fail(d, &f);
    return;
  }
  s->state = STREAM_RUNNING;
  d->tries++;
  sq_download_trace(d, "request", want.ranged ? range : "", 0, -1);
}

void sq_stream_drop(struct stream *s) {
  /* what a kept connection brought is kept; a failure to write it is not
   * worth another one */
  if (s->transfer && s->judged && !s->unproven && s->failure.kind == SQ_OK &&
      (s->grant.verdict == SQ_VERDICT_TAKE ||
       s->grant.verdict == SQ_VERDICT_WHOLE) &&
      !s->download->holding)
    flush_last(s, false);
  sq_transfer_free(s->transfer);
  s->transfer = NULL;
  free(s->redirected);
  s->redirected = NULL;
  s->redirects = 0;
  s->fill = 0;
  s->state = STREAM_IDLE;
}

void sq_stream_free(struct stream *s) {
  sq_transfer_free(s->transfer);
  free(s->redirected);
  free(s->buffer);
  sq_buf_free(&s->error_body);
  memset(s, 0, sizeof *s);
}

/* What came of the answer, head and body. */
static int64_t bytes_of(const struct stream *s) {
  return s->got + (int64_t)s->error_body.size +
         (int64_t)sq_transfer_head(s->transfer)->bytes;
}

void sq_stream_unpause(struct stream *s) {
  if (!s->paused || !s->transfer) return;
  s->paused = false;
  s->window_at = sq_now();
  s->window_got = bytes_of(s);
  sq_transfer_unpause(s->transfer);
}

const char *sq_stream_problem(struct stream *s, int64_t now) {
  const struct sq_profile_options *o = &s->download->op.profile->options;
  int64_t stall = sq_nanoseconds(o->stall_timeout);
  if (s->paused) return NULL;
  if (now - sq_transfer_active_at(s->transfer) > stall)
    return "no data arrived for too long";
  if (now - s->window_at < 2 * stall) return NULL;
  int64_t least = (now - s->window_at) / SQ_SECOND * 1024;
  int64_t got = bytes_of(s);
  bool drips = got - s->window_got < least;
  s->window_at = now;
  s->window_got = got;
  return drips ? "the store sends less than 1 KiB a second" : NULL;
}
