/*
 * transfer_private.h - a sq_transfer, and what transfer.c, transfer_options.c
 * and wire.c need of each other: the only files that call libcurl (address.c
 * asks its url parser).
 */
#ifndef SQ_TRANSFER_PRIVATE_H
#define SQ_TRANSFER_PRIVATE_H

#include "transfer.h"

#include <curl/curl.h>

#if LIBCURL_VERSION_NUM < 0x074A00
#error "libcurl 7.74 or newer is needed"
#endif

SQ_HIDDEN_BEGIN

struct sq_transfer {
  struct sq_wire *wire;
  CURL *easy;
  bool moving; /* the multi handle has it */
  struct curl_slist *headers;
  curl_mime *form; /* of a file that is sent; else null */
  struct sq_handlers handlers;
  void *context;
  struct sq_head head;
  int64_t active_at;
  bool judged;  /* the head handler was called */
  bool stopped; /* a handler ended it */
  bool head_too_large;
  bool sent;          /* the request may have reached the server */
  bool loopback_only; /* http: no other address may be connected to */
  bool no_memory;     /* an option could not be set */
  char error[CURL_ERROR_SIZE];
};

/* ---- transfer_options.c ---- */

/* Sets the easy handle for the exchange, but for its callbacks.  False without
 * memory. */
bool sq_transfer_set(struct sq_transfer *t,
                     const struct sq_transfer_options *o);

/* Frees a header list, and wipes the key that may be in it. */
void sq_transfer_free_headers(struct curl_slist *headers);

/* ---- transfer.c ---- */

/* libcurl's callback, for the bytes of a file that is sent. */
size_t sq_transfer_on_read(char *dst, size_t one, size_t n, void *transfer);

/* libcurl is through with it, and the multi handle has it no more. */
void sq_transfer_end(struct sq_transfer *t, CURLcode rc);

/* ---- wire.c ---- */

bool sq_wire_add(struct sq_wire *w, struct sq_transfer *t);
void sq_wire_remove(struct sq_wire *w, struct sq_transfer *t);

SQ_HIDDEN_END

#endif
