/*
 * zip_extract.c - an archive's files, written beneath a directory.
 *
 * Three steps.  The plan (zip_plan.c) judges every name before anything is
 * touched.  The survey looks whether what lies in the target already is in
 * the way.  Only then is written, one file at a time, beside its place and
 * renamed into it when whole.  What a stranger changes in the target
 * meanwhile is met by how it is opened: each component beneath the one
 * before, and no symbolic link is ever followed.
 *
 * The tree owns its two descriptors, an output its one until it is finished.
 */
#include "zip_private.h"

#include "../base/buf.h"
#include "../base/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TEMPORARY_TRIES = 100 };

/* ----------------------------------------------------------------- tree */

struct tree {
  const char *root_path;
  int root;                     /* the target directory */
  int here;                     /* a directory in it (root itself when `at` is
                                   empty), or -1 */
  char at[SQ_ZIP_PATH_MAX + 1]; /* its path */
};

/* Sets `f` for what happened to the first n bytes of `path` in the tree. */
static bool tree_failed(const struct tree *t, int err_no, const char *what,
                        const char *path, size_t n, struct sq_failure *f) {
  size_t root = strlen(t->root_path);
  char *whole = malloc(root + n + 2);

  if (!whole) {
    sq_failure_errno(f, err_no, what, t->root_path);
    return false;
  }
  memcpy(whole, t->root_path, root);
  whole[root] = '/';
  memcpy(whole + root + 1, path, n);
  whole[root + 1 + n] = '\0';
  sq_failure_errno(f, err_no, what, whole);
  if (err_no == EEXIST) f->kind = SQ_EXISTS;
  free(whole);
  return false;
}

static void tree_leave(struct tree *t) {
  if (t->here >= 0 && t->here != t->root) close(t->here);
  t->here = -1;
}

/* Opens one component; a symbolic link fails as whatever it points to. */
static int part_open(int parent, const char *part, bool make) {
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int fd = openat(parent, part, flags);

  if (fd >= 0 || errno != ENOENT || !make) return fd;
  if (mkdirat(parent, part, 0700) != 0 && errno != EEXIST) return -1;
  return openat(parent, part, flags);
}

/* Steps from t->here down by `path` from its byte `from` up to `n`. */
static bool tree_descend(struct tree *t, const char *path, size_t from,
                         size_t n, bool make, struct sq_failure *f) {
  char part[SQ_ZIP_PART_MAX + 1];

  while (from < n) {
    size_t size = strcspn(path + from, "/");
    int fd, err_no;
    memcpy(part, path + from, size);
    part[size] = '\0';
    fd = part_open(t->here, part, make);
    err_no = errno;
    tree_leave(t);
    from += size;
    if (fd < 0)
      return tree_failed(t, err_no, "cannot open the folder", path, from, f);
    t->here = fd;
    from++;
  }
  memcpy(t->at, path, n);
  t->at[n] = '\0';
  return true;
}

/* Makes t->here the directory of the first n bytes of `path`.  Directories
 * that are missing are made, or else the failure's err_no is ENOENT. */
static bool tree_enter(struct tree *t, const char *path, size_t n, bool make,
                       struct sq_failure *f) {
  size_t have = strlen(t->at);

  if (t->here >= 0 && have > 0 && have <= n && memcmp(t->at, path, have) == 0 &&
      (have == n || path[have] == '/'))
    return have == n || tree_descend(t, path, have + 1, n, make, f);
  tree_leave(t);
  t->here = t->root;
  return tree_descend(t, path, 0, n, make, f);
}

/* Makes the directory `path` with its parents: 0 or an errno. */
static int make_parents(char *path) {
  char *p = path;
  char was = '/';

  while (was != '\0') {
    p += strspn(p, "/");
    p += strcspn(p, "/");
    was = *p;
    *p = '\0';
    if (mkdir(path, 0700) != 0 && errno != EEXIST && errno != EISDIR)
      return errno;
    *p = was;
  }
  return 0;
}

/* The target itself may be, or lie behind, a symbolic link: it is the
 * caller's own. */
static bool tree_open(struct tree *t, const char *dir, struct sq_failure *f) {
  const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

  t->root_path = dir;
  t->root = open(dir, flags);
  if (t->root < 0 && errno == ENOENT) {
    char *copy = sq_strdup(dir);
    if (!copy) {
      sq_zip_no_memory(f);
      return false;
    }
    int err_no = make_parents(copy);
    free(copy);
    if (err_no != 0) {
      sq_failure_errno(f, err_no, "cannot make the folder", dir);
      return false;
    }
    t->root = open(dir, flags);
  }
  if (t->root < 0) sq_failure_errno(f, errno, "cannot open the folder", dir);
  return t->root >= 0;
}

static void tree_close(struct tree *t) {
  tree_leave(t);
  if (t->root >= 0) close(t->root);
}

/* The name behind the last slash; *n becomes the length of what is before. */
static const char *path_split(const char *path, size_t *n) {
  const char *slash = strrchr(path, '/');
  *n = slash ? (size_t)(slash - path) : 0;
  return slash ? slash + 1 : path;
}

/* --------------------------------------------------------------- survey */

static bool survey_file(struct tree *t, const char *path, bool overwrite,
                        struct sq_failure *f) {
  struct stat st;
  size_t n;
  const char *name = path_split(path, &n);

  if (!tree_enter(t, path, n, false, f)) return f->err_no == ENOENT;
  if (fstatat(t->here, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ||
           tree_failed(t, errno, "cannot examine", path, strlen(path), f);
  if (!overwrite)
    return tree_failed(t, EEXIST, "cannot extract to", path, strlen(path), f);
  if (S_ISDIR(st.st_mode))
    return tree_failed(t, EISDIR, "replace", path, strlen(path), f);
  return true;
}

static bool survey(const struct sq_zip_plan *p, struct tree *t, bool overwrite,
                   const struct sq_zip_watch *w, struct sq_failure *f) {
  size_t i;
  for (i = 0; i < p->count; i++) {
    const struct sq_zip_step *e = &p->steps[i];
    if (e->dropped) continue;
    if (sq_zip_cancelled(w, f)) return false;
    if (!e->directory) {
      if (!survey_file(t, e->path, overwrite, f)) return false;
    } else if (!tree_enter(t, e->path, strlen(e->path), false, f)) {
      if (f->err_no != ENOENT) return false;
    }
  }
  sq_failure_clear(f); /* what is missing is no failure */
  return true;
}

/* -------------------------------------------------------------- writing */

struct output {
  struct tree *tree;
  const char *path; /* of the file to be */
  int fd;           /* open on `temporary` in tree->here */
  char temporary[64];
};

static bool output_failed(const struct output *o, const char *what,
                          struct sq_failure *f) {
  return tree_failed(o->tree, errno, what, o->path, strlen(o->path), f);
}

/* Opens a new file with a name of its own in the file's directory. */
static bool output_open(struct output *o, struct sq_failure *f) {
  static atomic_uint counter;
  int i;

  for (i = 0; i < TEMPORARY_TRIES; i++) {
    snprintf(o->temporary, sizeof o->temporary, ".squarecloud-%ld-%u.tmp",
             (long)getpid(), atomic_fetch_add(&counter, 1u));
    o->fd = openat(o->tree->here, o->temporary,
                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (o->fd >= 0) return true;
    if (errno != EEXIST) break;
  }
  return output_failed(o, "cannot create", f);
}

static bool on_output(void *context, const void *bytes, size_t n,
                      struct sq_failure *f) {
  struct output *o = context;
  const char *p = bytes;

  while (n > 0) {
    ssize_t put = write(o->fd, p, n);
    if (put >= 0) {
      p += put;
      n -= (size_t)put;
    } else if (errno != EINTR) {
      return output_failed(o, "cannot write", f);
    }
  }
  return true;
}

static void set_time(int fd, int64_t modified) {
  struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = 0}};
  times[1].tv_sec = (time_t)modified;
  if (modified != 0) (void)futimens(fd, times); /* not every system can */
}

/* Mode and time, then the descriptor is closed. */
static bool output_finish(struct output *o, const struct sq_zip_item *item,
                          struct sq_failure *f) {
  mode_t mode = item->attributes >> 16 & 0700;
  int fd = o->fd;

  if (mode != 0) (void)fchmod(fd, mode);
  set_time(fd, item->entry.modified);
  o->fd = -1;
  return close(fd) == 0 || output_failed(o, "cannot write", f);
}

static bool output_publish(struct output *o, bool overwrite,
                           struct sq_failure *f) {
  size_t n;
  unsigned fallbacks = 0;
  const char *name = path_split(o->path, &n);
  int dir = o->tree->here;
  int done = overwrite ? renameat(dir, o->temporary, dir, name)
                       : sq_rename_new(dir, o->temporary, name, &fallbacks);
  return done == 0 || output_failed(o, "cannot extract to", f);
}

static bool file_write(struct tree *t, struct sq_zip_reader *r,
                       const struct sq_zip_step *e, bool overwrite,
                       struct sq_failure *f) {
  struct output o = {.tree = t, .path = e->path, .fd = -1};
  size_t n;
  bool ok;

  path_split(e->path, &n);
  if (!tree_enter(t, e->path, n, true, f) || !output_open(&o, f)) return false;
  ok = sq_zip_reader_entry(r, e->index, on_output, &o, f) &&
       output_finish(&o, &r->z->items[e->index], f) &&
       output_publish(&o, overwrite, f);
  if (o.fd >= 0) close(o.fd);
  if (!ok) (void)unlinkat(t->here, o.temporary, 0);
  return ok;
}

static bool files_write(const struct sq_zip_plan *p, struct tree *t,
                        struct sq_zip_reader *r, bool overwrite,
                        uint64_t *count, struct sq_failure *f) {
  size_t i;
  for (i = 0; i < p->count; i++) {
    const struct sq_zip_step *e = &p->steps[i];
    if (e->dropped) continue;
    if (e->directory) {
      if (sq_zip_cancelled(r->w, f) ||
          !tree_enter(t, e->path, strlen(e->path), true, f))
        return false;
    } else {
      if (!file_write(t, r, e, overwrite, f)) return false;
      ++*count;
    }
  }
  return true;
}

/* The directories' times, once nothing more is put into them. */
static bool directories_date(const struct sq_zip_plan *p, struct tree *t,
                             const struct sq_zip_watch *w,
                             struct sq_failure *f) {
  size_t i;
  for (i = 0; i < p->count; i++) {
    const struct sq_zip_step *e = &p->steps[i];
    if (e->dropped || !e->directory) continue;
    if (sq_zip_cancelled(w, f) ||
        !tree_enter(t, e->path, strlen(e->path), true, f))
      return false;
    set_time(t->here, p->z->items[e->index].entry.modified);
  }
  return true;
}

static bool plan_write(const struct sq_zip_plan *p, const char *dir,
                       bool overwrite, const struct sq_zip_watch *w,
                       uint64_t *count, struct sq_failure *f) {
  struct sq_zip_reader r;
  struct tree t;
  bool ok = sq_zip_reader_init(&r, p->z, w, f);

  t.root = t.here = -1;
  t.at[0] = '\0';
  ok = ok && tree_open(&t, dir, f) && survey(p, &t, overwrite, w, f) &&
       files_write(p, &t, &r, overwrite, count, f) &&
       directories_date(p, &t, w, f);
  tree_close(&t);
  sq_zip_reader_free(&r);
  return ok;
}

bool sq_zip_extract(struct sq_zip *z, const char *dir,
                    const struct sq_zip_limits *limits,
                    const struct sq_zip_watch *w, uint64_t *count,
                    struct sq_failure *f) {
  struct sq_zip_plan p;
  bool ok;

  *count = 0;
  if (!sq_zip_load(z, w, f)) return false;
  ok = sq_zip_plan_make(&p, z, limits, f) &&
       plan_write(&p, dir, limits->overwrite, w, count, f);
  sq_zip_plan_free(&p);
  return ok;
}
