/*
 * transfer_options.c - what libcurl is told of an exchange: nothing else in the
 * project sets an option of an easy handle.
 *
 * What libcurl may not send, follow or trust is said in set_common.  Header
 * list and form are the transfer's, since libcurl only points at them.
 */
#include "transfer_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"

enum { DOWNLOAD_BUFFER = 64 * 1024 }; /* else libcurl's own, a quarter of it */

/* ---- values ----------------------------------------------------------- */

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

/* ---- the request ------------------------------------------------------ */

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
  sq_wipe(line); /* the key may have been in it */
  free(line);
  return ok;
}

void sq_transfer_free_headers(struct curl_slist *headers) {
  for (struct curl_slist *one = headers; one; one = one->next)
    sq_wipe(one->data);
  curl_slist_free_all(headers);
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

/* ---- what is allowed -------------------------------------------------- */

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
 * would race with the host's setenv (it looks for no_proxy though there is
 * none to go round); nothing goes to one in the clear. */
static void set_proxy(struct sq_transfer *t,
                      const struct sq_profile_options *p) {
  bool direct = t->loopback_only || !p->proxy;
  set_text(t, CURLOPT_PROXY, direct ? "" : p->proxy);
  set_text(t, CURLOPT_NOPROXY, direct || !p->no_proxy ? "" : p->no_proxy);
  if (direct) return;
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

static void set_common(struct sq_transfer *t,
                       const struct sq_transfer_options *o) {
  CURL *c = t->easy;
  const struct sq_profile_options *p = o->profile;
  set_text(t, CURLOPT_USERAGENT, p->user_agent);
  set_long(c, CURLOPT_NOSIGNAL, 1);
  set_long(c, CURLOPT_NOPROGRESS, 1);
  if (!o->api) set_long(c, CURLOPT_BUFFERSIZE, DOWNLOAD_BUFFER);
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

/* Without a function to go back by, libcurl cannot send it a second time. */
static bool set_file(struct sq_transfer *t,
                     const struct sq_transfer_file *file) {
  t->form = curl_mime_init(t->easy);
  curl_mimepart *part = t->form ? curl_mime_addpart(t->form) : NULL;
  return part && curl_mime_name(part, "file") == CURLE_OK &&
         curl_mime_filename(part, file->name) == CURLE_OK &&
         curl_mime_type(part, "application/zip") == CURLE_OK &&
         curl_mime_data_cb(part, (curl_off_t)file->size, sq_transfer_on_read,
                           NULL, NULL, t) == CURLE_OK &&
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

/* ---- all of it -------------------------------------------------------- */

bool sq_transfer_set(struct sq_transfer *t,
                     const struct sq_transfer_options *o) {
  set_text(t, CURLOPT_URL, o->url);
  set_long(t->easy, CURLOPT_TIMEOUT_MS, milliseconds(o->timeout));
  set_common(t, o);
  return set_headers(t, o) && set_method(t, o) && !t->no_memory;
}
