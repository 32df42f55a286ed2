/*
 * fetch.c - the part of a download while bytes come.
 *
 * Streams (stream.c) fill the pieces of the part, more than one once the
 * store has answered a range.  Here is which stream takes which piece, what
 * failures are tried again, when all starts over, and what a clock that ticks
 * while streams run looks after: progress, stalls, the part's record.
 *
 * Everything here runs on the network thread but the two jobs, hold_job and
 * record_job.  Streams and part belong to the download.
 */
#include "download.h"

#include <stdio.h>
#include <string.h>

#include "../base/clock.h"

#define TICK (SQ_SECOND / 10)
#define RECORD_EVERY (2 * SQ_SECOND)

/* ---- the part --------------------------------------------------------- */

/* Empties the part when its bytes are of no use, and finds room. */
static void hold_job(struct sq_op *op) {
  struct download *d = sq_download_of(op);
  if (d->job_restarts) {
    sq_part_forget(&d->part);
    if (!sq_part_truncate(&d->part, 0, &d->job_failure)) return;
  }
  if (d->record.pieces.total > 0)
    sq_part_reserve(&d->part, d->record.pieces.total, &d->job_failure);
}

static void hold(struct download *d) {
  d->holding = true;
  if (d->op.working) {
    d->hold_wanted = true;
    return;
  }
  d->hold_wanted = false;
  d->job_restarts = d->restarts_wanted;
  d->restarts_wanted = false;
  d->record.pieces.total = d->pieces.total;
  sq_download_work(d, SQ_FILE_CREW, hold_job);
}

static void record_job(struct sq_op *op) {
  struct download *d = sq_download_of(op);
  if (sq_part_sync(&d->part, &d->job_failure))
    sq_record_write(&d->part, &d->record, &d->job_failure);
}

void sq_fetch_fill_record(struct download *d) {
  struct sq_record *r = &d->record;
  memset(r, 0, sizeof *r);
  r->pieces = d->pieces;
  memcpy(r->etag, d->etag, sizeof r->etag);
  snprintf(r->object, sizeof r->object, "%s", d->object);
}

bool sq_fetch_is_resumable(const struct download *d) {
  return d->resume && d->ranges_seen && d->ranges && d->pieces.total >= 0 &&
         sq_etag_is_strong(d->etag) && sq_pieces_done(&d->pieces) > 0;
}

static void record_sometimes(struct download *d, int64_t now) {
  int64_t done = sq_pieces_done(&d->pieces);
  if (d->op.working || d->holding || done == d->recorded ||
      !sq_fetch_is_resumable(d))
    return;
  if (done - d->recorded < RECORD_BYTES && now - d->recorded_at < RECORD_EVERY)
    return;
  d->recorded = done;
  d->recorded_at = now;
  sq_fetch_fill_record(d);
  sq_download_keep(d, record_job);
}

void sq_download_sized(struct download *d) { hold(d); }

void sq_download_renew(struct download *d, int64_t total) {
  bool had = !d->part.fresh || sq_pieces_done(&d->pieces) > 0;
  sq_pieces_reset(&d->pieces, total);
  if (had) d->restarts_wanted = true;
  d->recorded = d->mark = 0;
  if (had || total > 0) hold(d);
}

/* ---- streams ---------------------------------------------------------- */

void sq_fetch_drop_streams(struct download *d) {
  for (int i = 0; i < STREAMS_MAX; i++) sq_stream_drop(&d->streams[i]);
}

static int streams_in_use(const struct download *d) {
  int n = 0;
  for (int i = 0; i < STREAMS_MAX; i++) n += d->streams[i].state != STREAM_IDLE;
  return n;
}

static int pick_piece(struct download *d) {
  bool busy[SQ_PIECES_MAX] = {false};
  for (int i = 0; i < STREAMS_MAX; i++)
    if (d->streams[i].state != STREAM_IDLE) busy[d->streams[i].piece] = true;
  return sq_pieces_pick(&d->pieces, busy, SPLIT_BYTES);
}

/* More streams pay only once a range was answered; none runs without a
 * place, which was given back where the bytes were checked. */
static void add_streams(struct download *d) {
  if (!d->op.has_place) return;
  int width = d->ranges_seen && d->ranges ? d->width : 1;
  for (int i = 0; i < STREAMS_MAX && d->step == STEP_FETCH; i++) {
    struct stream *s = &d->streams[i];
    if (s->state != STREAM_IDLE) continue;
    if (streams_in_use(d) >= width) return;
    int piece = pick_piece(d);
    if (piece < 0) return;
    s->piece = piece;
    sq_stream_start(s);
  }
}

static void go_on(struct download *d) {
  add_streams(d);
  if (d->step == STEP_FETCH) sq_op_wake_in(&d->op, TICK);
}

void sq_fetch_begin(struct download *d) {
  d->step = STEP_FETCH;
  d->recorded_at = d->told_at = sq_now();
  d->told = sq_pieces_done(&d->pieces);
  if (sq_pieces_whole(&d->pieces)) {
    sq_download_sync(d);
    return;
  }
  go_on(d);
}

void sq_download_stream_done(struct stream *s) {
  struct download *d = s->download;
  sq_stream_drop(s);
  if (!sq_pieces_whole(&d->pieces))
    add_streams(d);
  else if (!d->op.working)
    sq_download_sync(d);
}

/* What a download may still try: see count_failure. */
static bool may_try(struct download *d, const struct sq_failure *f,
                    double *wait) {
  const struct sq_profile_options *o = &d->op.profile->options;
  struct sq_retry_policy policy = {o->retries, o->max_retry_wait};
  struct sq_failure judged = *f;
  if (d->failures_in_all >= 10 * o->retries) return false;
  /* a chunk that came broken, a short file: as good as a broken line */
  if (f->retryable && f->kind != SQ_RATE_LIMITED) judged.kind = SQ_NETWORK;
  return sq_retry_decide(&policy, d->failures, &judged, false,
                         sq_op_random(&d->op), wait);
}

/* Failures are counted anew after each PROGRESS_BYTES of progress, and all of
 * them together are bounded.  What ends several streams at once (a server
 * that goes away) counts once: a request that was under way at the last
 * failure adds nothing to it. */
static void count_failure(struct download *d, int64_t started_at) {
  int64_t done = sq_pieces_done(&d->pieces);
  if (started_at < d->failed_at) return;
  d->failed_at = sq_now();
  if (done - d->mark >= PROGRESS_BYTES) {
    d->failures = 0;
    d->mark = done;
  }
  d->failures++;
  d->failures_in_all++;
}

/* The stream asks again for its piece, later. */
static void wait_in(struct stream *s, double seconds) {
  s->state = STREAM_WAITING;
  s->retry_at = sq_now() + sq_nanoseconds(seconds);
}

/* One stream fewer where the store says it has too many; true when the
 * others take over its piece. */
static bool yield_piece(struct download *d, const struct sq_failure *why) {
  int others = streams_in_use(d);
  if (why->http_status != 429 && why->http_status != 503) return false;
  d->width = others > 0 ? others : 1;
  return others > 0;
}

void sq_download_stream_failed(struct stream *s, const struct sq_failure *f) {
  struct download *d = s->download;
  struct sq_failure why = *f;
  double wait;
  sq_stream_drop(s);
  if (yield_piece(d, &why)) return;
  count_failure(d, s->started_at);
  if (!may_try(d, &why, &wait)) {
    sq_download_fail(d, &why);
    return;
  }
  sq_download_trace(d, "retry", sq_kind_name(why.kind), 0, wait);
  wait_in(s, wait);
}

static void restart_in(struct download *d, double wait) {
  sq_pieces_reset(&d->pieces, -1);
  d->etag[0] = d->modified[0] = '\0';
  d->ranges_seen = false;
  d->restarts_wanted = true;
  d->recorded = d->mark = 0;
  d->step = STEP_FETCH;
  hold(d);
  if (!d->op.has_place) {
    sq_op_again_in(&d->op, sq_nanoseconds(wait));
    return;
  }
  d->streams[0].piece = 0;
  if (wait > 0) wait_in(&d->streams[0], wait);
  go_on(d);
}

void sq_fetch_start_over(struct download *d, const struct sq_failure *why,
                         bool patient) {
  struct sq_failure f = *why;
  double wait;
  sq_fetch_drop_streams(d);
  count_failure(d, INT64_MAX);
  f.retryable = true;
  if (d->restarted || !may_try(d, &f, &wait)) {
    f.retryable = false;
    sq_download_fail(d, &f);
    return;
  }
  d->restarted = true;
  d->ranges = false;
  sq_download_trace_file(d, "starting over");
  restart_in(d, patient ? wait : 0);
}

void sq_download_restart(struct download *d, const struct sq_failure *why) {
  sq_fetch_start_over(d, why, false);
}

void sq_fetch_job_done(struct download *d) {
  if (d->job_failure.kind != SQ_OK) {
    sq_download_fail(d, &d->job_failure);
  } else if (d->hold_wanted) {
    hold(d);
  } else if (sq_pieces_whole(&d->pieces)) {
    sq_download_sync(d);
  } else if (d->holding) {
    d->holding = false;
    for (int i = 0; i < STREAMS_MAX; i++) sq_stream_unpause(&d->streams[i]);
    add_streams(d);
  }
}

/* ---- the clock -------------------------------------------------------- */

void sq_fetch_tell(struct download *d, int64_t now, bool last) {
  int64_t done = sq_pieces_done(&d->pieces);
  struct sq_progress progress;
  double seconds = (double)(now - d->told_at) / 1e9;
  for (int i = 0; i < STREAMS_MAX; i++) done += (int64_t)d->streams[i].fill;
  /* that all is there is said once, by the last: an answer is waited for */
  if (!last && (seconds < 0.09 || done == d->told || done == d->pieces.total))
    return;
  if (seconds > 0 && done >= d->told)
    d->rate = sq_smooth(d->rate, (double)(done - d->told) / seconds, seconds);
  d->told = done;
  d->told_at = now;
  progress = (struct sq_progress){done, d->pieces.total, d->rate};
  sq_op_tell(&d->op, &progress);
}

static void watch(struct stream *s, int64_t now) {
  const char *problem;
  struct sq_failure f;
  if (s->state == STREAM_WAITING && now >= s->retry_at) {
    s->state = STREAM_IDLE;
    sq_stream_start(s);
  } else if (s->state == STREAM_RUNNING &&
             (problem = sq_stream_problem(s, now))) {
    sq_failure_set(&f, SQ_TIMEOUT, "%s", problem);
    sq_download_stream_failed(s, &f);
  }
}

void sq_fetch_wake(struct download *d) {
  int64_t now = sq_now();
  if (!d->op.has_place) { /* to begin again, after a wait */
    sq_op_again_in(&d->op, 0);
    return;
  }
  for (int i = 0; i < STREAMS_MAX && d->step == STEP_FETCH; i++)
    watch(&d->streams[i], now);
  if (d->step != STEP_FETCH) return;
  sq_fetch_tell(d, now, false);
  record_sometimes(d, now);
  go_on(d);
}
