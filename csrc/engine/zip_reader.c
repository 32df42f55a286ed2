/*
 * zip_reader.c - entries read through libzip, a slice of the archive at a
 * time.
 *
 * libzip never sees the file itself but a view of it: the bytes before the
 * directory as they are, then a few hundred of the directory's own records,
 * then an end record made here.  What that buys:
 *   - no two readers share a zip_t, which knows no threads, and making one
 *     costs microseconds instead of reading the whole directory;
 *   - libzip's memory, and its name table whose hash anybody can make
 *     collide, stay small whatever the archive holds;
 *   - libzip, which guesses among all end records it can find in the last
 *     64 KiB, finds one: the view ends in a comment of the greatest length.
 *
 * The reader owns its zip_t and its two buffers.
 */
#include "zip_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  AHEAD_SIZE = 64 * 1024,
  AHEAD_MOST = 16 * 1024, /* larger reads go straight to their place */
  COMMENT_SIZE = 0xffff,
  END64_SIZE = 56,
  LOCATOR_SIZE = 20,
  END_SIZE = 22
};

_Static_assert(END64_SIZE + LOCATOR_SIZE + END_SIZE ==
                   sizeof(((struct sq_zip_reader *)0)->tail),
               "the tail is the three end records");

/* ------------------------------------------------------------- the view */

static void put(unsigned char **p, uint64_t value, int bytes) {
  for (; bytes > 0; bytes--, value >>= 8) *(*p)++ = (unsigned char)value;
}

/* The ZIP64 end record, its locator, and an end record that leaves all to
 * them, for `count` records that follow the archive's data. */
static void tail_make(struct sq_zip_reader *r, uint64_t count) {
  uint64_t directory = r->z->layout.directory_offset;
  unsigned char *p = r->tail;

  put(&p, 0x06064b50, 4);
  put(&p, END64_SIZE - 12, 8);
  put(&p, 45, 2); /* made by, needed: version 4.5 */
  put(&p, 45, 2);
  put(&p, 0, 8); /* disks */
  put(&p, count, 8);
  put(&p, count, 8);
  put(&p, r->slice_size, 8);
  put(&p, directory, 8);
  put(&p, 0x07064b50, 4);
  put(&p, 0, 4);
  put(&p, directory + r->slice_size, 8);
  put(&p, 1, 4);
  put(&p, 0x06054b50, 4);
  put(&p, 0, 4);
  put(&p, UINT64_MAX, 4); /* both counts */
  put(&p, UINT64_MAX, 8); /* size and offset */
  put(&p, COMMENT_SIZE, 2);
}

/* pread of all that there is; -1 with r->err_no set. */
static ssize_t file_read(struct sq_zip_reader *r, uint64_t at, void *dst,
                         size_t n) {
  size_t done = 0;
  while (done < n) {
    ssize_t got =
        pread(r->z->fd, (char *)dst + done, n - done, (off_t)(at + done));
    if (got == 0) break;
    if (got > 0) {
      done += (size_t)got;
    } else if (errno != EINTR) {
      r->err_no = errno;
      return -1;
    }
  }
  return (ssize_t)done;
}

/* The same by way of the read-ahead: libzip asks for headers and for 8 KiB
 * pieces, mostly in order. */
static ssize_t file_read_ahead(struct sq_zip_reader *r, uint64_t at, void *dst,
                               size_t n) {
  size_t skip, have;
  if (n > AHEAD_MOST) return file_read(r, at, dst, n);
  if (at < r->ahead_start || at + n > r->ahead_start + r->ahead_size) {
    ssize_t got = file_read(r, at, r->ahead, AHEAD_SIZE);
    r->ahead_start = at;
    r->ahead_size = got > 0 ? (size_t)got : 0;
    if (got < 0) return -1;
  }
  skip = (size_t)(at - r->ahead_start);
  have = r->ahead_size - skip;
  if (n > have) n = have;
  memcpy(dst, r->ahead + skip, n);
  return (ssize_t)n;
}

/* Up to n bytes of the view at r->position, from the one part of it that
 * begins or lasts there. */
static ssize_t view_read(struct sq_zip_reader *r, void *dst, size_t n) {
  uint64_t directory = r->z->layout.directory_offset;
  uint64_t tail = directory + r->slice_size;
  uint64_t comment = tail + sizeof r->tail;
  uint64_t at = r->position;
  uint64_t end = at < directory ? directory
                 : at < tail    ? tail
                 : at < comment ? comment
                                : r->length;

  if (n > end - at) n = (size_t)(end - at);
  if (at < directory) return file_read_ahead(r, at, dst, n);
  if (at < tail)
    return file_read_ahead(r, r->slice_start + (at - directory), dst, n);
  if (at < comment)
    memcpy(dst, r->tail + (at - tail), n);
  else
    memset(dst, 0, n);
  return (ssize_t)n;
}

/* ------------------------------------------------- libzip's source of it */

static zip_int64_t on_read(struct sq_zip_reader *r, void *dst, zip_uint64_t n) {
  ssize_t got;
  if (r->w && r->w->cancel && atomic_load(r->w->cancel)) {
    r->cancelled = true;
    zip_error_set(&r->error, ZIP_ER_CANCELLED, 0);
    return -1;
  }
  got = view_read(r, dst, n > SSIZE_MAX ? SSIZE_MAX : (size_t)n);
  if (got < 0) {
    zip_error_set(&r->error, ZIP_ER_READ, r->err_no);
    return -1;
  }
  r->position += (uint64_t)got;
  return got;
}

static zip_int64_t on_seek(struct sq_zip_reader *r, void *data,
                           zip_uint64_t n) {
  zip_int64_t to = zip_source_seek_compute_offset(r->position, r->length, data,
                                                  n, &r->error);
  if (to < 0) return -1;
  r->position = (uint64_t)to;
  return 0;
}

static zip_int64_t on_stat(const struct sq_zip_reader *r, void *data,
                           zip_uint64_t n) {
  zip_stat_t *st = data;
  if (n < sizeof *st) return -1;
  zip_stat_init(st);
  st->size = r->length;
  st->valid = ZIP_STAT_SIZE;
  return (zip_int64_t)sizeof *st;
}

static zip_int64_t on_source(void *context, void *data, zip_uint64_t n,
                             zip_source_cmd_t command) {
  struct sq_zip_reader *r = context;
  switch (command) {
    case ZIP_SOURCE_OPEN:
      r->position = 0;
      return 0;
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
      return 0;
    case ZIP_SOURCE_READ:
      return on_read(r, data, n);
    case ZIP_SOURCE_SEEK:
      return on_seek(r, data, n);
    case ZIP_SOURCE_TELL:
      return (zip_int64_t)r->position;
    case ZIP_SOURCE_STAT:
      return on_stat(r, data, n);
    case ZIP_SOURCE_ERROR:
      return zip_error_to_data(&r->error, data, n);
    case ZIP_SOURCE_SUPPORTS:
      return ZIP_SOURCE_SUPPORTS_SEEKABLE;
    default:
      zip_error_set(&r->error, ZIP_ER_OPNOTSUPP, 0);
      return -1;
  }
}

/* ------------------------------------------------------------- failures */

/* What libzip says went wrong, or what the source knows better. */
static bool libzip_failed(struct sq_zip_reader *r, zip_error_t *error,
                          const struct sq_zip_item *item,
                          struct sq_failure *f) {
  if (r->cancelled) {
    sq_failure_set(f, SQ_CANCELLED, "cancelled");
    return false;
  }
  if (r->err_no) return sq_failure_errno(f, r->err_no, "read", r->z->path);
  if (zip_error_code_zip(error) == ZIP_ER_MEMORY) return sq_zip_no_memory(f);
  return sq_zip_fail(f, r->z, item, SQ_INTEGRITY, zip_error_strerror(error));
}

/* -------------------------------------------------------------- readers */

bool sq_zip_reader_init(struct sq_zip_reader *r, const struct sq_zip *z,
                        const struct sq_zip_watch *w, struct sq_failure *f) {
  memset(r, 0, sizeof *r);
  r->z = z;
  r->w = w;
  zip_error_init(&r->error);
  r->chunk = malloc(SQ_ZIP_CHUNK);
  r->ahead = malloc(AHEAD_SIZE);
  return r->chunk && r->ahead ? true : sq_zip_no_memory(f);
}

static void archive_close(struct sq_zip_reader *r) {
  if (r->archive) zip_discard(r->archive);
  r->archive = NULL;
  r->count = 0;
}

void sq_zip_reader_free(struct sq_zip_reader *r) {
  archive_close(r);
  zip_error_fini(&r->error);
  free(r->chunk);
  free(r->ahead);
  r->chunk = r->ahead = NULL;
}

bool sq_zip_reader_show(struct sq_zip_reader *r, size_t first, size_t count,
                        struct sq_failure *f) {
  const struct sq_zip_layout *l = &r->z->layout;
  uint64_t end = l->directory_offset + l->directory_size;
  zip_source_t *source;
  zip_error_t error;

  archive_close(r);
  if (count > l->entries - first) count = (size_t)l->entries - first;
  if (first + count < l->entries) end = r->z->items[first + count].record;
  r->slice_start = r->z->items[first].record;
  r->slice_size = end - r->slice_start;
  r->length =
      l->directory_offset + r->slice_size + sizeof r->tail + COMMENT_SIZE;
  tail_make(r, count);
  zip_error_init(&error);
  errno = 0;
  source = zip_source_function_create(on_source, r, &error);
  if (source) r->archive = zip_open_from_source(source, ZIP_RDONLY, &error);
  if (r->archive) {
    r->first = first;
    r->count = count;
  } else {
    /* It says "not a zip archive" as well when a record found no memory. */
    if (errno == ENOMEM) zip_error_set(&error, ZIP_ER_MEMORY, 0);
    if (source) zip_source_free(source);
    libzip_failed(r, &error, count == 1 ? &r->z->items[first] : NULL, f);
  }
  zip_error_fini(&error);
  return r->archive != NULL;
}

/* Hands out what `file` gives.  libzip compares the CRC when it is asked for
 * more at the end; the size it compares for stored entries only. */
static bool file_drain(struct sq_zip_reader *r, zip_file_t *file,
                       const struct sq_zip_item *item, sq_zip_sink *sink,
                       void *context, struct sq_failure *f) {
  uint64_t total = 0;
  zip_int64_t n;

  while ((n = zip_fread(file, r->chunk, SQ_ZIP_CHUNK)) > 0) {
    total += (uint64_t)n;
    r->done += (uint64_t)n;
    if (total > item->entry.bytes)
      return sq_zip_fail(f, r->z, item, SQ_INTEGRITY,
                         "is longer than the directory says");
    if (sink && !sink(context, r->chunk, (size_t)n, f)) return false;
    if (r->w && r->w->tick) r->w->tick(r->w->context, r->done);
    if (sq_zip_cancelled(r->w, f)) return false;
  }
  if (n < 0) return libzip_failed(r, zip_file_get_error(file), item, f);
  if (total < item->entry.bytes)
    return sq_zip_fail(f, r->z, item, SQ_INTEGRITY,
                       "is shorter than the directory says");
  return true;
}

bool sq_zip_reader_entry(struct sq_zip_reader *r, size_t index,
                         sq_zip_sink *sink, void *context,
                         struct sq_failure *f) {
  const struct sq_zip_item *item = &r->z->items[index];
  zip_file_t *file;
  bool ok;

  if (sq_zip_cancelled(r->w, f)) return false;
  if (item->entry.compressed == 0) { /* libzip would look at nothing */
    if (item->entry.bytes == 0 && item->entry.crc == 0) return true;
    return sq_zip_fail(f, r->z, item, SQ_INTEGRITY,
                       "is empty, but not according to the directory");
  }
  if (index < r->first || index - r->first >= r->count) {
    if (!sq_zip_reader_show(r, index, SQ_ZIP_SLICE, f)) return false;
  }
  file = zip_fopen_index(r->archive, index - r->first, 0);
  if (!file) return libzip_failed(r, zip_get_error(r->archive), item, f);
  ok = file_drain(r, file, item, sink, context, f);
  zip_fclose(file);
  return ok;
}
