/*
 * zip_layout.h - whether a file is laid out as one whole ZIP: read with
 * pread, in bounded memory, without libzip and without inflating anything.
 *
 * It finds what libzip lets pass: bytes before or behind the archive, a
 * directory that is not where the end record says, counts and sizes that do
 * not add up, entries that overlap or lie outside, local headers (and signed
 * data descriptors) that contradict the directory.  Duplicate names are
 * allowed (they exist in the wild), and so are ZIP64, data descriptors, gaps
 * between entries, and any name at all: names are judged where files are
 * written.
 */
#ifndef SQ_ZIP_LAYOUT_H
#define SQ_ZIP_LAYOUT_H

#include "failure.h"

#include <stdatomic.h>

SQ_HIDDEN_BEGIN

struct sq_zip_layout {
  uint64_t entries;
  uint64_t directory_offset, directory_size;
  uint64_t unpacked;   /* sum of the uncompressed sizes */
  uint64_t compressed; /* sum of the compressed sizes */
};

enum { SQ_ZIP_MAX_ENTRIES = 5000000, SQ_ZIP_MAX_RATIO = 1032 };

/* One record of the directory, ZIP64 fields resolved. */
struct sq_zip_record {
  uint64_t position; /* of the record itself in the file */
  uint64_t offset;   /* of the entry's local header */
  uint64_t bytes, compressed;
  const unsigned char *name, *extra; /* while the visitor runs only */
  uint32_t crc, attributes;
  uint16_t name_size, extra_size;
  uint16_t made_by, flags, method, dos_time, dos_date;
};

/* Sees each record in the directory's order; false (with `f` set) ends the
 * walk.  What it has seen is worth something only when the walk succeeds. */
typedef bool sq_zip_visitor(void *context, const struct sq_zip_record *record,
                            struct sq_failure *f);

/* Reads and checks the layout of the `size` bytes behind `fd`.  False with
 * kind integrity naming the entry (or filesystem when reading fails, or
 * cancelled when *cancel becomes true); `f->message` does not name the file,
 * the caller puts that in front.  Memory: 16 bytes an entry and 0.4 MB. */
bool sq_zip_layout_check(int fd, int64_t size, const atomic_bool *cancel,
                         struct sq_zip_layout *out, struct sq_failure *f);

/* The same, showing each record to `visit` (when not null) on the way. */
bool sq_zip_layout_walk(int fd, int64_t size, const atomic_bool *cancel,
                        sq_zip_visitor *visit, void *context,
                        struct sq_zip_layout *out, struct sq_failure *f);

/* The bytes of the extra field `id` in a record's `extra`, or null. */
const unsigned char *sq_zip_extra_find(const unsigned char *extra,
                                       size_t extra_size, uint16_t id,
                                       size_t *size);

SQ_HIDDEN_END

#endif
