/*
 * libcurl.h - stands in for curl/curlver.h: the headers that are here say that
 * they are OLD_LIBCURL's (0x074a00: 7.74.0), so that what the module asks of
 * newer ones is compiled out.  For -include, ahead of everything.
 */
#define CURLINC_CURLVER_H
#define CURL_DISABLE_DEPRECATION
#define LIBCURL_VERSION_NUM OLD_LIBCURL
#define LIBCURL_VERSION "old"
#define LIBCURL_TIMESTAMP "old"
#define CURL_VERSION_BITS(x, y, z) ((x) << 16 | (y) << 8 | (z))
#define CURL_AT_LEAST_VERSION(x, y, z) \
  (LIBCURL_VERSION_NUM >= CURL_VERSION_BITS(x, y, z))
