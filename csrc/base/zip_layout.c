/*
 * zip_layout.c - the structure of a ZIP, checked before anything trusts it.
 *
 * Three steps: the end record (and its ZIP64 sisters) tells where the
 * directory is; a walk over the directory collects where each entry begins;
 * a pass in the order of those offsets compares every local header with its
 * record and finds overlaps.  Everything lives in one struct walk on the
 * caller's stack, whose three blocks are freed before the walk returns.
 */
#include "zip_layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  END_SIZE = 22,
  LOCATOR_SIZE = 20,
  END64_SIZE = 56,
  RECORD_SIZE = 46,
  HEADER_SIZE = 30,
  FIELD_MAX = 0xffff,
  WINDOW_AHEAD = 64 * 1024,
  WINDOW_PEEK = 1024, /* read after a jump: a header and its name */
  WINDOW_NEAR = 4096, /* a smaller step forward is no jump */
  WINDOW_SIZE = RECORD_SIZE + 3 * FIELD_MAX,
  CANCEL_EVERY = 512
};

/* Signatures as little-endian numbers: "PK" and two small bytes. */
#define SIG_HEADER 0x04034b50u
#define SIG_RECORD 0x02014b50u
#define SIG_END 0x06054b50u
#define SIG_END64 0x06064b50u
#define SIG_LOCATOR 0x07064b50u
#define SIG_DESCRIPTOR 0x08074b50u

enum { FLAG_ENCRYPTED = 1, FLAG_DESCRIPTOR = 8, EXTRA_ZIP64 = 1 };

/* A piece of the file in memory. */
struct window {
  unsigned char *bytes; /* WINDOW_SIZE */
  uint64_t start;
  size_t filled;
};

struct place {
  uint64_t offset; /* of the local header */
  uint64_t record; /* of the directory's record */
};

struct walk {
  int fd;
  uint64_t size;
  const atomic_bool *cancel;
  struct sq_failure *f;
  struct sq_zip_layout *out;
  struct window records, headers;
  struct place *places;
  size_t count, capacity;
  uint64_t taken;  /* sum of compressed + header + name */
  uint64_t stated; /* entries, as the end record says */
  bool zip64;
};

static uint16_t get16(const unsigned char *p) {
  return (uint16_t)(p[0] | (unsigned)p[1] << 8);
}

static uint32_t get32(const unsigned char *p) {
  return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const unsigned char *p) {
  return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static bool broken(struct walk *w, const char *what) {
  sq_failure_set(w->f, SQ_INTEGRITY, "%s", what);
  return false;
}

static bool entry_broken(struct walk *w, const struct sq_zip_record *r,
                         const char *what) {
  char name[200];
  sq_show(name, sizeof name, (const char *)r->name, r->name_size);
  sq_failure_set(w->f, SQ_INTEGRITY, "entry '%s': %s", name, what);
  return false;
}

static bool no_memory(struct walk *w) {
  sq_failure_set(w->f, SQ_FILESYSTEM, "not enough memory");
  w->f->err_no = ENOMEM;
  return false;
}

static bool cancelled(struct walk *w) {
  if (!w->cancel || !atomic_load(w->cancel)) return false;
  sq_failure_set(w->f, SQ_CANCELLED, "cancelled");
  return true;
}

static bool window_fill(struct walk *w, struct window *win, uint64_t at,
                        size_t n) {
  win->start = at;
  win->filled = 0;
  while (win->filled < n) {
    ssize_t got = pread(w->fd, win->bytes + win->filled, n - win->filled,
                        (off_t)(at + win->filled));
    if (got > 0) {
      win->filled += (size_t)got;
    } else if (got == 0) {
      return broken(w, "the file became shorter while it was read");
    } else if (errno != EINTR) {
      return sq_failure_errno(w->f, errno, "read", NULL);
    }
  }
  return true;
}

/*
 * The n bytes at `at`, which the caller has found to lie inside the file;
 * good until the window is asked again.  Reads ahead while it is asked in
 * order and only a little after a jump, so that neither many small entries
 * nor a few large ones (nor hostile offsets) cost more than they must.
 */
static const unsigned char *window_get(struct walk *w, struct window *win,
                                       uint64_t at, size_t n) {
  uint64_t end = win->start + win->filled;
  if (at < win->start || at + n > end) {
    bool near = at >= win->start && at <= end + WINDOW_NEAR;
    size_t want = near ? WINDOW_AHEAD : WINDOW_PEEK;
    if (want < n) want = n;
    if (want > w->size - at) want = (size_t)(w->size - at);
    if (!window_fill(w, win, at, want)) return NULL;
  }
  return win->bytes + (at - win->start);
}

/* ------------------------------------------------------ the end records */

/* Finds the end record whose comment reaches exactly to the file's end. */
static bool end_find(struct walk *w, uint64_t *at) {
  const char *none =
      "no end record at the end of the file: it is cut short, "
      "not a ZIP, or something follows the archive";
  size_t n = END_SIZE + FIELD_MAX, i;
  const unsigned char *tail;

  if (w->size < END_SIZE) return broken(w, "the file is too short for a ZIP");
  if (n > w->size) n = (size_t)w->size;
  tail = window_get(w, &w->records, w->size - n, n);
  if (!tail) return false;
  for (i = n - END_SIZE;; i--) {
    if (get32(tail + i) == SIG_END &&
        get16(tail + i + 20) == n - END_SIZE - i) {
      *at = w->size - n + i;
      return true;
    }
    if (i == 0) return broken(w, none);
  }
}

/* True when a field of the end record is all ones ("see ZIP64") or agrees. */
static bool same_or_all_ones(uint32_t field, uint32_t ones, uint64_t real) {
  return field == ones || field == real;
}

/*
 * Reads the ZIP64 records, when there are any, into w->out; `end` is a copy
 * of the end record, at `at`.  *limit becomes the place where the directory
 * has to end.
 */
static bool end64_read(struct walk *w, const unsigned char *end, uint64_t at,
                       uint64_t *limit) {
  const unsigned char *p;
  uint64_t where;

  *limit = at;
  if (at < LOCATOR_SIZE + END64_SIZE) return true;
  p = window_get(w, &w->records, at - LOCATOR_SIZE, LOCATOR_SIZE);
  if (!p) return false;
  if (get32(p) != SIG_LOCATOR) return true;
  where = get64(p + 8);
  if (get32(p + 4) != 0 || get32(p + 16) > 1)
    return broken(w, "the archive is split over several files");
  if (where > at - LOCATOR_SIZE - END64_SIZE)
    return broken(w, "the ZIP64 end record is not where its locator says");
  p = window_get(w, &w->records, where, END64_SIZE);
  if (!p) return false;
  if (get32(p) != SIG_END64 || get64(p + 4) != at - LOCATOR_SIZE - where - 12)
    return broken(w, "the ZIP64 end record is not where its locator says");
  if (get32(p + 16) != 0 || get32(p + 20) != 0 ||
      get64(p + 24) != get64(p + 32))
    return broken(w, "the archive is split over several files");
  w->zip64 = true;
  w->stated = get64(p + 32);
  w->out->directory_size = get64(p + 40);
  w->out->directory_offset = get64(p + 48);
  if (!same_or_all_ones(get16(end + 10), 0xffff, w->stated) ||
      !same_or_all_ones(get32(end + 12), UINT32_MAX, get64(p + 40)) ||
      !same_or_all_ones(get32(end + 16), UINT32_MAX, get64(p + 48)))
    return broken(w, "the end record and the ZIP64 end record disagree");
  *limit = where;
  return true;
}

static bool end_read(struct walk *w) {
  unsigned char end[END_SIZE];
  const unsigned char *p;
  uint64_t at = 0, limit = 0;
  struct sq_zip_layout *out = w->out;

  if (!end_find(w, &at)) return false;
  p = window_get(w, &w->records, at, END_SIZE);
  if (!p) return false;
  memcpy(end, p, END_SIZE);
  w->stated = get16(end + 10);
  out->directory_size = get32(end + 12);
  out->directory_offset = get32(end + 16);
  if (!end64_read(w, end, at, &limit)) return false;
  if (!same_or_all_ones(get16(end + 4), w->zip64 ? 0xffff : 0, 0) ||
      !same_or_all_ones(get16(end + 6), w->zip64 ? 0xffff : 0, 0) ||
      get16(end + 8) != get16(end + 10))
    return broken(w, "the archive is split over several files");
  if (out->directory_offset > limit ||
      out->directory_size != limit - out->directory_offset)
    return broken(w, "the directory is not where the end record says");
  if (w->stated > SQ_ZIP_MAX_ENTRIES)
    return broken(w, "more than 5000000 entries");
  if (w->stated > out->directory_size / RECORD_SIZE)
    return broken(w, "more entries are stated than the directory can hold");
  return true;
}

/* -------------------------------------------------------- the directory */

const unsigned char *sq_zip_extra_find(const unsigned char *extra,
                                       size_t extra_size, uint16_t id,
                                       size_t *size) {
  while (extra_size >= 4) {
    size_t n = get16(extra + 2);
    if (n > extra_size - 4) break;
    if (get16(extra) == id) {
      *size = n;
      return extra + 4;
    }
    extra += 4 + n;
    extra_size -= 4 + n;
  }
  return NULL;
}

/* Takes the next 64-bit number of a ZIP64 extra field for a field that is
 * all ones. */
static bool zip64_take(const unsigned char **p, size_t *left, uint64_t *value) {
  if (*value != UINT32_MAX) return true;
  if (*left < 8) return false;
  *value = get64(*p);
  *p += 8;
  *left -= 8;
  return true;
}

/* Resolves what a record of the directory leaves to its ZIP64 field. */
static bool record_zip64(struct sq_zip_record *r, uint32_t *disk) {
  size_t left = 0;
  const unsigned char *p =
      sq_zip_extra_find(r->extra, r->extra_size, EXTRA_ZIP64, &left);

  if (!p) return *disk != 0xffff; /* all ones are then simply a number */
  if (!zip64_take(&p, &left, &r->bytes) ||
      !zip64_take(&p, &left, &r->compressed) ||
      !zip64_take(&p, &left, &r->offset))
    return false;
  if (*disk == 0xffff) {
    if (left < 4) return false;
    *disk = get32(p);
  }
  return true;
}

static bool record_broken(struct walk *w) {
  sq_failure_set(w->f, SQ_INTEGRITY,
                 "the directory is damaged or cut at its record number %zu",
                 w->count + 1);
  return false;
}

/* Parses the record at `at`; its variable parts have to lie inside the
 * directory. */
static bool record_read(struct walk *w, uint64_t at, struct sq_zip_record *r,
                        uint64_t *next) {
  uint64_t left = w->out->directory_offset + w->out->directory_size - at;
  const unsigned char *p;
  size_t n;
  uint32_t disk;

  if (left < RECORD_SIZE) return record_broken(w);
  p = window_get(w, &w->records, at, RECORD_SIZE);
  if (!p) return false;
  n = RECORD_SIZE + (size_t)get16(p + 28) + get16(p + 30) + get16(p + 32);
  if (get32(p) != SIG_RECORD || n > left) return record_broken(w);
  p = window_get(w, &w->records, at, n);
  if (!p) return false;
  r->position = at;
  r->made_by = get16(p + 4);
  r->flags = get16(p + 8);
  r->method = get16(p + 10);
  r->dos_time = get16(p + 12);
  r->dos_date = get16(p + 14);
  r->crc = get32(p + 16);
  r->compressed = get32(p + 20);
  r->bytes = get32(p + 24);
  r->name_size = get16(p + 28);
  r->extra_size = get16(p + 30);
  disk = get16(p + 34);
  r->attributes = get32(p + 38);
  r->offset = get32(p + 42);
  r->name = p + RECORD_SIZE;
  r->extra = r->name + r->name_size;
  *next = at + n;
  if (!record_zip64(r, &disk))
    return entry_broken(w, r, "its ZIP64 field is damaged");
  if (disk != 0) return broken(w, "the archive is split over several files");
  return true;
}

/* Whether one record can be true, and adds it to the sums. */
static bool record_count(struct walk *w, const struct sq_zip_record *r) {
  uint64_t room = w->out->directory_offset;
  uint64_t need = HEADER_SIZE + (uint64_t)r->name_size;
  uint64_t most = w->size > INT64_MAX / SQ_ZIP_MAX_RATIO
                      ? INT64_MAX
                      : w->size * SQ_ZIP_MAX_RATIO;

  if (r->compressed > room || need > room - r->compressed ||
      r->offset > room - r->compressed - need)
    return entry_broken(w, r, "lies outside the archive");
  need += r->compressed;
  if (need > w->size - w->taken)
    return entry_broken(w, r, "the entries take more room than the file has");
  w->taken += need;
  if (r->bytes > most - w->out->unpacked)
    return entry_broken(w, r, "unpacks to more than this file can hold");
  w->out->unpacked += r->bytes;
  w->out->compressed += r->compressed;
  if (r->method == 0 && !(r->flags & FLAG_ENCRYPTED) &&
      r->compressed != r->bytes)
    return entry_broken(w, r, "is stored, but its two sizes differ");
  return true;
}

static bool place_add(struct walk *w, const struct sq_zip_record *r) {
  if (w->count == SQ_ZIP_MAX_ENTRIES)
    return broken(w, "more than 5000000 entries");
  if (w->count == w->capacity) {
    size_t capacity = w->capacity ? 2 * w->capacity : (size_t)w->stated + 1;
    struct place *grown = realloc(w->places, capacity * sizeof *grown);
    if (!grown) return no_memory(w);
    w->places = grown;
    w->capacity = capacity;
  }
  w->places[w->count].offset = r->offset;
  w->places[w->count].record = r->position;
  w->count++;
  return true;
}

static bool directory_walk(struct walk *w, sq_zip_visitor *visit,
                           void *context) {
  uint64_t at = w->out->directory_offset;
  uint64_t end = at + w->out->directory_size;
  struct sq_zip_record r;

  while (at < end) {
    if (w->count % CANCEL_EVERY == 0 && cancelled(w)) return false;
    if (!record_read(w, at, &r, &at) || !record_count(w, &r) ||
        !place_add(w, &r))
      return false;
    if (visit && !visit(context, &r, w->f)) return false;
  }
  /* Writers from before ZIP64 state the count modulo 65536. */
  if (w->zip64 || w->count <= 0xffff ? w->stated != w->count
                                     : w->stated != w->count % 0x10000)
    return sq_failure_set(w->f, SQ_INTEGRITY,
                          "%" PRIu64
                          " entries are stated, the directory has "
                          "%zu",
                          w->stated, w->count);
  w->out->entries = w->count;
  return true;
}

/* ------------------------------------------------------ the local headers */

static int by_offset(const void *a, const void *b) {
  const struct place *x = a, *y = b;
  return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Most archives are in order already. */
static void places_sort(struct walk *w) {
  size_t i;
  for (i = 1; i < w->count; i++) {
    if (w->places[i - 1].offset > w->places[i].offset) {
      qsort(w->places, w->count, sizeof *w->places, by_offset);
      return;
    }
  }
}

/* The sizes and the CRC in the local header at p (n bytes, whole). */
static bool header_agrees(const unsigned char *p,
                          const struct sq_zip_record *r) {
  uint64_t compressed = get32(p + 18), bytes = get32(p + 22);
  size_t name = get16(p + 26), left = 0;
  const unsigned char *extra = sq_zip_extra_find(
      p + HEADER_SIZE + name, get16(p + 28), EXTRA_ZIP64, &left);

  if (extra && (!zip64_take(&extra, &left, &bytes) ||
                !zip64_take(&extra, &left, &compressed)))
    return false;
  return get32(p + 14) == r->crc && compressed == r->compressed &&
         bytes == r->bytes;
}

/* Whether the descriptor behind an entry's data, [at, limit), agrees.  Only
 * one with a signature can be told from a gap; it comes in two widths. */
static bool descriptor_check(struct walk *w, const struct sq_zip_record *r,
                             uint64_t at, uint64_t limit) {
  const unsigned char *p;
  size_t n = limit - at < 24 ? 16 : 24;

  if (limit - at < 16) return true;
  p = window_get(w, &w->headers, at, n);
  if (!p) return false;
  if (get32(p) != SIG_DESCRIPTOR) return true;
  if (get32(p + 4) == r->crc &&
      ((get32(p + 8) == r->compressed && get32(p + 12) == r->bytes) ||
       (n == 24 && get64(p + 8) == r->compressed && get64(p + 16) == r->bytes)))
    return true;
  return entry_broken(w, r, "its data descriptor contradicts the directory");
}

/* Compares the local header of `r` with it; all of the entry has to end
 * before `limit`. */
static bool header_check(struct walk *w, const struct sq_zip_record *r,
                         uint64_t limit) {
  const char *contradicts = "its local header contradicts the directory";
  const unsigned char *p = window_get(w, &w->headers, r->offset, HEADER_SIZE);
  uint16_t flags;
  size_t n;
  uint64_t end;

  if (!p) return false;
  if (get32(p) != SIG_HEADER)
    return entry_broken(w, r, "no local header at its offset");
  n = HEADER_SIZE + (size_t)get16(p + 26) + get16(p + 28);
  end = r->offset + n + r->compressed;
  if (end > limit)
    return entry_broken(w, r, "overlaps the next entry or the directory");
  p = window_get(w, &w->headers, r->offset, n);
  if (!p) return false;
  flags = (uint16_t)(get16(p + 6) | r->flags);
  if (((get16(p + 6) ^ r->flags) & FLAG_ENCRYPTED) ||
      get16(p + 8) != r->method || get16(p + 26) != r->name_size ||
      memcmp(p + HEADER_SIZE, r->name, r->name_size) != 0)
    return entry_broken(w, r, contradicts);
  if (flags & FLAG_DESCRIPTOR) return descriptor_check(w, r, end, limit);
  return header_agrees(p, r) || entry_broken(w, r, contradicts);
}

static bool headers_check(struct walk *w) {
  uint64_t first = w->count ? 0 : w->out->directory_offset;
  struct sq_zip_record r;
  size_t i;

  places_sort(w);
  if (w->count) first = w->places[0].offset;
  if (first != 0)
    return sq_failure_set(w->f, SQ_INTEGRITY,
                          "%" PRIu64 " bytes lie before the first entry",
                          first);
  for (i = 0; i < w->count; i++) {
    uint64_t limit =
        i + 1 < w->count ? w->places[i + 1].offset : w->out->directory_offset;
    uint64_t next;
    if (i % CANCEL_EVERY == 0 && cancelled(w)) return false;
    if (!record_read(w, w->places[i].record, &r, &next) ||
        !header_check(w, &r, limit))
      return false;
  }
  return true;
}

bool sq_zip_layout_walk(int fd, int64_t size, const atomic_bool *cancel,
                        sq_zip_visitor *visit, void *context,
                        struct sq_zip_layout *out, struct sq_failure *f) {
  struct walk w = {.fd = fd, .cancel = cancel, .f = f, .out = out};
  bool ok;

  memset(out, 0, sizeof *out);
  sq_failure_clear(f);
  if (size < 0) return broken(&w, "the file is too short for a ZIP");
  w.size = (uint64_t)size;
  w.records.bytes = calloc(1, WINDOW_SIZE);
  w.headers.bytes = calloc(1, WINDOW_SIZE);
  ok = w.records.bytes && w.headers.bytes ? true : no_memory(&w);
  ok = ok && end_read(&w) && directory_walk(&w, visit, context) &&
       headers_check(&w);
  free(w.records.bytes);
  free(w.headers.bytes);
  free(w.places);
  return ok;
}

bool sq_zip_layout_check(int fd, int64_t size, const atomic_bool *cancel,
                         struct sq_zip_layout *out, struct sq_failure *f) {
  return sq_zip_layout_walk(fd, size, cancel, NULL, NULL, out, f);
}
