/*
 * zip.h - ZIP files through libzip: check, list, read, extract.
 *
 * A sq_zip is shared by reference count between a ZipFile object and the
 * work that runs on it.  Its descriptor is read with pread only, its table of
 * entries does not change once loaded, and each operation has a libzip handle
 * of its own: work may go on in several threads, and none waits for another
 * (but for a load under way, which is done once).  Every function here may
 * take long and belongs on a worker thread, but for those marked "at once".
 * Those with a `struct sq_failure` leave it SQ_OK when they succeed.  No Lua,
 * no libcurl.
 */
#ifndef SQ_ZIP_H
#define SQ_ZIP_H

#include "../base/failure.h"

#include <stdatomic.h>

SQ_HIDDEN_BEGIN

struct sq_zip;

/* What a long run looks at between chunks (256 KiB of output at most).
 * `tick`, when set, is told the bytes inflated so far. */
struct sq_zip_watch {
  const atomic_bool *cancel;
  void (*tick)(void *context, uint64_t done);
  void *context;
};

struct sq_zip_entry {
  const char *name; /* as libzip gives it in UTF-8 (or as what it takes for
                       UTF-8); any bytes but NUL; lives as the sq_zip does */
  uint64_t bytes, compressed;
  int64_t modified; /* epoch seconds; the DOS time is taken as UTC unless the
                       extended timestamp says better; 0 when absent */
  uint32_t crc;
  uint16_t method;
  bool directory, encrypted;
};

/* At once: an unopened sq_zip with one reference, which owns `fd` from now
 * on (closed here when memory is short: null).  `path` is copied. */
struct sq_zip *sq_zip_new(int fd, const char *path);
void sq_zip_retain(struct sq_zip *z);  /* at once */
void sq_zip_release(struct sq_zip *z); /* at once; the last one closes */

/* At once. */
const char *sq_zip_path(const struct sq_zip *z);
int64_t sq_zip_size(const struct sq_zip *z);
/* At once, as far as a disk is: reads at most `n` bytes from `at` on.  Gives
 * their number; -1 with errno set, also when the file ends before `at`. */
int64_t sq_zip_pread(const struct sq_zip *z, void *dst, size_t n, int64_t at);

/* Checks the layout (zip_layout.h), reads the directory and lets libzip
 * agree.  Done once: a second call gives the first one's answer (of a load
 * that was cancelled, or failed for another reason than the file's bytes,
 * nothing is kept).  The functions below load, too. */
bool sq_zip_load(struct sq_zip *z, const struct sq_zip_watch *w,
                 struct sq_failure *f);

/* At once, after a load that succeeded. */
size_t sq_zip_count(const struct sq_zip *z);
const struct sq_zip_entry *sq_zip_get(const struct sq_zip *z, size_t index);

/* Inflates every entry and compares CRC and size.  Entries that this libzip
 * cannot read (encrypted, a method it does not know) are counted in
 * `unverifiable`, not failed.  integrity names the entry; filesystem when
 * reading fails or memory is short. */
bool sq_zip_test(struct sq_zip *z, const struct sq_zip_watch *w,
                 uint64_t *unverifiable, struct sq_failure *f);

/* The whole of the first entry called `name`: malloc'ed bytes in *data
 * (never null on success).  not_found when there is none, bad_request when
 * the entry is larger than `max_bytes` (0: no limit), integrity when its CRC
 * or size is wrong or libzip cannot read it. */
bool sq_zip_read(struct sq_zip *z, const char *name, uint64_t max_bytes,
                 const struct sq_zip_watch *w, char **data, size_t *size,
                 struct sq_failure *f);

struct sq_zip_limits {
  uint64_t max_bytes;   /* unpacked in all; 0: none but the ratio's */
  uint64_t max_entries; /* 0: none but the format's */
  bool overwrite;
};

/*
 * Extracts into `dir`, which may be a symbolic link (made with its parents,
 * 0700, when missing).  Every name is judged before anything is written:
 * absolute names, `..`, drive letters, backslashes, control characters, parts
 * over 255 bytes or paths over 4096, symlinks and other special files (by the
 * entry's Unix mode), a name that would be file and directory, an entry that
 * cannot be read, and more than the limits allow refuse the whole archive
 * (integrity).  `.` and empty parts of a name are left out.
 *
 * Each component is opened beneath the one before with O_NOFOLLOW; files are
 * written under a temporary name in their folder (".squarecloud-*.tmp") and
 * renamed when whole; modes are masked to the owner's (0700, 0600 when there
 * is none; directories are 0700); times are kept.  What is in the way is found
 * before anything is written: an existing file is `exists` unless
 * limits->overwrite (which replaces a symlink, never what it points to), a
 * directory where a file belongs or the reverse is `filesystem`.  The same
 * name twice: the last one wins.
 *
 * *count gets the number of files written, also when the rest failed.
 */
bool sq_zip_extract(struct sq_zip *z, const char *dir,
                    const struct sq_zip_limits *limits,
                    const struct sq_zip_watch *w, uint64_t *count,
                    struct sq_failure *f);

SQ_HIDDEN_END

#endif
