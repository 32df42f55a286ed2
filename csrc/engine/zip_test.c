/*
 * zip_test.c - every entry inflated and its CRC compared, by a few threads:
 * inflating is all the work there is, and entries know nothing of each other.
 *
 * Each worker has a reader of its own and takes the next entry that nobody
 * has.  The caller's thread is one of them, and waits for the others: when
 * sq_zip_test returns, nobody is left.  Of several failures the one of the
 * first entry in the archive's order is told, whoever was quicker: all entries
 * before it were handed out before it, and are looked at to their end.
 */
#include "zip_private.h"

#include <stdatomic.h>
#include <unistd.h>

#include "crew.h"

enum { HELPERS_MAX = 3, HELPER_BYTES = 4 * 1024 * 1024 /* unpacked, each */ };

struct test {
  const struct sq_zip *z;
  const struct sq_zip_watch *w;
  atomic_size_t next;
  atomic_size_t failed_at; /* the number of entries: none has */
  atomic_size_t unverifiable;
  pthread_mutex_t lock; /* of the failure, and of failed_at's changes */
  struct sq_failure *failure;
};

static void fail_at(struct test *t, size_t i, const struct sq_failure *f) {
  pthread_mutex_lock(&t->lock);
  if (i < atomic_load(&t->failed_at)) {
    atomic_store(&t->failed_at, i);
    *t->failure = *f;
  }
  pthread_mutex_unlock(&t->lock);
}

static void work(struct test *t, struct sq_zip_reader *r) {
  struct sq_failure f;
  size_t i;
  while ((i = atomic_fetch_add(&t->next, 1)) < atomic_load(&t->failed_at)) {
    if (sq_zip_unreadable(&t->z->items[i])) {
      atomic_fetch_add(&t->unverifiable, 1);
    } else if (!sq_zip_reader_entry(r, i, NULL, NULL, &f)) {
      fail_at(t, i, &f);
      return;
    }
  }
}

/* One that finds no memory leaves its share to the others. */
static void *helper(void *arg) {
  struct test *t = arg;
  struct sq_zip_reader r;
  struct sq_failure ignored;
  if (sq_zip_reader_init(&r, t->z, t->w, &ignored)) work(t, &r);
  sq_zip_reader_free(&r);
  return NULL;
}

/* A processor each, while there is enough to do; a tick wants one thread. */
static int helpers_for(const struct sq_zip *z, const struct sq_zip_watch *w) {
  long n = sysconf(_SC_NPROCESSORS_ONLN) - 1;
  uint64_t bytes = 0;
  size_t entries = (size_t)z->layout.entries;
  if (w && w->tick) return 0;
  for (size_t i = 0; i < entries && bytes / HELPER_BYTES < HELPERS_MAX; i++)
    bytes += z->items[i].entry.bytes < UINT32_MAX ? z->items[i].entry.bytes
                                                  : UINT32_MAX;
  if (n > HELPERS_MAX) n = HELPERS_MAX;
  if (n > (long)(bytes / HELPER_BYTES)) n = (long)(bytes / HELPER_BYTES);
  if (entries < 2) n = 0;
  return n > 0 ? (int)n : 0;
}

bool sq_zip_test(struct sq_zip *z, const struct sq_zip_watch *w,
                 uint64_t *unverifiable, struct sq_failure *f) {
  struct test t = {.z = z, .w = w, .failure = f};
  struct sq_zip_reader r;
  pthread_t helpers[HELPERS_MAX];
  int started = 0;
  bool ok;

  *unverifiable = 0;
  if (!sq_zip_load(z, w, f)) return false;
  atomic_init(&t.next, 0);
  atomic_init(&t.failed_at, (size_t)z->layout.entries);
  atomic_init(&t.unverifiable, 0);
  ok = sq_zip_reader_init(&r, z, w, f);
  if (ok) {
    int wanted = helpers_for(z, w);
    pthread_mutex_init(&t.lock, NULL);
    while (started < wanted && sq_thread_start(helper, &t, &helpers[started]))
      started++;
    work(&t, &r);
    while (started > 0) pthread_join(helpers[--started], NULL);
    pthread_mutex_destroy(&t.lock);
    ok = atomic_load(&t.failed_at) == (size_t)z->layout.entries;
    *unverifiable = atomic_load(&t.unverifiable);
  }
  sq_zip_reader_free(&r);
  return ok;
}
