/*
 * wire.c - libcurl's set-up, the multi handle, and the easy handles that wait
 * for their next exchange.
 *
 * A few easy handles are kept after a read of the API, set as they are and with
 * their headers: the next read by the same profile then sets little more than
 * its url.  None is reset to serve otherwise: where memory is short, libcurl's
 * reset leaves defaults out and cannot say so, and what is sent then stands
 * still.  A transfer owns its handle from sq_wire_take_handle to
 * sq_wire_give_handle, the wire before and after.
 */
#include "wire.h"

#include <stdlib.h>

#include "transfer_private.h"

enum { CONNECTIONS_KEPT = 64, HANDLES_KEPT = 8 };

/* An easy handle that waits for its next exchange, as the last one with this
 * setting left it. */
struct idle {
  CURL *easy;
  uint64_t setting;
  struct curl_slist *headers; /* that go with the setting */
};

struct sq_wire {
  CURLM *multi;
  struct idle idle[HANDLES_KEPT];
  int idle_count;
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
  return w;
}

static void drop_idle(struct idle *idle) {
  curl_easy_cleanup(idle->easy);
  sq_transfer_free_headers(idle->headers);
}

void sq_wire_free(struct sq_wire *w) {
  while (w->idle_count > 0) drop_idle(&w->idle[--w->idle_count]);
  curl_multi_cleanup(w->multi);
  free(w);
}

void sq_wire_wakeup(struct sq_wire *w) { curl_multi_wakeup(w->multi); }

void sq_wire_poll(struct sq_wire *w, int milliseconds) {
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
  curl_multi_perform(w->multi, &running);
  while ((m = curl_multi_info_read(w->multi, &queued))) {
    /* copied first: the message dies with the handle's removal */
    CURLcode rc = m->data.result;
    struct sq_transfer *t = NULL;
    if (m->msg != CURLMSG_DONE) continue;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    sq_wire_remove(w, t);
    sq_transfer_end(t, rc);
  }
}

/* ---- easy handles ----------------------------------------------------- */

bool sq_wire_take_handle(struct sq_wire *w, struct sq_transfer *t) {
  int i = w->idle_count - 1;
  while (i >= 0 && w->idle[i].setting != t->setting) i--;
  if (i < 0) {
    t->easy = curl_easy_init();
    return false;
  }
  t->easy = w->idle[i].easy;
  t->headers = w->idle[i].headers;
  w->idle[i] = w->idle[--w->idle_count];
  return true;
}

/* A handle has the number of its last system error, which would be taken for
 * the next exchange's. */
void sq_wire_give_handle(struct sq_wire *w, struct sq_transfer *t) {
  long os_errno = 0;
  curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
  if (!t->ended_well || !t->setting || os_errno != 0) {
    curl_easy_cleanup(t->easy);
    return;
  }
  if (w->idle_count == HANDLES_KEPT) { /* perhaps of a client that is gone */
    drop_idle(&w->idle[0]);
    w->idle_count--;
    for (int i = 0; i < w->idle_count; i++) w->idle[i] = w->idle[i + 1];
  }
  curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, NULL); /* the transfer's */
  w->idle[w->idle_count++] = (struct idle){t->easy, t->setting, t->headers};
  t->headers = NULL;
}
