/*
 * download.c - a download from step to step.
 *
 *   prepare   file thread   folder, part, lock; what a record says is there
 *   fetch     network       streams fill pieces; records of it now and then
 *   sync      file thread   cut to size, fdatasync
 *   check     ZIP thread    structure, or every CRC
 *   commit    file thread   rename to the final name
 *   park      file thread   after a failure: keep the part, or remove it
 *
 * The operation owns the part (and with it the lock), the streams and, from
 * the check on, the ZIP file, which the caller takes at the end.  While a job
 * is under way the part is its, except that streams go on writing bytes.
 */
#include "download.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/url.h"

#define TICK (SQ_SECOND / 10)
#define RECORD_EVERY (2 * SQ_SECOND)

static struct download *download_of(struct sq_op *op) {
  return (struct download *)op;
}

static void send_job(struct download *d, enum sq_crew_name crew,
                     void (*run)(struct sq_op *)) {
  sq_failure_clear(&d->job_failure);
  sq_op_work(&d->op, crew, run);
}

static bool is_cancelled(struct download *d) {
  return atomic_load(&d->op.cancel);
}

void sq_download_trace(struct download *d, const char *event,
                       const char *detail, int http_status, double seconds) {
  struct sq_trace t;
  if (!sq_op_traces(&d->op, &t, event)) return;
  sq_show(t.operation, sizeof t.operation, d->operation, strlen(d->operation));
  sq_show(t.method, sizeof t.method, "GET", 3);
  sq_show(t.url, sizeof t.url, d->url, sq_url_public_length(d->url));
  sq_show(t.detail, sizeof t.detail, detail, strlen(detail));
  t.attempt = d->tries;
  t.http_status = http_status;
  t.seconds = seconds;
  sq_op_trace(&d->op, &t);
}

static void trace_file(struct download *d, const char *detail) {
  sq_download_trace(d, "file", detail, 0, -1);
}

/* ---- prepare ---------------------------------------------------------- */

static int64_t last_byte(const struct sq_pieces *p) {
  int64_t last = 0;
  for (int i = 0; i < p->count; i++)
    if (p->list[i].next > p->list[i].first && p->list[i].next > last)
      last = p->list[i].next;
  return last;
}

/* Whether the part's bytes are of this object; the record then says which. */
static bool can_resume(struct download *d) {
  struct sq_record *r = &d->record;
  return d->resume && !d->part.fresh && sq_record_read(&d->part, r) &&
         strcmp(r->object, d->object) == 0 && sq_etag_is_strong(r->etag) &&
         (d->expected < 0 || r->pieces.total == d->expected) &&
         last_byte(&r->pieces) <= d->part.size;
}

static void prepare_job(struct sq_op *op) {
  struct download *d = download_of(op);
  if (!sq_part_open(&d->part, d->dir, d->name, d->overwrite, &d->job_failure))
    return;
  if (can_resume(d)) return;
  d->record.pieces.count = 0;
  if (!d->part.fresh) {
    sq_part_forget(&d->part);
    sq_part_truncate(&d->part, 0, &d->job_failure);
  }
}

static bool is_twin(struct sq_op *a, struct sq_op *b) {
  return strcmp(download_of(a)->dir, download_of(b)->dir) == 0 &&
         strcmp(download_of(a)->name, download_of(b)->name) == 0;
}

static void fetch_begin(struct download *d);

/* What the part already has; before anything else is decided. */
static void adopt_record(struct download *d) {
  if (d->job_failure.kind != SQ_OK || d->record.pieces.count == 0) return;
  d->pieces = d->record.pieces;
  sq_pieces_tidy(&d->pieces);
  memcpy(d->etag, d->record.etag, sizeof d->etag);
  d->ranges_seen = true;
  trace_file(d, "continuing a part");
}

static void prepare_done(struct download *d) {
  struct sq_failure *f = &d->job_failure;
  if (f->kind != SQ_OK) {
    /* a cancelled download of ours may still be putting the part away */
    if (f->err_no == EWOULDBLOCK && sq_op_dying_twin(&d->op, is_twin))
      sq_op_wake_in(&d->op, TICK / 5);
    else
      sq_download_fail(d, f);
    return;
  }
  d->recorded = d->mark = sq_pieces_done(&d->pieces);
  fetch_begin(d);
}

/* ---- fetch: the part while bytes come --------------------------------- */

/* Empties the part when its bytes are of no use, and finds room. */
static void hold_job(struct sq_op *op) {
  struct download *d = download_of(op);
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
  send_job(d, SQ_FILE_CREW, hold_job);
}

static void record_job(struct sq_op *op) {
  struct download *d = download_of(op);
  if (sq_part_sync(&d->part, &d->job_failure))
    sq_record_write(&d->part, &d->record, &d->job_failure);
}

static void fill_record(struct download *d) {
  struct sq_record *r = &d->record;
  memset(r, 0, sizeof *r);
  r->pieces = d->pieces;
  memcpy(r->etag, d->etag, sizeof r->etag);
  snprintf(r->object, sizeof r->object, "%s", d->object);
}

/* A later call could go on with these bytes. */
static bool is_resumable(const struct download *d) {
  return d->resume && d->ranges_seen && d->ranges && d->pieces.total >= 0 &&
         sq_etag_is_strong(d->etag) && sq_pieces_done(&d->pieces) > 0;
}

static void record_sometimes(struct download *d, int64_t now) {
  int64_t done = sq_pieces_done(&d->pieces);
  if (d->op.working || d->holding || done == d->recorded || !is_resumable(d))
    return;
  if (done - d->recorded < RECORD_BYTES && now - d->recorded_at < RECORD_EVERY)
    return;
  d->recorded = done;
  d->recorded_at = now;
  fill_record(d);
  send_job(d, SQ_FILE_CREW, record_job);
}

void sq_download_sized(struct download *d) { hold(d); }

void sq_download_renew(struct download *d, int64_t total) {
  bool had = !d->part.fresh || sq_pieces_done(&d->pieces) > 0;
  sq_pieces_reset(&d->pieces, total);
  if (had) d->restarts_wanted = true;
  d->recorded = d->mark = 0;
  if (had || total > 0) hold(d);
}

static void sync_begin(struct download *d);
static void add_streams(struct download *d);

static void fetch_job_done(struct download *d) {
  if (d->job_failure.kind != SQ_OK) {
    sq_download_fail(d, &d->job_failure);
  } else if (d->hold_wanted) {
    hold(d);
  } else if (sq_pieces_whole(&d->pieces)) {
    sync_begin(d);
  } else if (d->holding) {
    d->holding = false;
    for (int i = 0; i < STREAMS_MAX; i++)
      sq_stream_unpause(&d->streams[i]);
    add_streams(d);
  }
}

/* ---- fetch: streams --------------------------------------------------- */

static void drop_streams(struct download *d) {
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

/* More streams pay only once a range was answered. */
static void add_streams(struct download *d) {
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

static void fetch_begin(struct download *d) {
  d->step = STEP_FETCH;
  d->recorded_at = d->told_at = sq_now();
  d->told = sq_pieces_done(&d->pieces);
  if (sq_pieces_whole(&d->pieces)) {
    sync_begin(d);
    return;
  }
  add_streams(d);
  if (d->step == STEP_FETCH) sq_op_wake_in(&d->op, TICK);
}

void sq_download_stream_done(struct stream *s) {
  struct download *d = s->download;
  sq_stream_drop(s);
  if (!sq_pieces_whole(&d->pieces))
    add_streams(d);
  else if (!d->op.working)
    sync_begin(d);
}

/* What a download may still try: see the counting in sq_stream_failed. */
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
  d->etag[0] = '\0';
  d->ranges_seen = false;
  d->restarts_wanted = true;
  d->recorded = d->mark = 0;
  d->step = STEP_FETCH;
  hold(d);
  d->streams[0].piece = 0;
  if (wait > 0) wait_in(&d->streams[0], wait);
  add_streams(d);
  if (d->step == STEP_FETCH) sq_op_wake_in(&d->op, TICK);
}

/* `patient`: as after any failure on the way, else at once. */
static void start_over(struct download *d, const struct sq_failure *why,
                       bool patient) {
  struct sq_failure f = *why;
  double wait;
  drop_streams(d);
  count_failure(d, INT64_MAX);
  f.retryable = true;
  if (d->restarted || !may_try(d, &f, &wait)) {
    f.retryable = false;
    sq_download_fail(d, &f);
    return;
  }
  d->restarted = true;
  d->ranges = false;
  trace_file(d, "starting over");
  restart_in(d, patient ? wait : 0);
}

void sq_download_restart(struct download *d, const struct sq_failure *why) {
  start_over(d, why, false);
}

/* ---- fetch: the clock ------------------------------------------------- */

static void tell(struct download *d, int64_t now, bool last) {
  int64_t done = sq_pieces_done(&d->pieces);
  struct sq_progress progress;
  double seconds = (double)(now - d->told_at) / 1e9;
  for (int i = 0; i < STREAMS_MAX; i++) done += (int64_t)d->streams[i].fill;
  /* that all is there is said once, by the last: an answer is waited for */
  if (!last && (seconds < 0.09 || done == d->told || done == d->pieces.total))
    return;
  if (seconds > 0 && done >= d->told) {
    double rate = (double)(done - d->told) / seconds;
    double weight = seconds < 1 ? seconds / (seconds + 1) : 0.5;
    d->rate = d->rate > 0 ? d->rate + weight * (rate - d->rate) : rate;
  }
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

static void wake(struct sq_op *op) {
  struct download *d = download_of(op);
  int64_t now = sq_now();
  if (d->step == STEP_PREPARE) {
    send_job(d, SQ_FILE_CREW, prepare_job);
    return;
  }
  for (int i = 0; i < STREAMS_MAX && d->step == STEP_FETCH; i++)
    watch(&d->streams[i], now);
  if (d->step != STEP_FETCH) return;
  tell(d, now, false);
  record_sometimes(d, now);
  add_streams(d);
  if (d->step == STEP_FETCH) sq_op_wake_in(op, TICK);
}

/* ---- sync, check, commit ---------------------------------------------- */

static void sync_job(struct sq_op *op) {
  struct download *d = download_of(op);
  struct sq_failure *f = &d->job_failure;
  if (!sq_part_truncate(&d->part, d->record.pieces.total, f) ||
      !sq_part_sync(&d->part, f))
    return;
  int fd = sq_part_reopen(&d->part, f);
  if (fd < 0) return;
  size_t n = strlen(d->dir) + strlen(d->name) + 2;
  char *path = malloc(n);
  if (path) {
    snprintf(path, n, "%s/%s", d->dir[1] ? d->dir : "", d->name);
    d->zip = sq_zip_new(fd, path);
    free(path);
  }
  if (!d->zip) sq_failure_errno(f, ENOMEM, "cannot open", d->name);
}

/* The bytes are no snapshot.  When nobody had said how many there are, they
 * may have been cut short, which is tried again like any other cut. */
static void refuse_bytes(struct download *d, const struct sq_failure *why) {
  bool guessed = d->length_unknown;
  d->length_unknown = false;
  if (guessed) d->restarted = false;
  start_over(d, why, guessed);
}

static void sync_begin(struct download *d) {
  struct sq_failure f;
  int64_t total = d->pieces.total;
  drop_streams(d);
  sq_op_wake_in(&d->op, 0);
  sq_op_leave_place(&d->op);
  if (total < 4 || (d->expected >= 0 && total != d->expected)) {
    sq_failure_set(&f, SQ_INTEGRITY, "%lld bytes came, which is no snapshot",
                   (long long)total);
    if (d->length_unknown && total > 0)
      refuse_bytes(d, &f);
    else
      sq_download_fail(d, &f);
    return;
  }
  d->agreed = false;
  tell(d, sq_now(), true);
  d->step = STEP_SYNC;
  d->record.pieces.total = total;
  send_job(d, SQ_FILE_CREW, sync_job);
}

static void check_job(struct sq_op *op) {
  struct download *d = download_of(op);
  struct sq_zip_watch w = {&op->cancel, NULL, NULL};
  uint64_t unverifiable;
  if (sq_zip_load(d->zip, &w, &d->job_failure) && d->verify == SQ_VERIFY_FULL)
    sq_zip_test(d->zip, &w, &unverifiable, &d->job_failure);
}

static void commit_job(struct sq_op *op) {
  struct download *d = download_of(op);
  if (sq_part_commit(&d->part, d->overwrite, &d->job_failure))
    sq_part_close(&d->part);
}

/* The caller's last word comes first, when it wants one. */
static void commit_begin(struct download *d) {
  d->step = STEP_COMMIT;
  if (d->agreed || !d->watched) send_job(d, SQ_FILE_CREW, commit_job);
}

static void go(struct sq_op *op) {
  struct download *d = download_of(op);
  bool waiting = d->step == STEP_COMMIT && !d->agreed && !op->working;
  d->agreed = true;
  if (waiting) commit_begin(d);
}

static void sync_done(struct download *d) {
  if (d->job_failure.kind != SQ_OK) {
    sq_download_fail(d, &d->job_failure);
  } else if (d->verify == SQ_VERIFY_NONE) {
    commit_begin(d);
  } else {
    d->step = STEP_CHECK;
    send_job(d, SQ_ZIP_CREW, check_job);
  }
}

/* A broken ZIP may be the way's fault: once more from the start. */
static void check_done(struct download *d) {
  struct sq_failure f = d->job_failure;
  if (f.kind == SQ_OK) {
    commit_begin(d);
  } else if (f.kind == SQ_INTEGRITY) {
    sq_zip_release(d->zip);
    d->zip = NULL;
    refuse_bytes(d, &f);
  } else {
    sq_download_fail(d, &f);
  }
}

/* ---- park, and the end ------------------------------------------------ */

static void park_job(struct sq_op *op) {
  struct download *d = download_of(op);
  struct sq_failure ignored; /* the failure that parks it is the one to tell */
  if (d->part.committed) {
    /* it has its name; only the folder could not be synced */
  } else if (d->record.pieces.count == 0)
    sq_part_discard(&d->part);
  else if (sq_part_sync(&d->part, &ignored))
    sq_record_write(&d->part, &d->record, &ignored);
  sq_part_close(&d->part);
}

/* Bytes that turned out wrong are worth nothing to the next call; a way that
 * broke is no reason to doubt them, whatever it is called. */
static bool is_worth_keeping(const struct download *d) {
  enum sq_kind kind = d->outcome.kind;
  bool doubtful = kind == SQ_INTEGRITY || kind == SQ_PROTOCOL;
  return is_resumable(d) && kind != SQ_NOT_FOUND &&
         (!doubtful || d->outcome.retryable);
}

void sq_download_fail(struct download *d, const struct sq_failure *f) {
  if (d->step == STEP_PARK) return;
  d->outcome = *f;
  d->outcome.sent = false; /* nothing was changed by a GET */
  drop_streams(d);
  sq_op_wake_in(&d->op, 0);
  sq_op_leave_place(&d->op);
  d->step = STEP_PARK;
  if (d->op.working) return; /* parked when the job is done */
  if (d->part.fd < 0) {
    sq_op_fail(&d->op, &d->outcome);
    return;
  }
  if (is_worth_keeping(d))
    fill_record(d);
  else
    d->record.pieces.count = 0;
  send_job(d, SQ_FILE_CREW, park_job);
}

static void cancel(struct sq_op *op) {
  struct sq_failure f;
  sq_failure_set(&f, SQ_CANCELLED, "cancelled");
  sq_download_fail(download_of(op), &f);
}

static void park_done(struct download *d) {
  if (d->part.fd < 0) {
    sq_op_fail(&d->op, &d->outcome);
    return;
  }
  d->step = STEP_FETCH; /* failed while a job was under way: now park */
  sq_download_fail(d, &d->outcome);
}

static void job_done(struct sq_op *op) {
  struct download *d = download_of(op);
  if (d->step == STEP_COMMIT && d->job_failure.kind == SQ_OK) {
    sq_op_finish(op);
    return;
  }
  if (d->step == STEP_PREPARE) adopt_record(d);
  if (is_cancelled(d) && d->step != STEP_PARK) {
    cancel(op);
    return;
  }
  switch (d->step) {
    case STEP_PREPARE:
      prepare_done(d);
      break;
    case STEP_FETCH:
      fetch_job_done(d);
      break;
    case STEP_SYNC:
      sync_done(d);
      break;
    case STEP_CHECK:
      check_done(d);
      break;
    case STEP_COMMIT:
      sq_download_fail(d, &d->job_failure);
      break;
    case STEP_PARK:
      park_done(d);
      break;
  }
}

static void start(struct sq_op *op) {
  send_job(download_of(op), SQ_FILE_CREW, prepare_job);
}

static void stop(struct sq_op *op) { drop_streams(download_of(op)); }

static void destroy(struct sq_op *op) {
  struct download *d = download_of(op);
  for (int i = 0; i < STREAMS_MAX; i++) sq_stream_free(&d->streams[i]);
  sq_part_close(&d->part);
  sq_zip_release(d->zip);
  free(d->operation);
  free(d->url);
  free(d->dir);
  free(d->name);
  free(d->object);
}

static const struct sq_op_class download_class = {
    .transfers = true,
    .start = start,
    .wake = wake,
    .job_done = job_done,
    .go = go,
    .cancel = cancel,
    .stop = stop,
    .destroy = destroy,
};

/* "<path> v=<version>": the object's name, whatever signature leads to it. */
static char *name_object(const char *url, const char *version) {
  const char *path = strstr(url, "://");
  path = path ? strchr(path + 3, '/') : NULL;
  if (!path) path = "/";
  size_t n = sq_url_public_length(path), m = n + strlen(version) + 4;
  char *object = malloc(m);
  if (object) snprintf(object, m, "%.*s v=%s", (int)n, path, version);
  return object;
}

struct sq_op *sq_download_new(struct sq_profile *p,
                              const struct sq_download_options *o) {
  struct download *d = calloc(1, sizeof *d);
  if (!d) return NULL;
  sq_op_init(&d->op, &download_class, p);
  sq_part_clear(&d->part);
  sq_pieces_reset(&d->pieces, -1);
  for (int i = 0; i < STREAMS_MAX; i++) d->streams[i].download = d;
  d->operation = sq_strdup(o->operation);
  d->url = sq_strdup(o->url);
  d->dir = sq_strdup(o->dir);
  d->name = sq_strdup(o->name);
  d->object = name_object(o->url, o->version_id);
  const char *query = sq_url_query(o->url);
  d->expires = sq_query_expires(query, strlen(query));
  d->expected = o->expected;
  d->verify = o->verify;
  d->overwrite = o->overwrite;
  d->resume = o->resume;
  d->watched = o->watched;
  d->pinned = o->version_id[0] != '\0';
  d->width = o->segments < STREAMS_MAX ? o->segments : STREAMS_MAX;
  d->ranges = true;
  if (d->operation && d->url && d->dir && d->name && d->object) return &d->op;
  sq_op_unref(&d->op);
  return NULL;
}

struct sq_zip *sq_download_take_zip(struct sq_op *op) {
  struct download *d = download_of(op);
  struct sq_zip *zip = d->zip;
  d->zip = NULL;
  return zip;
}

int64_t sq_download_bytes(const struct sq_op *op) {
  return ((const struct download *)op)->pieces.total;
}

const char *sq_download_etag(const struct sq_op *op) {
  return ((const struct download *)op)->etag;
}
