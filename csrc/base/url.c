/*
 * url.c - ids, keys, addresses and file names as text.  It owns nothing;
 * every function reads what it is given and writes only to the caller's
 * buffer.  Characters are judged by their ASCII values, never by a locale.
 */
#include "url.h"

#include <string.h>

#define ZIP ".zip"
#define NAME_WHEN_EMPTY "snapshot"

enum {
  ZIP_LENGTH = sizeof(ZIP) - 1,
  FILENAME_MAX_BYTES = 255 - (int)(sizeof(".part.meta.new") - 1)
};

/* {== Characters ========================================================= */

static bool is_control(char c) { return (unsigned char)c < 0x20 || c == 0x7f; }

static bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z');
}

static bool is_tame(char c) {
  return is_alnum(c) || c == '.' || c == '_' || c == '-';
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Decodes the character at *s, which moves behind it; false when it is a `%`
 * without two hex digits (then it is given as it is, and *s moves by one). */
static bool decode_one(const char **s, const char *end, char *c) {
  const char *p = *s;
  *c = *p;
  *s = p + 1;
  if (*p != '%') return true;
  if (end - p < 3) return false;
  int high = hex_value(p[1]), low = hex_value(p[2]);
  if (high < 0 || low < 0) return false;
  *c = (char)(unsigned char)(high * 16 + low);
  *s = p + 3;
  return true;
}

/* ==} */

/* Whether one of 8 bytes is below 0x20 or 0x7f (both tests are exact; see
 * "Determine if a word has a byte less than n", Bit Twiddling Hacks). */
static bool has_control(uint64_t x) {
  const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
  uint64_t del = x ^ (ones * 0x7f);
  return (((x - ones * 0x20) & ~x) | ((del - ones) & ~del)) & tops;
}

bool sq_text_is_plain(const char *s, size_t n) {
  uint64_t word;
  for (; n >= sizeof word; s += sizeof word, n -= sizeof word) {
    memcpy(&word, s, sizeof word);
    if (has_control(word)) return false;
  }
  for (; n > 0; s++, n--)
    if (is_control(*s)) return false;
  return true;
}

static bool is_dots(const char *s, size_t n) {
  return (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.');
}

const char *sq_id_problem(const char *s, size_t n) {
  if (n == 0) return "is empty";
  if (is_dots(s, n)) return "is '.' or '..'";
  if (!sq_text_is_plain(s, n)) return "contains a control character";
  return NULL;
}

const char *sq_filename_problem(const char *s, size_t n) {
  const char *problem = sq_id_problem(s, n);
  if (problem != NULL) return problem;
  if (memchr(s, '/', n) != NULL) return "contains a slash";
  if (memchr(s, '\\', n) != NULL) return "contains a backslash";
  if (n > FILENAME_MAX_BYTES) return "is longer than 241 bytes";
  return NULL;
}

size_t sq_url_encode(char *dst, size_t cap, const char *s, size_t n) {
  static const char digits[] = "0123456789ABCDEF";
  size_t need = 0, end = 0; /* `end`: behind the last whole unit written */
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    bool keep = is_tame(s[i]) || c == '~';
    size_t width = keep ? 1 : 3;
    if (end == need && cap > width && need < cap - width) {
      if (keep) {
        dst[end] = s[i];
      } else {
        dst[end] = '%';
        dst[end + 1] = digits[c >> 4];
        dst[end + 2] = digits[c & 15];
      }
      end += width;
    }
    need += width;
  }
  if (cap > 0) dst[end] = '\0';
  return need;
}

/* {== Query strings ====================================================== */

/* Whether the parameter name at `s`, decoded, is `name`. */
static bool name_is(const char *s, const char *end, const char *name) {
  while (s < end) {
    char c;
    if (!decode_one(&s, end, &c) || c == '\0' || c != *name) return false;
    name++;
  }
  return *name == '\0';
}

/* The decoded value to dst; false when it cannot be one of ours. */
static bool value_get(const char *s, const char *end, char *dst, size_t cap) {
  size_t size = 0;
  while (s < end) {
    char c;
    if (!decode_one(&s, end, &c) || is_control(c)) return false;
    if (size + 1 >= cap) return false;
    dst[size++] = c;
  }
  dst[size] = '\0';
  return true;
}

bool sq_query_get(const char *query, size_t n, const char *name, char *dst,
                  size_t cap) {
  const char *p = query, *end;
  if (cap == 0) return false;
  dst[0] = '\0';
  if (n == 0) return false;
  end = memchr(query, '#', n);
  if (end == NULL) end = query + n;
  if (p < end && *p == '?') p++;
  while (p < end) {
    const char *stop = memchr(p, '&', (size_t)(end - p));
    const char *equals;
    if (stop == NULL) stop = end;
    equals = p < stop ? memchr(p, '=', (size_t)(stop - p)) : NULL;
    if (equals == NULL) equals = stop;
    if (name_is(p, equals, name)) {
      bool found = value_get(equals < stop ? equals + 1 : stop, stop, dst, cap);
      if (!found) dst[0] = '\0';
      return found;
    }
    p = stop < end ? stop + 1 : end;
  }
  return false;
}

int64_t sq_query_expires(const char *query, size_t n) {
  char text[32];
  int64_t seconds = 0;
  if (!sq_query_get(query, n, "Expires", text, sizeof text)) return -1;
  if (text[0] == '\0') return -1;
  for (const char *p = text; *p != '\0'; p++) {
    if (*p < '0' || *p > '9') return -1;
    if (seconds > (INT64_MAX - (*p - '0')) / 10) return -1;
    seconds = seconds * 10 + (*p - '0');
  }
  return seconds;
}

size_t sq_url_public_length(const char *url) { return strcspn(url, "?#"); }

const char *sq_url_query(const char *url) {
  const char *p = url + strcspn(url, "?#");
  return *p == '?' ? p + 1 : "";
}

/* ==} */

/* {== File names ========================================================= */

/* A name as it grows: the first bytes that were kept, how many were kept in
 * all, and the last ones (to tell the ending of a name that is cut). */
struct taming {
  char *dst;
  size_t cap; /* bytes that may be stored */
  size_t kept;
  char last[ZIP_LENGTH];
};

static void tame_add(struct taming *t, char c) {
  if (!is_tame(c) || (c == '.' && t->kept == 0)) return;
  if (t->kept < t->cap) t->dst[t->kept] = c;
  t->kept++;
  memmove(t->last, t->last + 1, ZIP_LENGTH - 1);
  t->last[ZIP_LENGTH - 1] = c;
}

/* Where the path of `url` begins: behind scheme and authority. */
static const char *path_start(const char *url, const char *end) {
  const char *p = url;
  while (is_alnum(*p) || *p == '+' || *p == '-' || *p == '.') p++;
  if (strncmp(p, "://", 3) != 0) return url;
  for (p += 3; p < end && *p != '/'; p++) {
  }
  return p;
}

void sq_name_from_url(char dst[SQ_NAME_MAX + 1], const char *url) {
  struct taming t = {.dst = dst, .cap = SQ_NAME_MAX};
  const char *end = url + sq_url_public_length(url);
  const char *first = path_start(url, end), *p;
  size_t stem;
  for (p = end; p > first && p[-1] != '/'; p--) {
  }
  while (p < end) {
    char c;
    decode_one(&p, end, &c); /* a broken `%` is not kept anyway */
    tame_add(&t, c);
  }
  stem = t.kept;
  if (stem == 0) {
    stem = sizeof(NAME_WHEN_EMPTY) - 1;
    memcpy(dst, NAME_WHEN_EMPTY, stem);
  } else if (stem > ZIP_LENGTH && memcmp(t.last, ZIP, ZIP_LENGTH) == 0) {
    stem -= ZIP_LENGTH;
  }
  if (stem > SQ_NAME_MAX - ZIP_LENGTH) stem = SQ_NAME_MAX - ZIP_LENGTH;
  memcpy(dst + stem, ZIP, sizeof ZIP);
}

void sq_name_tame(char *dst, size_t cap, const char *s, size_t n) {
  struct taming t = {.dst = dst};
  size_t size;
  if (cap == 0) return;
  t.cap = cap - 1 < SQ_NAME_MAX ? cap - 1 : SQ_NAME_MAX;
  for (size_t i = 0; i < n; i++) tame_add(&t, s[i]);
  if (t.kept == 0)
    for (const char *p = NAME_WHEN_EMPTY; *p != '\0'; p++) tame_add(&t, *p);
  size = t.kept < t.cap ? t.kept : t.cap;
  dst[size] = '\0';
}

/* ==} */

size_t sq_url_last_segment(char *dst, size_t cap, const char *url) {
  const char *end = url + sq_url_public_length(url);
  const char *first = path_start(url, end), *p;
  size_t n = 0;
  for (p = end; p > first && p[-1] != '/'; p--) {
  }
  while (p < end && n + 1 < cap) {
    char c;
    if (!decode_one(&p, end, &c) || is_control(c)) break;
    dst[n++] = c;
  }
  dst[n] = '\0';
  return n;
}
