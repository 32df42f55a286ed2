/*
 * fuzz.h - what the fuzz targets share.
 *
 * A target is one function that is given any bytes, hands them to what reads
 * bytes from outside, and CHECKs what has to hold of the outcome.  With clang
 * libFuzzer drives it (run.sh); without, replay.c does, over files.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "../../csrc/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) \
  ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))

static inline _Noreturn void fuzz_fail(const char *what, const char *file,
                                       int line) {
  fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
  abort();
}

/* A copy of exactly `size` bytes and a NUL; the caller frees it. */
static inline char *fuzz_text(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  CHECK(text != NULL);
  if (size > 0) memcpy(text, data, size);
  text[size] = '\0';
  return text;
}

/* Takes a number of `bytes` bytes off the front; missing ones are 0. */
static inline uint64_t fuzz_take(const uint8_t **data, size_t *size,
                                 int bytes) {
  uint64_t value = 0;
  for (; bytes > 0 && *size > 0; bytes--, ++*data, --*size)
    value = value << 8 | **data;
  return value;
}

static inline bool fuzz_is_plain(const char *s, size_t n) {
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f) return false;
  return true;
}

static inline bool fuzz_line_is_plain(const char *s) {
  return fuzz_is_plain(s, strlen(s));
}

#endif
