/*
 * buf.h - a growing byte buffer.  Whoever holds the struct owns the bytes, and
 * says how many are too many; sq_buf_free makes it empty and usable again.  A
 * struct of zeros is an empty buffer.
 */
#ifndef SQ_BUF_H
#define SQ_BUF_H

#include "../config.h"

#include <stdbool.h>
#include <stddef.h>

SQ_HIDDEN_BEGIN

struct sq_buf {
  char *data; /* null while empty; always terminated by a NUL beyond size */
  size_t size, capacity;
};

/* Appends `n` bytes, which must not be the buffer's own; false (nothing
 * changed) when memory is short. */
bool sq_buf_add(struct sq_buf *b, const void *bytes, size_t n);
void sq_buf_free(struct sq_buf *b);

/* A copy made by malloc; null for null or when memory is short. */
char *sq_strdup(const char *s);

/* Overwrites a secret (or null) that must not stay behind in freed memory. */
void sq_wipe(char *s);

SQ_HIDDEN_END

#endif
