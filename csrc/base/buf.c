/*
 * buf.c - a growing byte buffer.  It owns nothing but what its struct points
 * to, and knows no limit: whoever adds says how much is too much.
 */
#include "buf.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

/* Room for `need` bytes, the terminator included. */
static bool grow(struct sq_buf *b, size_t need) {
  size_t capacity = b->capacity > 0 ? b->capacity : FIRST_CAPACITY;
  char *data;
  while (capacity < need) {
    if (capacity > SIZE_MAX / 4) return false;
    capacity *= 2;
  }
  data = realloc(b->data, capacity);
  if (data == NULL) return false;
  b->data = data;
  b->capacity = capacity;
  return true;
}

bool sq_buf_add(struct sq_buf *b, const void *bytes, size_t n) {
  if (n == 0) return true;
  if (n > SIZE_MAX / 4 || b->size > SIZE_MAX / 4) return false;
  if (b->capacity - b->size <= n && !grow(b, b->size + n + 1)) return false;
  memcpy(b->data + b->size, bytes, n);
  b->size += n;
  b->data[b->size] = '\0';
  return true;
}

void sq_buf_free(struct sq_buf *b) {
  free(b->data);
  b->data = NULL;
  b->size = b->capacity = 0;
}

char *sq_strdup(const char *s) {
  size_t size;
  char *copy;
  if (s == NULL) return NULL;
  size = strlen(s) + 1;
  copy = malloc(size);
  if (copy != NULL) memcpy(copy, s, size);
  return copy;
}

/* A memset before a free may be left out by the compiler. */
void sq_wipe(char *s) {
  volatile char *p = s;
  while (p && *p) *p++ = '\0';
}
