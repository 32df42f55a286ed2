/*
 * part.h - a download's file: `<name>.part` beside its final name, locked,
 * private, and renamed only when it is whole.
 *
 * A sq_part owns two descriptors (the folder, the part) and the lock; all
 * names are looked up beneath the folder's descriptor.  These calls may take
 * long and belong on the file thread, but for sq_part_write.
 */
#ifndef SQ_PART_H
#define SQ_PART_H

#include "failure.h"
#include "pieces.h"

SQ_HIDDEN_BEGIN

/* What a file system refused, and was done another way. */
enum sq_fallback {
  SQ_LOCKED_BY_FILE = 1,
  SQ_NAMED_BY_LINK = 2,
  SQ_NAMED_BY_LOOK = 4, /* no links, either: a look, and a rename */
  SQ_FOLDER_UNSYNCED = 8
};

struct sq_part {
  const char *dir, *name; /* the caller's, absolute and plain */
  int folder, fd;         /* -1: closed */
  bool made; /* by us, just now: it is private whatever it looks like */
  bool locked;
  bool lock_file;     /* `flock` is refused here: `<name>.part.lock` is ours */
  bool fresh;         /* nothing was there before */
  bool recorded;      /* a record of its bytes lies beside it */
  bool committed;     /* it has its final name */
  int sync_errno;     /* of a sync that failed: not 0, and no other is tried */
  int64_t size;       /* when opened */
  unsigned fallbacks; /* of enum sq_fallback */
};

void sq_part_clear(struct sq_part *p);

/*
 * Makes the folder (0700) when missing and `make`, opens and locks the part
 * (0600, a regular file, no symlink), looks that the final name is free. A part
 * that is not ours alone (another user's, or with a second name) is removed
 * and made anew.  Fails with exists, or filesystem; nothing stays open then.
 */
bool sq_part_open(struct sq_part *p, const char *dir, bool make,
                  const char *name, bool overwrite, struct sq_failure *f);

/* Room for `total` bytes, where the file system can say so. */
bool sq_part_reserve(struct sq_part *p, int64_t total, struct sq_failure *f);
bool sq_part_write(struct sq_part *p, const char *bytes, size_t n,
                   int64_t offset, struct sq_failure *f);
bool sq_part_truncate(struct sq_part *p, int64_t size, struct sq_failure *f);
/* Once it has failed it always does: bytes are lost, nobody knows which, and
 * the system tells of that only once.  What an earlier one kept is there. */
bool sq_part_sync(struct sq_part *p, struct sq_failure *f);
/* A second, read-only descriptor of the same file, or -1 with `f`. */
int sq_part_reopen(struct sq_part *p, struct sq_failure *f);
/* To the final name, never over an existing file unless told; the record of
 * what is done goes first, the folder is synced last. */
bool sq_part_commit(struct sq_part *p, bool overwrite, struct sq_failure *f);
/* Removes the record: the bytes of the part are of no use. */
void sq_part_forget(struct sq_part *p);
/* Removes the part and its record. */
void sq_part_discard(struct sq_part *p);
void sq_part_close(struct sq_part *p); /* unlocks, closes; again: nothing */

/* Renames within `dir`, and never over what is there (EEXIST), in the best way
 * that the file system has: 0, or -1 with errno. */
int sq_rename_new(int dir, const char *from, const char *to,
                  unsigned *fallbacks);

/* For record.c: "<name><ending>" (sq_part_open has seen that it fits), and
 * "<what> <folder>/<name><ending>: <reason>". */
enum { SQ_PART_NAME_BYTES = 256 };
const char *sq_part_name(const struct sq_part *p, const char *ending,
                         char dst[SQ_PART_NAME_BYTES]);
bool sq_part_fail(const struct sq_part *p, int err_no, const char *what,
                  const char *ending, struct sq_failure *f);

/* Which object the part's bytes are of, and which of them are there. */
struct sq_record {
  struct sq_pieces pieces;
  char etag[192];
  char object[512]; /* the address's path and version, never its query */
};
/* False when there is none, or none to be believed (torn, foreign, of
 * another format): the part is to be started over. */
bool sq_record_read(struct sq_part *p, struct sq_record *out);
/* The text of a record, both ways; `parse` writes into its input, `format`
 * gives 0 when it does not fit, or cannot be written as lines. */
bool sq_record_parse(char *text, size_t n, struct sq_record *out);
size_t sq_record_format(const struct sq_record *r, char *dst, size_t cap);
/* By a temporary file and a rename. */
bool sq_record_write(struct sq_part *p, const struct sq_record *record,
                     struct sq_failure *f);

SQ_HIDDEN_END

#endif
