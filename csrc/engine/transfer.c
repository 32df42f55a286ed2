/*
 * transfer.c - the multi handle, and an easy handle for each exchange.
 *
 * A transfer owns its easy handle, its form, its header list and its error
 * buffer, and gives them up in that order, since libcurl points at the others
 * until the handle is reset or gone.  The wire keeps a few handles, since to
 * make one costs more than a request: reset, or, after a read of the API, set
 * as they are and with their headers.  What libcurl may not send, follow or
 * trust is said in set_common; nothing else in the project sets a libcurl
 * option.
 */
#include "transfer.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/clock.h"
#include "address.h"

#if LIBCURL_VERSION_NUM < 0x074A00
#error "libcurl 7.74 or newer is needed"
#endif

enum { BUFFER_BYTES = 64 * 1024, CONNECTIONS_KEPT = 64, HANDLES_KEPT = 8 };

/* An easy handle that waits for its next exchange: reset (`setting` 0), or as
 * the last one with this setting left it. */
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

/* ---- the wire --------------------------------------------------------- */

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

void sq_wire_free(struct sq_wire *w) {
  while (w->idle_count > 0) {
    struct idle *idle = &w->idle[--w->idle_count];
    curl_easy_cleanup(idle->easy);
    curl_slist_free_all(idle->headers);
  }
  curl_multi_cleanup(w->multi);
  free(w);
}

/* True when the transfer's handle is set already, but for what is its own. */
static bool take_handle(struct sq_wire *w, struct sq_transfer *t) {
  int i = w->idle_count - 1;
  while (i > 0 && w->idle[i].setting != t->setting) i--;
  if (i < 0) {
    t->easy = curl_easy_init();
    return false;
  }
  struct idle found = w->idle[i];
  w->idle[i] = w->idle[--w->idle_count];
  t->easy = found.easy;
  if (found.setting != 0 && found.setting == t->setting) {
    t->headers = found.headers;
    return true;
  }
  curl_easy_reset(t->easy);
  curl_slist_free_all(found.headers);
  return false;
}

/* A reset leaves the number of the last system error, which would be taken for
 * the next exchange's. */
static void give_handle(struct sq_wire *w, struct sq_transfer *t) {
  struct idle idle = {t->easy, 0, NULL};
  long os_errno = 0;
  curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
  if (w->idle_count == HANDLES_KEPT || os_errno != 0) {
    curl_easy_cleanup(t->easy);
    return;
  }
  if (t->ended_well && t->setting) {
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, NULL); /* the transfer's */
    idle.setting = t->setting;
    idle.headers = t->headers;
    t->headers = NULL;
  } else {
    curl_easy_reset(t->easy);
  }
  w->idle[w->idle_count++] = idle;
}

void sq_wire_wakeup(struct sq_wire *w) { curl_multi_wakeup(w->multi); }

void sq_wire_poll(struct sq_wire *w, int milliseconds) {
  curl_multi_poll(w->multi, NULL, 0, milliseconds, NULL);
}

/* ---- what libcurl's answers mean -------------------------------------- */

static enum sq_kind kind_of(CURLcode rc) {
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
    case CURLE_OUT_OF_MEMORY: /* what 7.88 says of a huge header line */
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
    sq_failure_set(f, SQ_PROTOCOL, "the answer's head is too large");
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

void sq_wire_run(struct sq_wire *w) {
  int running, queued;
  CURLMsg *m;
  curl_multi_perform(w->multi, &running);
  while ((m = curl_multi_info_read(w->multi, &queued))) {
    /* copied first: the message dies with curl_multi_remove_handle */
    CURLcode rc = m->data.result;
    struct sq_transfer *t = NULL;
    struct sq_failure f;
    if (m->msg != CURLMSG_DONE) continue;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    curl_multi_remove_handle(w->multi, t->easy);
    t->moving = false;
    t->ended_well = rc == CURLE_OK;
    explain(t, rc, &f);
    t->handlers.end(t->context, &f);
  }
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
  if (t->stopped) return 0; /* said inside curl_easy_pause, which hears not */
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

static size_t on_read(char *dst, size_t one, size_t n, void *arg) {
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
  (void)ip, (void)local, (void)port, (void)lport;
  t->sent = true;
  t->active_at = sq_now();
  return CURL_PREREQFUNC_OK;
}
#endif

/* ---- one exchange ----------------------------------------------------- */

/* libcurl copies the text.  What is not set for want of memory would not
 * merely be missing: without CURLOPT_PROXY the environment's proxy counts. */
static void set_text(struct sq_transfer *t, CURLoption option,
                     const char *value) {
  CURLcode rc = curl_easy_setopt(t->easy, option, value);
  if (rc == CURLE_OUT_OF_MEMORY) t->no_memory = true;
}

static void set_long(CURL *c, CURLoption option, long value) {
  curl_easy_setopt(c, option, value);
}

static long milliseconds(double seconds) {
  if (!(seconds > 0)) return 0;
  if (seconds > 2000000) return 2000000000L;
  return seconds < 0.001 ? 1 : (long)(seconds * 1000);
}

static bool add_header(struct sq_transfer *t, const char *line) {
  struct curl_slist *more = curl_slist_append(t->headers, line);
  if (more) t->headers = more;
  return more != NULL;
}

static bool add_field(struct sq_transfer *t, const char *name,
                      const char *value) {
  size_t size = strlen(name) + strlen(value) + 3;
  char *line = malloc(size);
  if (!line) return false;
  snprintf(line, size, "%s: %s", name, value);
  bool ok = add_header(t, line);
  memset(line, 0, size); /* the key may have been in it */
  free(line);
  return ok;
}

static bool set_headers(struct sq_transfer *t,
                        const struct sq_transfer_options *o) {
  bool ok = true;
  if (o->api) {
    ok = add_field(t, "Authorization", o->profile->api_key) &&
         add_header(t, "Accept: application/json");
    if (ok && o->body) ok = add_header(t, "Content-Type: application/json");
  } else {
    ok = add_header(t, "Accept-Encoding: identity");
    if (ok && o->if_range) ok = add_field(t, "If-Range", o->if_range);
  }
  if (ok && strcmp(o->method, "POST") == 0) {
    if (!o->body && !o->file) ok = add_header(t, "Content-Type:");
    ok = ok && add_header(t, "Expect:");
  }
  if (ok) curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
  return ok;
}

static void set_protocols(struct sq_transfer *t) {
  CURL *c = t->easy;
#if LIBCURL_VERSION_NUM >= 0x075500 /* 7.85 */
  set_text(t, CURLOPT_PROTOCOLS_STR, t->loopback_only ? "http" : "https");
#else
  set_long(c, CURLOPT_PROTOCOLS,
           t->loopback_only ? CURLPROTO_HTTP : CURLPROTO_HTTPS);
#endif
  set_long(c, CURLOPT_FOLLOWLOCATION, 0);
  set_long(c, CURLOPT_HTTP09_ALLOWED, 0);
  set_long(c, CURLOPT_PATH_AS_IS, 1);
}

/* A proxy never comes from libcurl's own look at the environment, which
 * would race with the host's setenv; nothing goes to one in the clear. */
static void set_proxy(struct sq_transfer *t,
                      const struct sq_profile_options *p) {
  bool direct = t->loopback_only || !p->proxy;
  set_text(t, CURLOPT_PROXY, direct ? "" : p->proxy);
  if (direct) return;
  set_text(t, CURLOPT_NOPROXY, p->no_proxy ? p->no_proxy : "");
  set_long(t->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1);
}

static void set_tls(struct sq_transfer *t, const struct sq_profile_options *p) {
  CURL *c = t->easy;
  set_long(c, CURLOPT_SSL_VERIFYPEER, 1);
  set_long(c, CURLOPT_SSL_VERIFYHOST, 2);
  set_long(c, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
  if (p->ca_file) {
    set_text(t, CURLOPT_CAINFO, p->ca_file);
    set_text(t, CURLOPT_CAPATH, NULL);
  }
}

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

/* The same for every GET of the API with a profile: see setting_of. */
static void set_common(struct sq_transfer *t,
                       const struct sq_transfer_options *o) {
  CURL *c = t->easy;
  const struct sq_profile_options *p = o->profile;
  set_text(t, CURLOPT_USERAGENT, p->user_agent);
  set_long(c, CURLOPT_NOSIGNAL, 1);
  set_long(c, CURLOPT_NOPROGRESS, 1);
  set_long(c, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
  set_long(c, CURLOPT_TCP_KEEPALIVE, 1);
  set_long(c, CURLOPT_NETRC, CURL_NETRC_IGNORED);
  set_long(c, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(p->connect_timeout));
#if LIBCURL_VERSION_NUM >= 0x075700 /* 7.87 */
  set_long(c, CURLOPT_QUICK_EXIT, 1);
#endif
  set_protocols(t);
  set_proxy(t, p);
  set_tls(t, p);
}

static uint64_t setting_of(const struct sq_transfer *t,
                           const struct sq_transfer_options *o) {
  bool kept = o->api && strcmp(o->method, "GET") == 0;
  return kept ? o->profile->id * 2 + t->loopback_only : 0;
}

static void set_own(struct sq_transfer *t,
                    const struct sq_transfer_options *o) {
  set_text(t, CURLOPT_URL, o->url);
  set_long(t->easy, CURLOPT_TIMEOUT_MS, milliseconds(o->timeout));
  set_callbacks(t);
}

/* Without a function to go back by, libcurl cannot send it a second time. */
static bool set_file(struct sq_transfer *t,
                     const struct sq_transfer_file *file) {
  t->form = curl_mime_init(t->easy);
  curl_mimepart *part = t->form ? curl_mime_addpart(t->form) : NULL;
  return part && curl_mime_name(part, "file") == CURLE_OK &&
         curl_mime_filename(part, file->name) == CURLE_OK &&
         curl_mime_type(part, "application/zip") == CURLE_OK &&
         curl_mime_data_cb(part, (curl_off_t)file->size, on_read, NULL, NULL,
                           t) == CURLE_OK &&
         curl_easy_setopt(t->easy, CURLOPT_MIMEPOST, t->form) == CURLE_OK;
}

static void set_body(struct sq_transfer *t,
                     const struct sq_transfer_options *o) {
  CURL *c = t->easy;
  set_long(c, CURLOPT_POST, 1);
  curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_size);
  set_text(t, CURLOPT_POSTFIELDS, o->body ? o->body : "");
}

static bool set_method(struct sq_transfer *t,
                       const struct sq_transfer_options *o) {
  CURL *c = t->easy;
  if (strcmp(o->method, "POST") == 0) {
    if (!o->file)
      set_body(t, o);
    else if (!set_file(t, o->file))
      return false;
    /* libcurl sends a request again by itself when a kept connection turns
     * out dead; a create or a restore may have been carried out by then */
    set_long(c, CURLOPT_FRESH_CONNECT, 1);
    set_long(c, CURLOPT_FORBID_REUSE, 1); /* nor keep one more for each */
    set_long(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  } else if (o->api) {
    set_long(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
    if (strcmp(o->method, "GET") != 0)
      set_text(t, CURLOPT_CUSTOMREQUEST, o->method);
  } else {
    set_long(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    if (o->range) set_text(t, CURLOPT_RANGE, o->range);
  }
  return true;
}

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
  t->setting = setting_of(t, options);
  bool is_set = take_handle(w, t);
  if (!t->easy) goto no_memory;
  set_own(t, options);
  if (!is_set) {
    set_common(t, options);
    if (!set_headers(t, options) || !set_method(t, options)) goto no_memory;
  }
  if (t->no_memory) goto no_memory;
  if (curl_multi_add_handle(w->multi, t->easy) != CURLM_OK) goto no_memory;
  t->moving = true;
  return t;
no_memory:
  sq_transfer_free(t);
  sq_failure_set(f, SQ_NETWORK, "out of memory");
  return NULL;
}

void sq_transfer_free(struct sq_transfer *t) {
  if (!t) return;
  if (t->moving) curl_multi_remove_handle(t->wire->multi, t->easy);
  if (t->easy) give_handle(t->wire, t);
  curl_mime_free(t->form);
  curl_slist_free_all(t->headers);
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
