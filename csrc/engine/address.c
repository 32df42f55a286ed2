/*
 * address.c - judges urls by libcurl's url parser.  Owns nothing.
 *
 * https goes anywhere.  http carries the key in the clear, so it is for
 * loopback addresses only; transfer.c looks at the address connected to as
 * well, since a name could lead elsewhere.
 */
#include "address.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <zip.h>

#include "../base/url.h"
#include "engine.h"

bool sq_address_is_http(const char *url) {
  return strncasecmp(url, "http:", 5) == 0;
}

const char sq_address_no_memory[] = "cannot be read: out of memory";

/* Null when `u` has no such part. */
static const char *refuse_part(CURLU *u, CURLUPart part, const char *problem) {
  char *value = NULL;
  CURLUcode rc = curl_url_get(u, part, &value, 0);
  curl_free(value);
  if (rc == CURLUE_OUT_OF_MEMORY) return sq_address_no_memory;
  return rc == CURLUE_OK ? problem : NULL;
}

static bool is_loopback_host(const char *host) {
  struct in_addr in;
  struct in6_addr in6;
  char bare[64];
  size_t n = strlen(host);
  if (strcasecmp(host, "localhost") == 0) return true;
  if (inet_pton(AF_INET, host, &in) == 1) return ntohl(in.s_addr) >> 24 == 127;
  if (n < 2 || host[0] != '[' || n - 2 >= sizeof bare) return false;
  memcpy(bare, host + 1, n - 2);
  bare[n - 2] = '\0';
  return inet_pton(AF_INET6, bare, &in6) == 1 && IN6_IS_ADDR_LOOPBACK(&in6);
}

static const char *judge_host(const char *scheme, const char *host) {
  if (!host[0]) return "needs a scheme and a host";
  if (strcasecmp(scheme, "https") == 0) return NULL;
  if (strcasecmp(scheme, "http") != 0) return "must be https";
  if (is_loopback_host(host)) return NULL;
  return "must be https (http is for loopback addresses only)";
}

static const char *judge_scheme(CURLU *u) {
  char *scheme = NULL, *host = NULL;
  CURLUcode rc = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
  if (rc == CURLUE_OK) rc = curl_url_get(u, CURLUPART_HOST, &host, 0);
  const char *problem = "needs a scheme and a host";
  if (rc == CURLUE_OUT_OF_MEMORY)
    problem = sq_address_no_memory;
  else if (scheme && host)
    problem = judge_host(scheme, host);
  curl_free(scheme);
  curl_free(host);
  return problem;
}

static const char *judge(CURLU *u, const char *url, bool plain) {
  const char *secret = "must not hold a user name or password";
  const char *more = "must not have a query or fragment", *problem;
  CURLUcode rc = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
  if (rc == CURLUE_OUT_OF_MEMORY) return sq_address_no_memory;
  if (rc != CURLUE_OK) return "is not a valid url";
  if ((problem = refuse_part(u, CURLUPART_USER, secret))) return problem;
  if ((problem = refuse_part(u, CURLUPART_PASSWORD, secret))) return problem;
  if (plain) {
    if ((problem = refuse_part(u, CURLUPART_QUERY, more))) return problem;
    if ((problem = refuse_part(u, CURLUPART_FRAGMENT, more))) return problem;
  }
  return judge_scheme(u);
}

const char *sq_address_problem(const char *url, bool plain) {
  size_t n = strlen(url);
  if (n == 0) return "is empty";
  if (n > 16384) return "is too long";
  if (!sq_text_is_plain(url, n) || strchr(url, ' '))
    return "contains a control character or a space";
  CURLU *u = curl_url();
  if (!u) return sq_address_no_memory;
  const char *problem = judge(u, url, plain);
  curl_url_cleanup(u);
  return problem;
}

void sq_libraries(char dst[160]) {
  const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
  snprintf(dst, 160, "libcurl/%s %s libzip/%s", v->version,
           v->ssl_version ? v->ssl_version : "no TLS", zip_libzip_version());
}
