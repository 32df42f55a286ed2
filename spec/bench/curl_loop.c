/*
 * curl_loop.c - the bare thing to compare with: GETs of one url, one after
 * the other, on one easy handle of libcurl.
 *
 *   curl_loop URL KEY CA_FILE COUNT     prints the seconds it took
 */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct body {
  char *data;
  size_t size, capacity;
};

static size_t on_body(char *bytes, size_t one, size_t n, void *arg) {
  struct body *b = arg;
  n *= one;
  if (b->size + n > b->capacity) {
    b->capacity = 2 * (b->size + n);
    char *more = realloc(b->data, b->capacity);
    if (!more) return 0;
    b->data = more;
  }
  memcpy(b->data + b->size, bytes, n);
  b->size += n;
  return n;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  struct body body = {0};
  char header[512];
  if (argc != 5) return 2;
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL *c = curl_easy_init();
  snprintf(header, sizeof header, "Authorization: %s", argv[2]);
  struct curl_slist *headers = curl_slist_append(NULL, header);
  curl_easy_setopt(c, CURLOPT_URL, argv[1]);
  curl_easy_setopt(c, CURLOPT_CAINFO, argv[3]);
  curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(c, CURLOPT_WRITEDATA, &body);
  double start = 0;
  int count = atoi(argv[4]), failed = 0;
  for (int i = -1; i < count; i++) { /* the first connects, uncounted */
    if (i == 0) start = now();
    body.size = 0;
    failed += curl_easy_perform(c) != CURLE_OK;
  }
  printf("%.6f\n", now() - start);
  curl_slist_free_all(headers);
  curl_easy_cleanup(c);
  curl_global_cleanup();
  free(body.data);
  return failed != 0;
}
