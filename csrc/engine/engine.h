/*
 * engine.h - the engine's one public header: operations go down, events come
 * up, and one descriptor is readable while events wait.
 *
 * The engine is plain C on threads of its own and knows no Lua.  Only the
 * thread that runs the Lua state calls what is declared here.
 *
 *   caller's thread     network thread            file, ZIP threads
 *   sq_op_submit   -->  the operation's steps --> jobs
 *   sq_engine_take <--  progress, done        <-- job done
 *
 * An operation (struct sq_op) is counted: one reference is the caller's,
 * from its creation to sq_op_release, one is the engine's, from submit to
 * its end.  Until its done event is taken the caller reads nothing of it but
 * what sq_engine_take gives; then all of it, and the engine none.
 */
#ifndef SQ_ENGINE_H
#define SQ_ENGINE_H

#include "../base/buf.h"
#include "../base/failure.h"
#include "../base/head.h"
#include "../base/limits.h"
#include "zip.h"

SQ_HIDDEN_BEGIN

struct sq_engine;
struct sq_profile;
struct sq_op;

/* ---- the engine ------------------------------------------------------- */

/* Makes an engine: its descriptor, no threads yet.  Null with `f` set. */
struct sq_engine *sq_engine_new(struct sq_failure *f);

/* Ends every operation, stops and joins the threads (a file thread held up
 * in a system call is left to it after 0.2 s), closes the descriptor.  Never
 * raises, never waits for the network; but for the file system, without bound,
 * where the network thread is in a write of a download's bytes, or writes the
 * last ones, 256 KiB for each connection at most.  After a fork, in the child:
 * closes descriptors, nothing else. */
void sq_engine_free(struct sq_engine *e);

/* True in a process forked after the engine was made. */
bool sq_engine_is_foreign(const struct sq_engine *e);

/* Readable while something waits to be taken. */
int sq_engine_fd(const struct sq_engine *e);

/* Makes the descriptor readable though the queue is empty: the caller holds
 * back something that it took.  Undone by `held` false, and by the next
 * sq_engine_take. */
void sq_engine_hold(struct sq_engine *e, bool held);

enum { SQ_EVENT_PROGRESS = 1, SQ_EVENT_DONE = 2 };

struct sq_progress {
  int64_t done, total; /* bytes; total -1 while unknown */
  double rate;         /* bytes a second, smoothed */
};

/* Told of an operation that something happened to: what (SQ_EVENT_*, merged)
 * and its newest progress.  Must be short, and not call the engine. */
typedef void (*sq_take_handler)(void *context, struct sq_op *op,
                                unsigned events,
                                const struct sq_progress *progress);

/* Takes everything that waits; the descriptor is not readable then, until
 * something new comes. */
void sq_engine_take(struct sq_engine *e, sq_take_handler handler,
                    void *context);

/* ---- profiles: what the operations of one client share ---------------- */

struct sq_profile_options {
  const char *api_key; /* sent to the API's origin only */
  const char *ca_file; /* null: the system's */
  const char *proxy;   /* null: none */
  const char *no_proxy;
  const char *user_agent;
  double connect_timeout; /* seconds */
  double stall_timeout;   /* downloads */
  int retries;
  double max_retry_wait;
  double pace; /* seconds between two creates of the key */
  struct sq_limit_times limit_times;
  int concurrency; /* transfers under way at once */
  size_t max_response_bytes;
  uint64_t listener; /* named in its trace records; 0: nobody listens */
};

/* A copy of the options with one reference; null when memory is short. */
struct sq_profile *sq_profile_new(const struct sq_profile_options *options);
void sq_profile_release(struct sq_profile *p);
/* No more trace records are written for it. */
void sq_profile_trace_off(struct sq_profile *p);

/* What may be told of a request: no key, no query string. */
struct sq_trace {
  uint64_t listener; /* whose */
  char event[16]; /* request, response, failure, retry, wait, file, account */
  char operation[96], method[8], url[256], detail[128];
  int attempt, http_status;
  unsigned dropped; /* records lost before this one */
  int64_t bytes;    /* -1: not said */
  double seconds;   /* duration, or what is waited; -1: not said */
};

/* The oldest trace record; false when there is none. */
bool sq_engine_take_trace(struct sq_engine *e, struct sq_trace *out);

/* Null when `url` may be used: https, or http between loopback addresses;
 * with a host, without user name, password or control characters, and
 * (`plain`) without query and fragment.  Else what is wrong with it, without
 * showing it. */
const char *sq_address_problem(const char *url, bool plain);
/* What it says when it could not look. */
extern const char sq_address_no_memory[];

/* "libcurl/7.88.1 OpenSSL/3.0.11 libzip/1.7.3" */
void sq_libraries(char dst[160]);

/* ---- operations ------------------------------------------------------- */

/* Takes the engine's reference and starts `op`, whose fields are set; false
 * with `f` when the threads cannot be started. */
bool sq_op_submit(struct sq_engine *e, struct sq_op *op, struct sq_failure *f);

/* Before the operation is submitted: ends it as `timeout` when it is not done
 * within so many seconds, whatever it waits for then; 0: no bound. */
void sq_op_set_within(struct sq_op *op, double seconds);

/* Gives up the caller's reference.  An operation that goes on is cancelled;
 * none of its events will be seen any more. */
void sq_op_release(struct sq_op *op);

/* Asks a submitted operation to end; its done event comes soon (kind
 * cancelled, unless it was done before). */
void sq_op_cancel(struct sq_op *op);

/* The caller has dealt with the progress that said all bytes were there: an
 * operation that is `watched` ends well only after that. */
void sq_op_go(struct sq_op *op);

/* What the caller ties to the operation; the engine never looks at it. */
void sq_op_set_user(struct sq_op *op, void *user);
void *sq_op_user(const struct sq_op *op);

/* Of one that was cancelled: true for a POST that may have gone out, and be
 * carried out whatever comes back. */
bool sq_op_changes(const struct sq_op *op);

/* After done: kind SQ_OK when it went well. */
const struct sq_failure *sq_op_failure(const struct sq_op *op);

/* An API request.  Strings are copied. */
struct sq_request_options {
  const char *operation; /* for trace: "snapshot a1" */
  const char *method;    /* "GET", "POST" or "DELETE"; not copied */
  const char *url;
  const char *body; /* JSON, or null */
  size_t body_size;
  enum sq_action action; /* what it is to the platform's limits, */
  const char *app;       /* and to whom; null: nobody */
  /* POST, sent in place of a body (its reference is shared), or null: then
   * `timeout` is for the answer, once all is sent, and the profile's
   * stall_timeout counts before. */
  struct sq_zip *file;
  double timeout; /* seconds, each attempt */
};
struct sq_op *sq_request_new(struct sq_profile *p,
                             const struct sq_request_options *options);
/* After done: the answer's head, and its body (owned by the operation). */
const struct sq_head *sq_request_head(const struct sq_op *op);
const struct sq_buf *sq_request_body(const struct sq_op *op);
/* After done: when the last attempt began and ended, by sq_now. */
void sq_request_times(const struct sq_op *op, int64_t *begun, int64_t *ended);

/* A download.  Strings are copied; `dir` is absolute, `name` plain. */
enum sq_verify { SQ_VERIFY_NONE, SQ_VERIFY_STRUCTURE, SQ_VERIFY_FULL };
struct sq_download_options {
  const char *operation, *url, *dir, *name;
  const char *version_id; /* "": not known */
  int64_t expected;       /* bytes the listing says; -1: not known */
  enum sq_verify verify;
  int segments;
  bool overwrite, resume;
  bool make_dir; /* when it is missing */
  bool watched;  /* the caller may still cancel when all bytes are there */
};
struct sq_op *sq_download_new(struct sq_profile *p,
                              const struct sq_download_options *options);
/* After done without failure: the file, opened (one reference, now the
 * caller's), its bytes and the store's etag. */
struct sq_zip *sq_download_take_zip(struct sq_op *op);
int64_t sq_download_bytes(const struct sq_op *op);
const char *sq_download_etag(const struct sq_op *op);

/* Work on a ZIP file (its reference is shared). */
enum sq_zip_task { SQ_ZIP_LOAD, SQ_ZIP_TEST, SQ_ZIP_READ, SQ_ZIP_EXTRACT };
struct sq_zip_options {
  enum sq_zip_task task;
  const char *path; /* load: the file to open; extract: the directory;
                       absolute */
  const char *name; /* read: the entry */
  uint64_t max_bytes;
  struct sq_zip_limits limits; /* extract */
};
/* `z` null: open `path` (load only). */
struct sq_op *sq_zip_op_new(struct sq_zip *z,
                            const struct sq_zip_options *options);
struct sq_zip *sq_zip_op_take_zip(struct sq_op *op);         /* after a load */
const struct sq_buf *sq_zip_op_data(const struct sq_op *op); /* after a read */
uint64_t sq_zip_op_count(const struct sq_op *op); /* files, unverifiable */

/* Ends after `seconds`. */
struct sq_op *sq_timer_new(double seconds);

SQ_HIDDEN_END

#endif
