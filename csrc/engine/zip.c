/*
 * zip.c - a ZIP file as an object: loaded once, then tested and read.
 *
 * The sq_zip owns its descriptor, the table of entries and their names, and
 * lives as long as somebody holds a reference.  What works on it makes a
 * reader of its own (zip_reader.c), so that nothing here waits for anything
 * but a load under way.
 */
#include "zip_private.h"

#include "../base/buf.h"
#include "../base/clock.h"
#include "crew.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOAD_POLL (SQ_SECOND / 20) /* how soon a waiting load is cancelled */

/* ------------------------------------------------------------- failures */

bool sq_zip_cancelled(const struct sq_zip_watch *w, struct sq_failure *f) {
  if (!w || !w->cancel || !atomic_load(w->cancel)) return false;
  sq_failure_set(f, SQ_CANCELLED, "cancelled");
  return true;
}

bool sq_zip_fail(struct sq_failure *f, const struct sq_zip *z,
                 const struct sq_zip_item *item, enum sq_kind kind,
                 const char *what) {
  char path[400], entry[240];
  sq_show(path, sizeof path, z->path, strlen(z->path));
  if (item && item->entry.name) {
    char name[200];
    sq_show(name, sizeof name, item->entry.name, strlen(item->entry.name));
    snprintf(entry, sizeof entry, "entry '%s': ", name);
  } else if (item) {
    snprintf(entry, sizeof entry, "entry number %td: ", item - z->items + 1);
  } else {
    entry[0] = '\0';
  }
  sq_failure_set(f, kind, "%s: %s%s", path, entry, what);
  return false;
}

bool sq_zip_no_memory(struct sq_failure *f) {
  sq_failure_set(f, SQ_FILESYSTEM, "not enough memory");
  f->err_no = ENOMEM;
  return false;
}

const char *sq_zip_unreadable(const struct sq_zip_item *item) {
  if (item->entry.encrypted) return "is encrypted";
  if (!zip_compression_method_supported(item->entry.method, 0))
    return "is compressed by a method that this libzip does not know";
  return NULL;
}

/* --------------------------------------------------------------- object */

struct sq_zip *sq_zip_new(int fd, const char *path) {
  struct sq_zip *z = calloc(1, sizeof *z);
  char *copy = sq_strdup(path);
  struct stat st;

  if (!z || !copy) {
    free(z);
    free(copy);
    close(fd);
    return NULL;
  }
  atomic_init(&z->references, 1);
  z->fd = fd;
  z->path = copy;
  z->size = fstat(fd, &st) == 0 ? (int64_t)st.st_size : -1;
  pthread_mutex_init(&z->lock, NULL);
  sq_cond_init(&z->changed);
  return z;
}

void sq_zip_retain(struct sq_zip *z) { atomic_fetch_add(&z->references, 1); }

void sq_zip_release(struct sq_zip *z) {
  if (!z || atomic_fetch_sub(&z->references, 1) != 1) return;
  close(z->fd);
  pthread_cond_destroy(&z->changed);
  pthread_mutex_destroy(&z->lock);
  free(z->items);
  free(z->names);
  free(z->path);
  free(z);
}

const char *sq_zip_path(const struct sq_zip *z) { return z->path; }

int64_t sq_zip_size(const struct sq_zip *z) { return z->size; }

int64_t sq_zip_pread(const struct sq_zip *z, void *dst, size_t n, int64_t at) {
  ssize_t got;
  do {
    got = pread(z->fd, dst, n, (off_t)at);
  } while (got < 0 && errno == EINTR);
  if (got == 0 && n > 0) errno = EIO; /* it has become shorter */
  return got == 0 && n > 0 ? -1 : (int64_t)got;
}

size_t sq_zip_count(const struct sq_zip *z) {
  return (size_t)z->layout.entries;
}

const struct sq_zip_entry *sq_zip_get(const struct sq_zip *z, size_t index) {
  return &z->items[index].entry;
}

/* -------------------------------------------------------------- loading */

struct table {
  struct sq_zip_item *items;
  size_t count, capacity;
};

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_from_civil(int64_t year, int month, int day) {
  int64_t y = month > 2 ? year : year - 1; /* years begin in March here */
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return y * 365 + y / 4 - y / 100 + y / 400 + of_year - 719468;
}

/* The extended timestamp's time (UTC), else the DOS time, else 0. */
static int64_t record_time(const struct sq_zip_record *r) {
  size_t n = 0;
  const unsigned char *p =
      sq_zip_extra_find(r->extra, r->extra_size, 0x5455, &n);
  int month = r->dos_date >> 5 & 15, day = r->dos_date & 31;
  int64_t days;

  if (p && n >= 5 && (p[0] & 1))
    return (int32_t)(p[1] | (uint32_t)p[2] << 8 | (uint32_t)p[3] << 16 |
                     (uint32_t)p[4] << 24);
  if (month < 1 || month > 12 || day < 1) return 0;
  days = days_from_civil(1980 + (r->dos_date >> 9), month, day);
  return ((days * 24 + (r->dos_time >> 11)) * 60 + (r->dos_time >> 5 & 63)) *
             60 +
         (r->dos_time << 1 & 62);
}

static bool has_control(const unsigned char *s, size_t n) {
  size_t i;
  for (i = 0; i < n; i++)
    if (s[i] < 0x20 || s[i] == 0x7f) return true;
  return false;
}

static bool on_record(void *context, const struct sq_zip_record *r,
                      struct sq_failure *f) {
  struct table *t = context;
  struct sq_zip_item *item;

  if (t->count == t->capacity) {
    size_t capacity = t->capacity ? 2 * t->capacity : 64;
    struct sq_zip_item *grown = realloc(t->items, capacity * sizeof *grown);
    if (!grown) return sq_zip_no_memory(f);
    t->items = grown;
    t->capacity = capacity;
  }
  item = &t->items[t->count++];
  memset(item, 0, sizeof *item);
  item->entry.bytes = r->bytes;
  item->entry.compressed = r->compressed;
  item->entry.crc = r->crc;
  item->entry.method = r->method;
  item->entry.modified = record_time(r);
  item->record = r->position;
  item->attributes = r->attributes;
  item->control = has_control(r->name, r->name_size);
  return true;
}

/* Asks libzip for what only it knows of an entry (its name in UTF-8, whether
 * it is encrypted) and whether it sees the rest as we do. */
static bool item_complete(struct sq_zip_reader *r, size_t index,
                          struct sq_zip_item *item, struct sq_buf *names,
                          struct sq_failure *f) {
  zip_stat_t st;
  const char *name =
      zip_get_name(r->archive, index - r->first, ZIP_FL_ENC_GUESS);
  size_t n;

  if (!name) return sq_zip_no_memory(f);
  if (zip_stat_index(r->archive, index - r->first, 0, &st) != 0 ||
      st.size != item->entry.bytes || st.comp_size != item->entry.compressed ||
      ((st.valid & ZIP_STAT_CRC) && st.crc != item->entry.crc))
    return sq_zip_fail(f, r->z, item, SQ_INTEGRITY,
                       "libzip reads its record differently");
  n = strlen(name);
  item->entry.encrypted = st.encryption_method != ZIP_EM_NONE;
  item->entry.directory = n > 0 && name[n - 1] == '/';
  return sq_buf_add(names, name, n + 1) || sq_zip_no_memory(f);
}

static bool slice_complete(struct sq_zip_reader *r, struct sq_zip_item *items,
                           struct sq_buf *names, struct sq_failure *f) {
  size_t i;
  if (zip_get_num_entries(r->archive, 0) != (zip_int64_t)r->count)
    return sq_zip_fail(f, r->z, NULL, SQ_INTEGRITY,
                       "libzip counts the entries differently");
  for (i = r->first; i < r->first + r->count; i++)
    if (!item_complete(r, i, &items[i], names, f)) return false;
  return true;
}

/* libzip refuses a slice as a whole (`f` says why): finds out which of its
 * entries it is about. */
static bool slice_blame(struct sq_zip_reader *r, size_t first, size_t count,
                        struct sq_failure *f) {
  size_t i;
  if (f->kind != SQ_INTEGRITY) return false;
  for (i = first; i < first + count; i++)
    if (!sq_zip_reader_show(r, i, 1, f)) return false;
  return false;
}

/* Completes every item and lets it point to its name. */
static bool items_complete(struct sq_zip_reader *r, struct sq_zip_item *items,
                           struct sq_buf *names, struct sq_failure *f) {
  size_t count = (size_t)r->z->layout.entries, i;
  char *name;

  for (i = 0; i < count; i += r->count) {
    size_t n = count - i < SQ_ZIP_SLICE ? count - i : SQ_ZIP_SLICE;
    if (!sq_zip_reader_show(r, i, n, f)) return slice_blame(r, i, n, f);
    if (!slice_complete(r, items, names, f)) return false;
  }
  name = names->data;
  for (i = 0; i < count && name; i++) {
    items[i].entry.name = name;
    name += strlen(name) + 1;
  }
  return true;
}

static bool layout_load(struct sq_zip *z, const struct sq_zip_watch *w,
                        struct table *t, struct sq_failure *f) {
  struct stat st;
  struct sq_failure inner;

  if (fstat(z->fd, &st) != 0)
    return sq_failure_errno(f, errno, "open", z->path);
  if (!S_ISREG(st.st_mode))
    return sq_zip_fail(f, z, NULL, SQ_FILESYSTEM, "is not a regular file");
  if (sq_zip_layout_walk(z->fd, z->size, w ? w->cancel : NULL, on_record, t,
                         &z->layout, &inner))
    return true;
  sq_zip_fail(f, z, NULL, inner.kind, inner.message);
  f->err_no = inner.err_no;
  return false;
}

static bool load(struct sq_zip *z, const struct sq_zip_watch *w,
                 struct sq_failure *f) {
  struct table t = {0};
  struct sq_buf names = {0};
  struct sq_zip_reader r;
  bool ok = layout_load(z, w, &t, f);

  if (ok && t.count > 0) {
    z->items = t.items; /* the reader looks at them */
    ok = sq_zip_reader_init(&r, z, w, f) &&
         items_complete(&r, t.items, &names, f);
    sq_zip_reader_free(&r);
  }
  if (ok) {
    z->names = names.data;
    return true;
  }
  z->items = NULL;
  z->layout.entries = 0;
  free(t.items);
  sq_buf_free(&names);
  return false;
}

/* Waits a little for the load that another thread is at; with the lock. */
static void load_wait(struct sq_zip *z) {
  sq_cond_wait_until(&z->changed, &z->lock, sq_now() + LOAD_POLL);
}

/* True when it is this caller's turn to load; else *ok is the answer. */
static bool load_turn(struct sq_zip *z, const struct sq_zip_watch *w, bool *ok,
                      struct sq_failure *f) {
  bool mine;
  pthread_mutex_lock(&z->lock);
  while (z->state == SQ_ZIP_LOADING && !sq_zip_cancelled(w, f)) load_wait(z);
  mine = z->state == SQ_ZIP_NEW;
  if (mine) z->state = SQ_ZIP_LOADING;
  if (z->state == SQ_ZIP_BROKEN) *f = z->failure;
  *ok = z->state == SQ_ZIP_READY;
  pthread_mutex_unlock(&z->lock);
  return mine;
}

bool sq_zip_load(struct sq_zip *z, const struct sq_zip_watch *w,
                 struct sq_failure *f) {
  bool ok = false;

  sq_failure_clear(f);
  if (!load_turn(z, w, &ok, f)) return ok;
  ok = load(z, w, f);
  pthread_mutex_lock(&z->lock);
  z->state = ok                        ? SQ_ZIP_READY
             : f->kind == SQ_INTEGRITY ? SQ_ZIP_BROKEN
                                       : SQ_ZIP_NEW; /* says nothing of it */
  z->failure = *f;
  pthread_cond_broadcast(&z->changed);
  pthread_mutex_unlock(&z->lock);
  return ok;
}

/* ----------------------------------------------------- testing, reading */

/* Gives layout.entries when there is none. */
static size_t index_of(const struct sq_zip *z, const char *name) {
  size_t i = 0;
  while (i < z->layout.entries && strcmp(z->items[i].entry.name, name) != 0)
    i++;
  return i;
}

/* Whether the entry `name`, whose index is `index`, may be read. */
static bool read_judge(const struct sq_zip *z, const char *name, size_t index,
                       uint64_t max_bytes, struct sq_failure *f) {
  const struct sq_zip_item *item;
  const char *why;
  char what[240];

  if (index == z->layout.entries) {
    char shown[200];
    sq_show(shown, sizeof shown, name, strlen(name));
    snprintf(what, sizeof what, "no entry '%s'", shown);
    return sq_zip_fail(f, z, NULL, SQ_NOT_FOUND, what);
  }
  item = &z->items[index];
  why = sq_zip_unreadable(item);
  if (why) return sq_zip_fail(f, z, item, SQ_INTEGRITY, why);
  if (max_bytes && item->entry.bytes > max_bytes) {
    snprintf(what, sizeof what,
             "has %" PRIu64 " bytes, %" PRIu64 " are allowed",
             item->entry.bytes, max_bytes);
    return sq_zip_fail(f, z, item, SQ_BAD_REQUEST, what);
  }
  return true;
}

struct taker {
  char *next;
};

static bool on_bytes(void *context, const void *bytes, size_t n,
                     struct sq_failure *f) {
  struct taker *t = context;
  (void)f;
  memcpy(t->next, bytes, n); /* never more than the entry's stated size */
  t->next += n;
  return true;
}

bool sq_zip_read(struct sq_zip *z, const char *name, uint64_t max_bytes,
                 const struct sq_zip_watch *w, char **data, size_t *size,
                 struct sq_failure *f) {
  const struct sq_zip_entry *e;
  struct sq_zip_reader r;
  struct taker t;
  size_t index;
  bool ok;

  *data = NULL;
  *size = 0;
  if (!sq_zip_load(z, w, f)) return false;
  index = index_of(z, name);
  if (!read_judge(z, name, index, max_bytes, f)) return false;
  e = &z->items[index].entry;
  if (e->bytes >= SIZE_MAX) return sq_zip_no_memory(f);
  *data = t.next = malloc((size_t)e->bytes + 1);
  if (!*data) return sq_zip_no_memory(f);
  ok = sq_zip_reader_init(&r, z, w, f) && sq_zip_reader_show(&r, index, 1, f) &&
       sq_zip_reader_entry(&r, index, on_bytes, &t, f);
  sq_zip_reader_free(&r);
  if (ok) {
    *t.next = '\0';
    *size = (size_t)e->bytes;
  } else {
    free(*data);
    *data = NULL;
  }
  return ok;
}
