/*
 * url_fuzz.c - ids, keys, addresses, queries and file names: csrc/base/url.c,
 * and csrc/engine/address.c by way of libcurl's parser.
 */
#include "fuzz.h"

#include <strings.h>

#include "../../csrc/base/url.h"
#include "../../csrc/engine/engine.h"

static bool is_tame(const char *s) {
  return s[strspn(s,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                  "0123456789._-")] == '\0';
}

static void check_names(const char *text, size_t n, size_t small) {
  char name[SQ_NAME_MAX + 1], again[SQ_NAME_MAX + 1], segment[256];
  sq_name_from_url(name, text);
  size_t length = strlen(name);
  CHECK(length > 4 && length <= SQ_NAME_MAX);
  CHECK(is_tame(name) && name[0] != '.');
  CHECK(strcmp(name + length - 4, ".zip") == 0);
  CHECK(sq_filename_problem(name, length) == NULL);
  sq_name_from_url(again, name);
  CHECK(strcmp(name, again) == 0);

  sq_name_tame(name, sizeof name, text, n);
  CHECK(name[0] != '\0' && name[0] != '.' && is_tame(name));
  sq_name_tame(again, small % sizeof again + 1, text, n);
  CHECK(strlen(again) <= small % sizeof again);
  CHECK(strncmp(again, name, strlen(again)) == 0);

  size_t cap = small % sizeof segment + 1;
  length = sq_url_last_segment(segment, cap, text);
  CHECK(length < cap && segment[length] == '\0');
  CHECK(fuzz_is_plain(segment, length));
}

/* What is encoded comes back, and holds nothing that means something. */
static void check_encoding(const char *text, size_t n, size_t small) {
  size_t need = sq_url_encode(NULL, 0, text, n);
  CHECK(need >= n && need <= 3 * n);
  char *whole = malloc(need + 3), *back = malloc(n + 1);
  CHECK(whole != NULL && back != NULL);
  memcpy(whole, "x=", 2);
  CHECK(sq_url_encode(whole + 2, need + 1, text, n) == need);
  CHECK(strlen(whole + 2) == need);
  CHECK(whole[2 + strcspn(whole + 2, "/?#&=\\ +:@")] == '\0');
  CHECK(sq_query_get(whole, need + 2, "x", back, n + 1) ==
        fuzz_is_plain(text, n));
  if (fuzz_is_plain(text, n)) CHECK(memcmp(back, text, n) == 0);
  char part[64];
  size_t cap = small % sizeof part;
  CHECK(sq_url_encode(part, cap, text, n) == need);
  if (cap > 0) CHECK(strncmp(part, whole + 2, strlen(part)) == 0);
  free(whole);
  free(back);
}

static void check_query(const char *text, size_t n, size_t small) {
  char value[64];
  size_t cap = small % sizeof value + 1;
  if (sq_query_get(text, n, "versionId", value, cap))
    CHECK(strlen(value) < cap && fuzz_line_is_plain(value));
  else
    CHECK(value[0] == '\0');
  CHECK(sq_query_expires(text, n) >= -1);
}

static void check_address(const char *url) {
  size_t n = strlen(url), shown = sq_url_public_length(url);
  CHECK(shown <= n && strcspn(url, "?#") == shown);
  const char *query = sq_url_query(url);
  CHECK(*query == '\0' || query[-1] == '?');
  bool good = sq_address_problem(url, false) == NULL;
  bool plain = sq_address_problem(url, true) == NULL;
  CHECK(good || !plain);
  if (good) {
    CHECK(fuzz_is_plain(url, n) && !strchr(url, ' '));
    CHECK(strncasecmp(url, "http:", 5) == 0 ||
          strncasecmp(url, "https:", 6) == 0);
  }
  if (plain) CHECK(shown == n || shown == n - 1); /* an empty query is none */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t small = (size_t)fuzz_take(&data, &size, 1);
  char *text = fuzz_text(data, size);
  bool plain = fuzz_is_plain(text, size);
  CHECK(sq_text_is_plain(text, size) == plain);
  if (!sq_id_problem(text, size))
    CHECK(plain && size > 0 && strcmp(text, ".") != 0 &&
          strcmp(text, "..") != 0);
  if (!sq_filename_problem(text, size))
    CHECK(plain && size > 0 && size <= 241 && !strpbrk(text, "/\\"));
  check_encoding(text, size, small);
  check_query(text, size, small);
  check_names(text, strlen(text), small);
  check_address(text);
  free(text);
  return 0;
}
