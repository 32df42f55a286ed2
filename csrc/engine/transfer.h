/*
 * transfer.h - one attempt of one HTTP exchange.
 *
 * Whoever started a sq_transfer owns it until sq_transfer_free; all calls are
 * made by the network thread.  Handlers are called from sq_wire_run only; all
 * but `end` run inside libcurl, and may not start or free transfers.
 */
#ifndef SQ_TRANSFER_H
#define SQ_TRANSFER_H

#include "../base/failure.h"
#include "../base/head.h"
#include "profile.h"
#include "wire.h"

SQ_HIDDEN_BEGIN

struct sq_transfer;

enum sq_take { SQ_TAKEN, SQ_PAUSE, SQ_STOP };

struct sq_handlers {
  /* The request goes out now; null: of no interest.  Not called by libcurl
   * before 7.80. */
  void (*sent)(void *context);
  /* The head is complete; false ends the transfer (with SQ_CANCELLED). */
  bool (*head)(void *context, const struct sq_head *head);
  /* Body bytes, at most 16 KiB.  SQ_PAUSE: not taken, come again after
   * sq_transfer_unpause. */
  enum sq_take (*body)(void *context, const char *bytes, size_t n);
  /* The next bytes of options->file, at most `n`; gives their number, -1 to
   * end the transfer (with SQ_CANCELLED). */
  int64_t (*read)(void *context, char *dst, size_t n);
  /* The exchange is over; kind SQ_OK when libcurl had no complaint, and
   * SQ_CANCELLED when a handler ended it. */
  void (*end)(void *context, const struct sq_failure *failure);
};

/* Sent as the field "file" of a multipart form, read as it goes out. */
struct sq_transfer_file {
  const char *name;
  int64_t size;
};

struct sq_transfer_options {
  const struct sq_profile_options *profile;
  const char *method; /* "GET", "POST" or "DELETE" */
  const char *url;
  bool api;         /* send the key, take JSON; else a plain fetch */
  const char *body; /* POST; not copied */
  size_t body_size;
  const struct sq_transfer_file *file; /* POST, in place of a body; or null */
  const char *range;                   /* "0-" or null */
  const char *if_range;                /* a strong etag or null */
  double timeout;                      /* seconds in all; 0: none */
};

/* Null with `f` set when memory is short. */
struct sq_transfer *sq_transfer_new(struct sq_wire *w,
                                    const struct sq_transfer_options *options,
                                    const struct sq_handlers *handlers,
                                    void *context, struct sq_failure *f);
void sq_transfer_free(struct sq_transfer *t); /* ends it silently */
void sq_transfer_unpause(struct sq_transfer *t);

/* Whether the request may have reached the server. */
bool sq_transfer_is_sent(const struct sq_transfer *t);
const struct sq_head *sq_transfer_head(const struct sq_transfer *t);
/* Where a 3xx answer points, made absolute; null when it says nothing. Valid
 * from the end handler until the transfer is freed. */
const char *sq_transfer_redirect(struct sq_transfer *t);
/* Monotonic time of the last byte of a file taken, of head or body (the start
 * at first). */
int64_t sq_transfer_active_at(const struct sq_transfer *t);
double sq_transfer_seconds(struct sq_transfer *t);

SQ_HIDDEN_END

#endif
