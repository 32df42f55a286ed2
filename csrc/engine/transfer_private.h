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
  uint64_t setting; /* what set_common sets, told apart; 0: not to be kept */
  bool moving;      /* the multi handle has it */
  bool ended_well;
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

/* What the easy handle is set to but for what is the transfer's own, as a
 * number; 0 when no other exchange is set the same. */
uint64_t sq_transfer_setting(const struct sq_transfer *t,
                             const struct sq_transfer_options *o);

/* Sets the easy handle for the exchange, but for its callbacks: all of it, or,
 * where it `is_set` as the setting says, what is the transfer's own.  False
 * without memory. */
bool sq_transfer_set(struct sq_transfer *t, const struct sq_transfer_options *o,
                     bool is_set);

/* Frees a header list, and wipes the key that may be in it. */
void sq_transfer_free_headers(struct curl_slist *headers);

/* ---- transfer.c ---- */

/* libcurl's callback, for the bytes of a file that is sent. */
size_t sq_transfer_on_read(char *dst, size_t one, size_t n, void *transfer);

/* libcurl is through with it, and the multi handle has it no more. */
void sq_transfer_end(struct sq_transfer *t, CURLcode rc);

/* ---- wire.c ---- */

/* Gives `t` an easy handle, null without memory; true when it is set already,
 * as t->setting says. */
bool sq_wire_take_handle(struct sq_wire *w, struct sq_transfer *t);

/* Takes the handle back, and with it, where the next exchange can use them,
 * its headers. */
void sq_wire_give_handle(struct sq_wire *w, struct sq_transfer *t);

bool sq_wire_add(struct sq_wire *w, struct sq_transfer *t);
void sq_wire_remove(struct sq_wire *w, struct sq_transfer *t);

SQ_HIDDEN_END

#endif
