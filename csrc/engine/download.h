/*
 * download.h - a download, shared by its three parts: download.c takes it
 * from step to step, fetch.c shares out the bytes that are missing, stream.c
 * talks to the store.
 */
#ifndef SQ_DOWNLOAD_H
#define SQ_DOWNLOAD_H

#include "op.h"

#include "../base/part.h"
#include "../base/pieces.h"
#include "../base/store.h"

SQ_HIDDEN_BEGIN

enum {
  STREAMS_MAX = 16,
  PIECE_BYTES = 256 * 1024,       /* one write */
  ERROR_BYTES = 16 * 1024,        /* of a refusal, at most */
  SPLIT_BYTES = 1024 * 1024,      /* half a piece, at least */
  RECORD_BYTES = 8 * 1024 * 1024, /* between two records */
  RECORD_ROOM = 64 * 1024,        /* enough for one on any disk */
  PROGRESS_BYTES = 1024 * 1024    /* after which failures are forgiven */
};

enum stream_state { STREAM_IDLE, STREAM_RUNNING, STREAM_WAITING };

/* One connection to the store, filling one piece. */
struct stream {
  struct download *download;
  enum stream_state state;
  int piece;
  struct sq_transfer *transfer;
  struct sq_want want; /* what was asked: the piece may be cut meanwhile */
  struct sq_grant grant;
  bool judged, paused, satisfied;
  bool unproven; /* the whole object comes; its first bytes do not, yet */
  int64_t got;   /* bytes of this answer's body */
  char *buffer;  /* PIECE_BYTES */
  size_t fill;
  struct sq_buf error_body;
  struct sq_failure failure; /* our own, while libcurl only knows "stopped" */
  char *redirected;          /* url, or null: the download's */
  int redirects;
  int64_t started_at, retry_at;
  int64_t window_at, window_got; /* of the watch for dripping */
};

struct download {
  struct sq_op op;

  /* what was asked; never changes */
  char *operation, *url, *dir, *name, *object;
  int64_t expected, expires;
  enum sq_verify verify;
  bool overwrite, resume, make_dir, pinned, watched;

  /* the file: the job's while one is under way, but for sq_part_write */
  enum step {
    STEP_PREPARE,
    STEP_FETCH,
    STEP_SYNC,
    STEP_CHECK,
    STEP_COMMIT,
    STEP_PARK
  } step;
  struct sq_part part;
  struct sq_zip *zip;
  uint64_t unverifiable;   /* of its entries, in a full check */
  struct sq_record record; /* what the job reads, or is to write */
  struct sq_failure job_failure;
  bool job_restarts; /* the hold's job empties the part first */

  /* the network thread's */
  struct sq_pieces pieces;
  char etag[192], modified[64]; /* the store's, "" until it says them */
  bool ranges;                  /* may be asked for */
  bool ranges_seen;             /* a 206 came, now or when the part was made */
  bool holding;                 /* no byte is written until the job is done */
  bool hold_wanted;             /* it starts when the job under way ends */
  bool restarts_wanted;         /* and empties the part */
  bool restarted;
  bool strange; /* what came last is no snapshot: no word against the part */
  bool agreed;  /* the caller saw that all bytes are there */
  bool length_unknown; /* the end of the connection was the end of file */
  unsigned fallbacks;  /* those of the part that were told */
  struct stream streams[STREAMS_MAX];
  int width;    /* streams at once */
  int failures; /* since the last PROGRESS_BYTES */
  int failures_in_all;
  int64_t failed_at; /* the last one counted */
  int tries;         /* requests in all */
  int64_t mark;      /* bytes done at the last failure */
  int64_t recorded, recorded_at;
  int64_t told, told_at;
  double rate;
  struct sq_failure outcome; /* while parking */
};

/* ---- stream.c --------------------------------------------------------- */

/* Asks the store for what is missing of the stream's piece. */
void sq_stream_start(struct stream *s);
void sq_stream_drop(struct stream *s); /* ends it silently; keeps its bytes */
void sq_stream_free(struct stream *s);
void sq_stream_unpause(struct stream *s);
/* Null, or what is wrong with its pace. */
const char *sq_stream_problem(struct stream *s, int64_t now);

/* ---- fetch.c, told by stream.c ---------------------------------------- */

/* Whatever is there is of no use: from the next byte on it is another file
 * of `total` bytes (-1: not known). */
void sq_download_renew(struct download *d, int64_t total);
/* The size is known for the first time. */
void sq_download_sized(struct download *d);
void sq_download_restart(struct download *d, const struct sq_failure *why);
void sq_download_stream_done(struct stream *s);
void sq_download_stream_failed(struct stream *s, const struct sq_failure *f);

/* ---- fetch.c, told by download.c -------------------------------------- */

void sq_fetch_begin(struct download *d);
void sq_fetch_wake(struct download *d);
void sq_fetch_job_done(struct download *d);
/* `patient`: as after any failure on the way, else at once. */
void sq_fetch_start_over(struct download *d, const struct sq_failure *why,
                         bool patient);
void sq_fetch_drop_streams(struct download *d);
/* The progress, when it is due; the `last` always. */
void sq_fetch_tell(struct download *d, int64_t now, bool last);
/* A later call could go on with these bytes. */
bool sq_fetch_is_resumable(const struct download *d);
/* Sets what a record of the part is to say. */
void sq_fetch_fill_record(struct download *d);

/* ---- download.c ------------------------------------------------------- */

static inline struct download *sq_download_of(struct sq_op *op) {
  return (struct download *)op;
}

/* Sends a job, whose failure will be job_failure. */
void sq_download_work(struct download *d, enum sq_crew_name crew,
                      void (*run)(struct sq_op *));
/* The same, for the file thread, and done even when the engine ends: what
 * keeps the bytes for the next call. */
void sq_download_keep(struct download *d, void (*run)(struct sq_op *op));
/* All bytes are there. */
void sq_download_sync(struct download *d);
void sq_download_fail(struct download *d, const struct sq_failure *f);
void sq_download_trace(struct download *d, const char *event,
                       const char *detail, int http_status, double seconds);
void sq_download_trace_file(struct download *d, const char *detail);

SQ_HIDDEN_END

#endif
