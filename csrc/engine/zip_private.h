/*
 * zip_private.h - what zip.c, zip_reader.c, zip_plan.c and zip_extract.c
 * share.
 *
 * A sq_zip is written by its first load only and read-only from then on, so
 * that any number of threads may read it.  A reader belongs to one operation
 * on one thread; it borrows the sq_zip, its descriptor and the watch.
 */
#ifndef SQ_ZIP_PRIVATE_H
#define SQ_ZIP_PRIVATE_H

#include "../base/zip_layout.h"
#include "zip.h"

#include <pthread.h>
#include <zip.h>

SQ_HIDDEN_BEGIN

struct sq_zip_item {
  struct sq_zip_entry entry;
  uint64_t record;     /* where its record in the directory begins */
  uint32_t attributes; /* the Unix mode is in the upper half */
  bool control;        /* a control character (a NUL, too) in the raw name */
};

enum sq_zip_state { SQ_ZIP_NEW, SQ_ZIP_LOADING, SQ_ZIP_READY, SQ_ZIP_BROKEN };

struct sq_zip {
  atomic_int references;
  int fd;
  int64_t size;
  char *path;
  pthread_mutex_t lock; /* guards state and failure, nothing else */
  pthread_cond_t changed;
  enum sq_zip_state state;
  struct sq_failure failure; /* of a load that failed */
  struct sq_zip_layout layout;
  struct sq_zip_item *items; /* layout.entries of them */
  char *names;               /* what the items' names point into */
};

/* ---- zip.c */

/* True (and `f` set) when the watch's flag is up. */
bool sq_zip_cancelled(const struct sq_zip_watch *w, struct sq_failure *f);

/* Sets `f` to "<path>: <what>", or "<path>: entry '<name>': <what>" with an
 * item ("entry number 3" while names are not known); gives false. */
bool sq_zip_fail(struct sq_failure *f, const struct sq_zip *z,
                 const struct sq_zip_item *item, enum sq_kind kind,
                 const char *what);

bool sq_zip_no_memory(struct sq_failure *f);

/* Null when this libzip can read the entry, else why not. */
const char *sq_zip_unreadable(const struct sq_zip_item *item);

/* ---- zip_reader.c */

enum { SQ_ZIP_SLICE = 256, SQ_ZIP_CHUNK = 256 * 1024 };

struct sq_zip_reader {
  const struct sq_zip *z;
  const struct sq_zip_watch *w;
  zip_t *archive; /* shows `count` entries, `first` as number 0 */
  size_t first, count;
  uint64_t done;        /* bytes inflated so far, for the tick */
  unsigned char *chunk; /* SQ_ZIP_CHUNK */

  /* The file as libzip sees it; see zip_reader.c. */
  uint64_t position, length;
  uint64_t slice_start, slice_size;
  unsigned char tail[98];
  unsigned char *ahead; /* a piece of the real file */
  uint64_t ahead_start;
  size_t ahead_size;
  zip_error_t error; /* of the source, for libzip */
  int err_no;        /* of a read that failed, else 0 */
  bool cancelled;
};

/* Gets each piece of an entry; false (with `f` set) ends the reading. */
typedef bool sq_zip_sink(void *context, const void *bytes, size_t n,
                         struct sq_failure *f);

/* A reader is freed whether or not its init succeeded. */
bool sq_zip_reader_init(struct sq_zip_reader *r, const struct sq_zip *z,
                        const struct sq_zip_watch *w, struct sq_failure *f);
void sq_zip_reader_free(struct sq_zip_reader *r);

/* Lets r->archive show the entries from `first` on, `count` at most. */
bool sq_zip_reader_show(struct sq_zip_reader *r, size_t first, size_t count,
                        struct sq_failure *f);

/* Reads the whole of a readable entry to `sink` (null: nowhere).  True only
 * when its CRC and both sizes are what the directory says. */
bool sq_zip_reader_entry(struct sq_zip_reader *r, size_t index,
                         sq_zip_sink *sink, void *context,
                         struct sq_failure *f);

/* ---- zip_plan.c */

enum { SQ_ZIP_PATH_MAX = 4096, SQ_ZIP_PART_MAX = 255 };

struct sq_zip_step {
  char *path;   /* relative and clean: no empty part, no "." or ".." */
  size_t index; /* of the item */
  bool directory;
  bool dropped; /* a later file has the same path */
};

struct sq_zip_plan {
  const struct sq_zip *z;
  struct sq_zip_step *steps; /* in the archive's order */
  size_t count;
  char *paths; /* what the steps' paths point into */
};

/* Judges every entry; integrity names the first that may not be written.  A
 * plan is freed whether or not it could be made. */
bool sq_zip_plan_make(struct sq_zip_plan *p, const struct sq_zip *z,
                      const struct sq_zip_limits *limits, struct sq_failure *f);
void sq_zip_plan_free(struct sq_zip_plan *p);

SQ_HIDDEN_END

#endif
