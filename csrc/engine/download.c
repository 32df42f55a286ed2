/*
 * download.c - a download from step to step.
 *
 *   prepare   file thread   folder, part, lock; what a record says is there
 *   fetch     network       fetch.c: streams fill pieces of the part
 *   sync      file thread   cut to size, fdatasync, a record of it all
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
#include <unistd.h>

#include "../base/clock.h"
#include "../base/url.h"

#define TWIN_WAIT (SQ_SECOND / 50)

void sq_download_work(struct download *d, enum sq_crew_name crew,
                      void (*run)(struct sq_op *)) {
  sq_failure_clear(&d->job_failure);
  d->op.job.last = false;
  sq_op_work(&d->op, crew, run);
}

void sq_download_keep(struct download *d, void (*run)(struct sq_op *)) {
  sq_failure_clear(&d->job_failure);
  d->op.job.last = true;
  sq_op_work(&d->op, SQ_FILE_CREW, run);
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

void sq_download_trace_file(struct download *d, const char *detail) {
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
  struct download *d = sq_download_of(op);
  if (!sq_part_open(&d->part, d->dir, d->make_dir, d->name, d->overwrite,
                    &d->job_failure))
    return;
  if (can_resume(d)) return;
  d->record.pieces.count = 0;
  if (!d->part.fresh) {
    sq_part_forget(&d->part);
    sq_part_truncate(&d->part, 0, &d->job_failure);
  }
}

static bool is_twin(struct sq_op *a, struct sq_op *b) {
  return strcmp(sq_download_of(a)->dir, sq_download_of(b)->dir) == 0 &&
         strcmp(sq_download_of(a)->name, sq_download_of(b)->name) == 0;
}

/* Of an object that may have changed, a part that is whole is worth nothing
 * before the store was asked: for its last byte, if nothing has changed. */
static void ask_once(struct download *d) {
  struct sq_piece *last = &d->pieces.list[d->pieces.count - 1];
  if (!d->pinned && sq_pieces_whole(&d->pieces) && last->next > last->first)
    last->next--;
}

/* What the part already has; before anything else is decided. */
static void adopt_record(struct download *d) {
  if (d->job_failure.kind != SQ_OK || d->record.pieces.count == 0) return;
  d->pieces = d->record.pieces;
  sq_pieces_tidy(&d->pieces);
  ask_once(d);
  memcpy(d->etag, d->record.etag, sizeof d->etag);
  d->ranges_seen = true;
  sq_download_trace_file(d, "continuing a part");
}

static void prepare_done(struct download *d) {
  struct sq_failure *f = &d->job_failure;
  if (f->kind != SQ_OK) {
    /* a cancelled download of ours may still be putting the part away */
    if (f->err_no == EWOULDBLOCK && sq_op_dying_twin(&d->op, is_twin))
      sq_op_wake_in(&d->op, TWIN_WAIT);
    else
      sq_download_fail(d, f);
    return;
  }
  d->recorded = d->mark = sq_pieces_done(&d->pieces);
  sq_fetch_begin(d);
}

/* ---- sync, check, commit ---------------------------------------------- */

/* The record is for a process that ends while the file is checked; without it
 * the last bytes would come once more. */
static void sync_job(struct sq_op *op) {
  struct download *d = sq_download_of(op);
  struct sq_failure *f = &d->job_failure, ignored;
  if (!sq_part_truncate(&d->part, d->record.pieces.total, f) ||
      !sq_part_sync(&d->part, f))
    return;
  if (d->record.pieces.count > 0)
    sq_record_write(&d->part, &d->record, &ignored);
  int fd = sq_part_reopen(&d->part, f);
  if (fd < 0) return;
  size_t n = strlen(d->dir) + strlen(d->name) + 2;
  char *path = malloc(n);
  if (path) {
    snprintf(path, n, "%s/%s", d->dir[1] ? d->dir : "", d->name);
    d->zip = sq_zip_new(fd, path);
    free(path);
  } else {
    close(fd);
  }
  if (!d->zip) sq_failure_errno(f, ENOMEM, "cannot open", d->name);
}

/* The bytes are no snapshot.  When nobody had said how many there are, they
 * may have been cut short, which is tried again like any other cut. */
static void refuse_bytes(struct download *d, const struct sq_failure *why) {
  bool guessed = d->length_unknown;
  d->length_unknown = false;
  if (guessed) d->restarted = false;
  sq_fetch_start_over(d, why, guessed);
}

void sq_download_sync(struct download *d) {
  struct sq_failure f;
  int64_t total = d->pieces.total;
  sq_fetch_drop_streams(d);
  sq_op_wake_in(&d->op, 0);
  sq_op_leave_place(&d->op);
  if (total < 4 || (d->expected >= 0 && total != d->expected)) {
    sq_failure_set(&f, SQ_INTEGRITY,
                   "received %lld bytes, which is not a snapshot",
                   (long long)total);
    if (d->length_unknown && total > 0)
      refuse_bytes(d, &f);
    else
      sq_download_fail(d, &f);
    return;
  }
  d->agreed = false;
  sq_fetch_tell(d, sq_now(), true);
  d->step = STEP_SYNC;
  sq_fetch_fill_record(d);
  if (!sq_fetch_is_resumable(d)) d->record.pieces.count = 0;
  sq_download_keep(d, sync_job);
}

static void check_job(struct sq_op *op) {
  struct download *d = sq_download_of(op);
  struct sq_zip_watch w = {&op->cancel, NULL, NULL};
  d->unverifiable = 0;
  if (sq_zip_load(d->zip, &w, &d->job_failure) && d->verify == SQ_VERIFY_FULL)
    sq_zip_test(d->zip, &w, &d->unverifiable, &d->job_failure);
}

static void commit_job(struct sq_op *op) {
  struct download *d = sq_download_of(op);
  if (sq_part_commit(&d->part, d->overwrite, &d->job_failure))
    sq_part_close(&d->part);
}

/* The caller's last word comes first, when it wants one. */
static void commit_begin(struct download *d) {
  d->step = STEP_COMMIT;
  if (d->agreed || !d->watched) sq_download_work(d, SQ_FILE_CREW, commit_job);
}

static void go(struct sq_op *op) {
  struct download *d = sq_download_of(op);
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
    sq_download_work(d, SQ_ZIP_CREW, check_job);
  }
}

/* Encrypted, or packed in a way that libzip does not know. */
static void trace_unverifiable(struct download *d) {
  char words[64];
  snprintf(words, sizeof words, "entries that could not be checked: %llu",
           (unsigned long long)d->unverifiable);
  if (d->unverifiable > 0) sq_download_trace_file(d, words);
}

/* A broken ZIP may be the way's fault: once more from the start. */
static void check_done(struct download *d) {
  struct sq_failure f = d->job_failure;
  if (f.kind == SQ_OK) {
    trace_unverifiable(d);
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

/* Whether another try to write the record may find room: the end of the part
 * makes way for it, first what no record counts, then `bytes` of the rest. */
static bool make_way(struct download *d, int64_t bytes) {
  struct sq_pieces *p = &d->record.pieces;
  struct sq_failure ignored;
  int64_t end = last_byte(p);
  for (int i = 0; i < p->count; i++) {
    struct sq_piece *piece = &p->list[i];
    if (piece->next == end && piece->next - piece->first > bytes)
      piece->next -= bytes;
  }
  return sq_part_truncate(&d->part, last_byte(p), &ignored);
}

/* The failure that parks it is the one to tell, whatever happens here.  A full
 * disk has no room for the record, either.  A part that no record tells of
 * would never be continued.  After a failed sync an older record stays, since
 * it counts only what was synced before. */
static void write_record(struct download *d) {
  struct sq_failure ignored;
  if (!sq_part_sync(&d->part, &ignored)) return;
  for (int tries = 0; tries < 3; tries++) {
    if (sq_record_write(&d->part, &d->record, &ignored)) return;
    if (ignored.err_no != ENOSPC) return;
    if (!make_way(d, (int64_t)tries * RECORD_ROOM)) return;
  }
}

static void park_job(struct sq_op *op) {
  struct download *d = sq_download_of(op);
  if (d->part.committed) {
    /* it has its name; only the folder could not be synced */
  } else if (d->record.pieces.count == 0) {
    sq_part_discard(&d->part);
  } else {
    write_record(d);
    if (!d->part.recorded) sq_part_discard(&d->part);
  }
  sq_part_close(&d->part);
}

/* Bytes that turned out wrong are worth nothing to the next call; a way that
 * broke is no reason to doubt them, whatever it is called. */
static bool is_worth_keeping(const struct download *d) {
  enum sq_kind kind = d->outcome.kind;
  bool doubtful = kind == SQ_INTEGRITY || kind == SQ_PROTOCOL;
  return sq_fetch_is_resumable(d) && kind != SQ_NOT_FOUND &&
         (!doubtful || d->outcome.retryable || d->strange);
}

void sq_download_fail(struct download *d, const struct sq_failure *f) {
  if (d->step == STEP_PARK) return;
  d->outcome = *f;
  d->outcome.sent = false; /* nothing was changed by a GET */
  sq_fetch_drop_streams(d);
  sq_op_wake_in(&d->op, 0);
  sq_op_leave_place(&d->op);
  d->step = STEP_PARK;
  if (d->op.working) return; /* parked when the job is done */
  if (d->part.fd < 0) {
    sq_op_fail(&d->op, &d->outcome);
    return;
  }
  if (is_worth_keeping(d))
    sq_fetch_fill_record(d);
  else
    d->record.pieces.count = 0;
  sq_download_keep(d, park_job);
}

static void cancel(struct sq_op *op) {
  struct sq_failure f;
  sq_failure_set(&f, SQ_CANCELLED, "cancelled");
  sq_download_fail(sq_download_of(op), &f);
}

static void park_done(struct download *d) {
  if (d->part.fd < 0) {
    sq_op_fail(&d->op, &d->outcome);
    return;
  }
  d->step = STEP_FETCH; /* failed while a job was under way: now park */
  sq_download_fail(d, &d->outcome);
}

static void trace_fallbacks(struct download *d) {
  static const char *const words[] = {
      "no flock here: locked by a file", "no renameat2 here: named by a link",
      "no links here: named by a rename", "the folder cannot be synced here"};
  unsigned fresh = d->part.fallbacks & ~d->fallbacks;
  d->fallbacks |= fresh;
  for (unsigned i = 0; i < SQ_COUNT(words); i++)
    if (fresh & 1u << i) sq_download_trace_file(d, words[i]);
}

static void job_done(struct sq_op *op) {
  struct download *d = sq_download_of(op);
  trace_fallbacks(d);
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
      sq_fetch_job_done(d);
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

static void wake(struct sq_op *op) {
  struct download *d = sq_download_of(op);
  if (d->step == STEP_PREPARE)
    sq_download_work(d, SQ_FILE_CREW, prepare_job);
  else if (d->step == STEP_FETCH)
    sq_fetch_wake(d);
}

/* A place is there: for the first time, or to begin again. */
static void start(struct sq_op *op) {
  struct download *d = sq_download_of(op);
  if (d->step == STEP_PREPARE)
    sq_download_work(d, SQ_FILE_CREW, prepare_job);
  else
    sq_fetch_wake(d);
}

/* The engine ends: what came is kept for the next process, as by a cancel.  A
 * job under way keeps it, comes after one that did, or has nothing to keep. */
static void stop(struct sq_op *op) {
  struct download *d = sq_download_of(op);
  sq_fetch_drop_streams(d);
  if (!op->working && d->part.fd >= 0) cancel(op);
}

static void destroy(struct sq_op *op) {
  struct download *d = sq_download_of(op);
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
  d->make_dir = o->make_dir;
  d->watched = o->watched;
  d->pinned = o->version_id[0] != '\0';
  d->width = o->segments < STREAMS_MAX ? o->segments : STREAMS_MAX;
  d->ranges = true;
  if (d->operation && d->url && d->dir && d->name && d->object) return &d->op;
  sq_op_unref(&d->op);
  return NULL;
}

struct sq_zip *sq_download_take_zip(struct sq_op *op) {
  struct download *d = sq_download_of(op);
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
