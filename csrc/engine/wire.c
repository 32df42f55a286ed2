/*
 * wire.c - libcurl's set-up, and the multi handle.
 */
#include "wire.h"

#include <stdlib.h>

#include "../base/clock.h"
#include "transfer_private.h"

enum { CONNECTIONS_KEPT = 64 };

/* From 8.9 on, libcurl gives a peer two seconds to answer TLS's goodbye before
 * it closes a connection that it will not keep.  Up to 8.21 it sets no timer
 * for that, and an idle host would hold the connection for as long as the peer
 * says nothing: so it is driven once more when they are over. */
#define GOODBYE (SQ_SECOND * 21 / 10)

struct sq_wire {
  CURLM *multi;
  int64_t goodbye_ends; /* the last one's; 0 when there is none to wait for */
};

/* ---- set-up ----------------------------------------------------------- */

/* libcrypto's own, where libcurl has it with it.  It asks for libcrypto's end
 * (atexit) at its first use: with the least of uses, that is now, and not in
 * the midst of curl_global_init. */
#if defined(__GNUC__) && defined(__ELF__)
extern int OPENSSL_init_crypto(uint64_t options, const void *settings)
    __attribute__((weak));
#define OPENSSL_INIT_ASYNC 0x100 /* a thread's local keys */
#endif

void sq_wire_prepare(void) {
#if defined(OPENSSL_INIT_ASYNC)
  if (OPENSSL_init_crypto) OPENSSL_init_crypto(OPENSSL_INIT_ASYNC, NULL);
#endif
}

bool sq_wire_global(void) {
  return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

/* ---- the multi handle ------------------------------------------------- */

struct sq_wire *sq_wire_new(void) {
  struct sq_wire *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->multi = curl_multi_init();
  if (!w->multi) {
    free(w);
    return NULL;
  }
  curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
#if LIBCURL_VERSION_NUM >= 0x081400 /* 8.20 */
  curl_multi_setopt(w->multi, CURLMOPT_QUICK_EXIT, 1L);
#endif
  return w;
}

void sq_wire_free(struct sq_wire *w) {
  curl_multi_cleanup(w->multi);
  free(w);
}

void sq_wire_wakeup(struct sq_wire *w) { curl_multi_wakeup(w->multi); }

void sq_wire_poll(struct sq_wire *w, int milliseconds) {
  if (w->goodbye_ends) {
    int64_t left = (w->goodbye_ends - sq_now()) / 1000000 + 1;
    if (left < milliseconds) milliseconds = left > 0 ? (int)left : 0;
  }
  curl_multi_poll(w->multi, NULL, 0, milliseconds, NULL);
}

bool sq_wire_add(struct sq_wire *w, struct sq_transfer *t) {
  t->moving = curl_multi_add_handle(w->multi, t->easy) == CURLM_OK;
  return t->moving;
}

void sq_wire_remove(struct sq_wire *w, struct sq_transfer *t) {
  if (t->moving) curl_multi_remove_handle(w->multi, t->easy);
  t->moving = false;
}

void sq_wire_run(struct sq_wire *w) {
  int running, queued;
  CURLMsg *m;
  if (w->goodbye_ends && w->goodbye_ends <= sq_now()) w->goodbye_ends = 0;
  curl_multi_perform(w->multi, &running);
  while ((m = curl_multi_info_read(w->multi, &queued))) {
    /* copied first: the message dies with the handle's removal */
    CURLcode rc = m->data.result;
    struct sq_transfer *t = NULL;
    if (m->msg != CURLMSG_DONE) continue;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    sq_wire_remove(w, t);
    w->goodbye_ends = sq_now() + GOODBYE;
    sq_transfer_end(t, rc);
  }
}
