/*
 * transfer.c - an exchange from its start to its end: libcurl's callbacks, and
 * what its answers mean.
 *
 * A transfer owns its easy handle, its form, its header list and its error
 * buffer, and gives them up in that order, since libcurl points at the others
 * until the handle is kept by the wire or gone.
 */
#include "transfer_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../base/clock.h"
#include "address.h"

/* ---- what libcurl's answers mean -------------------------------------- */

enum { TOO_LARGE = 100 }; /* CURLE_TOO_LARGE, of libcurl 8.6 */

static enum sq_kind kind_of(CURLcode rc) {
  if ((int)rc == TOO_LARGE) return SQ_PROTOCOL; /* a huge header line */
  switch (rc) {
    case CURLE_OPERATION_TIMEDOUT:
      return SQ_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED:
      return SQ_TLS;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_FILESIZE_EXCEEDED:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_OUT_OF_MEMORY: /* what 7.88 says of that line */
      return SQ_PROTOCOL;
    default:
      return SQ_NETWORK;
  }
}

/* A connection that dies inside the handshake comes as a TLS error, and a
 * chunk that cannot be read as a network error. */
static enum sq_kind refine(struct sq_transfer *t, CURLcode rc,
                           enum sq_kind kind) {
  long os_errno = 0;
  if (rc == CURLE_SSL_CONNECT_ERROR) {
    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (os_errno == ECONNRESET || os_errno == EPIPE ||
        strstr(t->error, "SYSCALL") || strstr(t->error, "reset by peer"))
      return SQ_NETWORK;
  }
  if (rc == CURLE_RECV_ERROR && strstr(t->error, "chunk")) return SQ_PROTOCOL;
  return kind;
}

/* libcurl quotes a proxy it cannot use whole, with its password. */
static const char *words_for(const struct sq_transfer *t, CURLcode rc) {
  if (strstr(t->error, "nsupported proxy"))
    return "the proxy's address cannot be used";
  return t->error[0] ? t->error : curl_easy_strerror(rc);
}

static void explain(struct sq_transfer *t, CURLcode rc, struct sq_failure *f) {
  if (rc == CURLE_OK) {
    sq_failure_clear(f);
  } else if (t->head_too_large) {
    sq_failure_set(f, SQ_PROTOCOL, "the answer's headers are too large");
  } else if (t->stopped) {
    sq_failure_set(f, SQ_CANCELLED, "stopped");
  } else {
    enum sq_kind kind = refine(t, rc, kind_of(rc));
    sq_failure_set(f, kind, "%s", words_for(t, rc));
    /* a chunk gone wrong on the way may be right the next time */
    if (kind == SQ_PROTOCOL && rc == CURLE_RECV_ERROR) f->retryable = true;
  }
  f->curl_code = (int)rc;
  f->sent = t->sent;
}

void sq_transfer_end(struct sq_transfer *t, CURLcode rc) {
  struct sq_failure f;
  explain(t, rc, &f);
  t->handlers.end(t->context, &f);
}

/* ---- callbacks, inside libcurl ---------------------------------------- */

static size_t on_header(char *line, size_t one, size_t n, void *arg) {
  struct sq_transfer *t = arg;
  t->active_at = sq_now();
  if (!sq_head_line(&t->head, line, one * n)) {
    t->head_too_large = true;
    return 0;
  }
  if (t->head.complete && !t->judged) {
    t->judged = true;
    if (!t->handlers.head(t->context, &t->head)) {
      t->stopped = true;
      return 0;
    }
  }
  return one * n;
}

static size_t on_body(char *bytes, size_t one, size_t n, void *arg) {
  struct sq_transfer *t = arg;
  t->active_at = sq_now();
  if (t->stopped) return 0; /* said inside curl_easy_pause, which ignores it */
  /* HTTP/0.9 is off, so a head came; a body before its end would be a bug */
  switch (t->judged ? t->handlers.body(t->context, bytes, one * n) : SQ_STOP) {
    case SQ_TAKEN:
      return one * n;
    case SQ_PAUSE:
      return CURL_WRITEFUNC_PAUSE;
    default:
      t->stopped = true;
      return 0;
  }
}

size_t sq_transfer_on_read(char *dst, size_t one, size_t n, void *arg) {
  struct sq_transfer *t = arg;
  t->active_at = sq_now();
  int64_t got = t->handlers.read(t->context, dst, one * n);
  if (got >= 0) return (size_t)got;
  t->stopped = true;
  return CURL_READFUNC_ABORT;
}

static bool is_loopback(const struct sockaddr *a) {
  if (a->sa_family == AF_INET) {
    struct sockaddr_in in;
    memcpy(&in, a, sizeof in);
    return ntohl(in.sin_addr.s_addr) >> 24 == 127;
  }
  if (a->sa_family == AF_INET6) {
    struct sockaddr_in6 in6;
    memcpy(&in6, a, sizeof in6);
    return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
  }
  return false;
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose,
                               struct curl_sockaddr *a) {
  const struct sq_transfer *t = arg;
  (void)purpose;
  if (t->loopback_only && !is_loopback(&a->addr)) return CURL_SOCKET_BAD;
#ifdef SOCK_CLOEXEC
  return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
#else
  int fd = socket(a->family, a->socktype, a->protocol);
  if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
#endif
}

#if LIBCURL_VERSION_NUM >= 0x075000 /* 7.80 */
/* The connection is there, and the request is about to go out. */
static int on_request(void *arg, char *ip, char *local, int port, int lport) {
  struct sq_transfer *t = arg;
  (void)ip;
  (void)local;
  (void)port;
  (void)lport;
  t->sent = true;
  t->active_at = sq_now();
  if (t->handlers.sent) t->handlers.sent(t->context);
  return CURL_PREREQFUNC_OK;
}
#endif

static void set_callbacks(struct sq_transfer *t) {
  CURL *c = t->easy;
  curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
  curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
  curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
#if LIBCURL_VERSION_NUM >= 0x075000
  curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_request);
  curl_easy_setopt(c, CURLOPT_PREREQDATA, t);
#else
  t->sent = true; /* nobody tells: think the worse of it */
#endif
  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
  curl_easy_setopt(c, CURLOPT_PRIVATE, t);
}

/* ---- one exchange ----------------------------------------------------- */

struct sq_transfer *sq_transfer_new(struct sq_wire *w,
                                    const struct sq_transfer_options *options,
                                    const struct sq_handlers *handlers,
                                    void *context, struct sq_failure *f) {
  struct sq_transfer *t = calloc(1, sizeof *t);
  if (!t) goto no_memory;
  t->wire = w;
  t->handlers = *handlers;
  t->context = context;
  t->active_at = sq_now();
  t->loopback_only = sq_address_is_http(options->url);
  sq_head_clear(&t->head);
  t->easy = curl_easy_init();
  if (!t->easy || !sq_transfer_set(t, options)) goto no_memory;
  set_callbacks(t);
  if (!sq_wire_add(w, t)) goto no_memory;
  return t;
no_memory:
  sq_transfer_free(t);
  sq_failure_set(f, SQ_NETWORK, "out of memory");
  return NULL;
}

void sq_transfer_free(struct sq_transfer *t) {
  if (!t) return;
  sq_wire_remove(t->wire, t);
  curl_easy_cleanup(t->easy);
  curl_mime_free(t->form);
  sq_transfer_free_headers(t->headers);
  free(t);
}

void sq_transfer_unpause(struct sq_transfer *t) {
  t->active_at = sq_now();
  curl_easy_pause(t->easy, CURLPAUSE_CONT);
}

bool sq_transfer_is_sent(const struct sq_transfer *t) { return t->sent; }

const struct sq_head *sq_transfer_head(const struct sq_transfer *t) {
  return &t->head;
}

const char *sq_transfer_redirect(struct sq_transfer *t) {
  char *url = NULL;
  curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &url);
  return url;
}

int64_t sq_transfer_active_at(const struct sq_transfer *t) {
  return t->active_at;
}

double sq_transfer_seconds(struct sq_transfer *t) {
  curl_off_t us = 0;
  curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &us);
  return (double)us / 1e6;
}
