/*
 * part.c - the file of a download.  See part.h for who owns what.
 *
 * File systems that refuse a call (NFS, SMB, FUSE, vfat) are survived call by
 * call: no flock means a lock file, no renameat2 means link and unlink, no
 * fallocate and no fsync of a folder mean going without.
 */
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"

enum {
  RESERVE_FROM = 5 * 1024 * 1024,
  LOCK_BYTES = 128, /* of a lock file */
  IDLE_SECONDS = 3600
};

void sq_part_clear(struct sq_part *p) {
  memset(p, 0, sizeof *p);
  p->folder = p->fd = -1;
}

const char *sq_part_name(const struct sq_part *p, const char *ending,
                         char dst[SQ_PART_NAME_BYTES]) {
  snprintf(dst, SQ_PART_NAME_BYTES, "%s%s", p->name, ending);
  return dst;
}

bool sq_part_fail(const struct sq_part *p, int err_no, const char *what,
                  const char *ending, struct sq_failure *f) {
  size_t n = strlen(p->dir) + strlen(p->name) + strlen(ending) + 2;
  char *path = malloc(n);
  if (path) snprintf(path, n, "%s/%s%s", p->dir, p->name, ending);
  sq_failure_errno(f, err_no, what, path ? path : p->name);
  free(path);
  return false;
}

/* The call does not exist here (some sandboxes say EPERM for that). */
static bool is_refused(int err_no) {
  return err_no == EINVAL || err_no == ENOSYS || err_no == ENOTSUP ||
         err_no == EPERM;
}

/* ---- the folder ------------------------------------------------------- */

/* mkdir -p with 0700 for what is made; the last failure counts. */
static bool make_folders(const char *dir, struct sq_failure *f) {
  char *path = sq_strdup(dir);
  bool ok = path != NULL;
  if (!path) return sq_failure_errno(f, ENOMEM, "cannot make", dir);
  for (char *at = path + (path[0] == '/'); ok; at++) {
    char c = *at;
    if (c != '/' && c != '\0') continue;
    *at = '\0';
    if (mkdir(path, 0700) != 0 && errno != EEXIST && errno != EISDIR) {
      int err_no = errno;
      struct stat st;
      if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        ok = sq_failure_errno(f, err_no, "cannot make the folder", path);
    }
    *at = c;
    if (c == '\0') break;
  }
  free(path);
  return ok;
}

static bool open_folder(struct sq_part *p, bool make, struct sq_failure *f) {
  int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  p->folder = open(p->dir, flags);
  if (p->folder < 0 && errno == ENOENT && make) {
    if (!make_folders(p->dir, f)) return false;
    p->folder = open(p->dir, flags);
  }
  if (p->folder >= 0) return true;
  sq_failure_errno(f, errno, "cannot open the folder", p->dir);
  return false;
}

/* The final name must be free, or replaceable. */
static bool look_at_target(struct sq_part *p, bool overwrite,
                           struct sq_failure *f) {
  struct stat st;
  if (fstatat(p->folder, p->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT || sq_part_fail(p, errno, "cannot examine", "", f);
  if (S_ISDIR(st.st_mode))
    return sq_part_fail(p, EISDIR, "cannot replace", "", f);
  if (overwrite) return true;
  return sq_failure_set(f, SQ_EXISTS, "%s/%s already exists", p->dir, p->name);
}

/* ---- the lock --------------------------------------------------------- */

static bool is_taken(const struct sq_part *p, struct sq_failure *f) {
  sq_failure_set(f, SQ_FILESYSTEM,
                 "%s/%s is being downloaded by another process", p->dir,
                 p->name);
  f->err_no = EWOULDBLOCK;
  return false;
}

/* A lock file tells its owner's process and machine, so that one left by a
 * killed process is known for what it is; and a number of the process's own,
 * since a container's processes have the same pids each time it is started. */
static size_t lock_text(char dst[LOCK_BYTES]) {
  static atomic_ulong number;
  unsigned long none = 0;
  char name[65] = "";
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  atomic_compare_exchange_strong(
      &number, &none,
      (unsigned long)t.tv_sec * 1000000000u + (unsigned long)t.tv_nsec);
  gethostname(name, sizeof name - 1);
  return (size_t)snprintf(dst, LOCK_BYTES, "%ld %s %lx\n", (long)getpid(), name,
                          (unsigned long)number);
}

/* Whether nobody has written to the part for long. */
static bool is_idle(const struct sq_part *p) {
  struct stat st;
  return p->made ||
         (fstat(p->fd, &st) == 0 && time(NULL) - st.st_mtime > IDLE_SECONDS);
}

/* Whether the process that wrote `text` was one of this machine, and is no
 * more.  One of our own pid may have been killed with its container, and may be
 * of another with the same name, as long as that writes. */
static bool owner_is_gone(const struct sq_part *p, const char *text) {
  char ours[LOCK_BYTES], *end;
  long pid = strtol(text, &end, 10);
  lock_text(ours);
  const char *rest = strchr(ours, ' ');
  size_t host = (size_t)(strrchr(ours, ' ') + 1 - rest);
  if (pid <= 0 || pid != (long)(pid_t)pid || strncmp(end, rest, host) != 0 ||
      !strchr(end, '\n'))
    return false;
  if (pid == (long)getpid()) return strcmp(end, rest) != 0 && is_idle(p);
  return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static bool is_open_as(int fd, const struct sq_part *p, const char *name) {
  struct stat a, b;
  return fstat(fd, &a) == 0 &&
         fstatat(p->folder, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
         a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Removes a lock that nobody holds; false when somebody does. */
static bool remove_stale(struct sq_part *p, const char *lock) {
  char text[LOCK_BYTES];
  int fd =
      openat(p->folder, lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return errno == ENOENT;
  ssize_t n = read(fd, text, sizeof text - 1);
  text[n > 0 ? n : 0] = '\0';
  /* another process may have done the same and locked it in between */
  bool stale = owner_is_gone(p, text) && is_open_as(fd, p, lock);
  close(fd);
  return stale && (unlinkat(p->folder, lock, 0) == 0 || errno == ENOENT);
}

static bool lock_by_file(struct sq_part *p, struct sq_failure *f) {
  char lock[SQ_PART_NAME_BYTES], text[LOCK_BYTES];
  size_t n = lock_text(text);
  sq_part_name(p, ".part.lock", lock);
  for (int tries = 0; tries < 2; tries++) {
    int fd = openat(p->folder, lock,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) {
      ssize_t w = write(fd, text, n);
      int err_no = w < 0 ? errno : EIO;
      close(fd);
      p->lock_file = true;
      p->fallbacks |= SQ_LOCKED_BY_FILE;
      if (w == (ssize_t)n) return true;
      return sq_part_fail(p, err_no, "cannot write", ".part.lock", f);
    }
    if (errno != EEXIST)
      return sq_part_fail(p, errno, "cannot make", ".part.lock", f);
    if (!remove_stale(p, lock)) break;
  }
  return is_taken(p, f);
}

static bool lock(struct sq_part *p, struct sq_failure *f) {
  while (flock(p->fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return is_taken(p, f);
    return lock_by_file(p, f);
  }
  p->locked = true;
  return true;
}

/* ---- opening ---------------------------------------------------------- */

static bool is_same_file(struct sq_part *p, const char *name) {
  return is_open_as(p->fd, p, name);
}

/* A file that others may have open, or that has another name, too: what is
 * written to it would be in their hands, or change what that name means. (An
 * owner that is not us is no matter when we made it: vfat has its own.) */
static bool is_ours_alone(const struct sq_part *p, const struct stat *st) {
  return p->made || (st->st_uid == geteuid() && st->st_nlink <= 1);
}

static int open_or_make(struct sq_part *p, const char *name) {
  int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  int fd = openat(p->folder, name, flags);
  p->made = fd < 0 && errno == ENOENT;
  if (!p->made) return fd;
  return openat(p->folder, name, flags | O_CREAT | O_EXCL, 0600);
}

/* Opens and locks the part; *moved when it is to be opened again, because
 * another process has renamed or removed it meanwhile, or we have. */
static bool open_part(struct sq_part *p, bool *moved, struct sq_failure *f) {
  char name[SQ_PART_NAME_BYTES];
  struct stat st;
  p->fd = open_or_make(p, sq_part_name(p, ".part", name));
  *moved = p->fd < 0 && p->made && errno == EEXIST;
  if (*moved) return true;
  if (p->fd < 0) return sq_part_fail(p, errno, "cannot open", ".part", f);
  if (fstat(p->fd, &st) != 0)
    return sq_part_fail(p, errno, "cannot read", ".part", f);
  if (!S_ISREG(st.st_mode))
    return sq_part_fail(p, EINVAL, "not a regular file:", ".part", f);
  if (!lock(p, f)) return false;
  *moved = !is_same_file(p, name);
  /* looked at again: its last owner wrote to it until it let go of the lock */
  if (fstat(p->fd, &st) != 0)
    return sq_part_fail(p, errno, "cannot read", ".part", f);
  if (!*moved && !is_ours_alone(p, &st)) {
    if (unlinkat(p->folder, name, 0) != 0)
      return sq_part_fail(p, errno, "cannot replace", ".part", f);
    *moved = true;
  }
  p->size = st.st_size;
  p->fresh = st.st_size == 0;
  if (!*moved) fchmod(p->fd, 0600);
  return true;
}

static void close_part(struct sq_part *p) {
  char name[SQ_PART_NAME_BYTES];
  if (p->lock_file) unlinkat(p->folder, sq_part_name(p, ".part.lock", name), 0);
  /* a forked child may hold a copy of the descriptor, and so of the lock */
  if (p->locked) flock(p->fd, LOCK_UN);
  p->locked = p->lock_file = false;
  if (p->fd >= 0) close(p->fd);
  p->fd = -1;
}

void sq_part_close(struct sq_part *p) {
  close_part(p);
  if (p->folder >= 0) close(p->folder);
  p->folder = -1;
}

bool sq_part_open(struct sq_part *p, const char *dir, bool make,
                  const char *name, bool overwrite, struct sq_failure *f) {
  bool moved = false;
  sq_part_clear(p);
  p->dir = dir;
  p->name = name;
  /* a name that is cut would be another file's */
  if (strlen(name) + sizeof ".part.meta.new" > SQ_PART_NAME_BYTES)
    return sq_part_fail(p, ENAMETOOLONG, "cannot open", ".part", f);
  if (!open_folder(p, make, f)) return false;
  for (int tries = 0; tries < 8; tries++) {
    if (!look_at_target(p, overwrite, f) || !open_part(p, &moved, f)) break;
    /* looked at again under the lock: its last owner may just have ended */
    if (!moved && look_at_target(p, overwrite, f)) {
      /* a record without bytes tells of a part that somebody removed */
      if (p->fresh) sq_part_forget(p);
      sq_failure_clear(f); /* of an earlier try */
      return true;
    }
    if (!moved) {
      if (p->fresh) sq_part_discard(p);
      break;
    }
    close_part(p);
    is_taken(p, f);
  }
  sq_part_close(p);
  return false;
}

/* ---- bytes ------------------------------------------------------------ */

static bool no_room(struct sq_part *p, int err_no, int64_t needed,
                    struct sq_failure *f) {
  struct statvfs v;
  if (err_no != ENOSPC || fstatvfs(p->fd, &v) != 0)
    return sq_part_fail(p, err_no, "cannot write", ".part", f);
  char reason[160];
  snprintf(reason, sizeof reason,
           "not enough room (%lld bytes needed, %lld free) for",
           (long long)needed, (long long)v.f_bavail * (long long)v.f_frsize);
  return sq_part_fail(p, err_no, reason, ".part", f);
}

#if defined(FALLOC_FL_KEEP_SIZE)
/* Gives back what was reserved behind the file's end. */
static void release(struct sq_part *p) {
  struct sq_failure ignored;
  struct stat st;
  if (fstat(p->fd, &st) == 0) sq_part_truncate(p, st.st_size, &ignored);
}
#endif

bool sq_part_reserve(struct sq_part *p, int64_t total, struct sq_failure *f) {
#if defined(FALLOC_FL_KEEP_SIZE)
  if (total < RESERVE_FROM) return true;
  while (fallocate(p->fd, FALLOC_FL_KEEP_SIZE, 0, total) != 0) {
    int err_no = errno;
    if (err_no == EINTR) continue;
    /* a file system that does not know how is no failure */
    if (err_no != ENOSPC && err_no != EFBIG) break;
    release(p);
    return no_room(p, err_no, total, f);
  }
#else
  (void)p;
  (void)total;
  (void)f;
#endif
  return true;
}

bool sq_part_write(struct sq_part *p, const char *bytes, size_t n,
                   int64_t offset, struct sq_failure *f) {
  while (n > 0) {
    ssize_t w = pwrite(p->fd, bytes, n, (off_t)offset);
    if (w < 0 && errno == EINTR) continue;
    if (w <= 0) return no_room(p, w < 0 ? errno : EIO, (int64_t)n, f);
    bytes += w;
    n -= (size_t)w;
    offset += w;
  }
  return true;
}

bool sq_part_truncate(struct sq_part *p, int64_t size, struct sq_failure *f) {
  while (ftruncate(p->fd, (off_t)size) != 0)
    if (errno != EINTR)
      return sq_part_fail(p, errno, "cannot truncate", ".part", f);
  return true;
}

/* To the disk itself, where fsync stops short of that (macOS). */
static int sync_file(int fd) {
#if defined(F_FULLFSYNC)
  if (fcntl(fd, F_FULLFSYNC) == 0) return 0;
  if (!is_refused(errno) && errno != ENOTTY) return -1;
#endif
#if defined(SQ_NO_FDATASYNC)
  return fsync(fd);
#else
  return fdatasync(fd);
#endif
}

bool sq_part_sync(struct sq_part *p, struct sq_failure *f) {
  while (!p->sync_errno && sync_file(p->fd) != 0)
    if (errno != EINTR) p->sync_errno = errno;
  return !p->sync_errno ||
         sq_part_fail(p, p->sync_errno, "cannot sync", ".part", f);
}

int sq_part_reopen(struct sq_part *p, struct sq_failure *f) {
  char name[SQ_PART_NAME_BYTES];
  int fd = openat(p->folder, sq_part_name(p, ".part", name),
                  O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    sq_part_fail(p, errno, "cannot open", ".part", f);
  } else if (!is_open_as(fd, p, name) || !is_same_file(p, name)) {
    close(fd);
    fd = -1;
    sq_part_fail(p, ENOENT, "another program removed", ".part", f);
  }
  return fd;
}

/* ---- the end ---------------------------------------------------------- */

/* What is left without hard links (vfat): to look, then rename. */
static int look_and_rename(int dir, const char *from, const char *to) {
  struct stat st;
  if (fstatat(dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
    errno = EEXIST;
    return -1;
  }
  return errno == ENOENT ? renameat(dir, from, dir, to) : -1;
}

int sq_rename_new(int dir, const char *from, const char *to,
                  unsigned *fallbacks) {
#if defined(RENAME_NOREPLACE)
  if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0) return 0;
  if (!is_refused(errno)) return -1;
#endif
  if (linkat(dir, from, dir, to, 0) == 0) {
    /* the file is there: that its other name stays is no failure now, and
     * sq_part_open knows what to do with it */
    unlinkat(dir, from, 0);
    *fallbacks |= SQ_NAMED_BY_LINK;
    return 0;
  }
  if (errno == EEXIST) return -1;
  *fallbacks |= SQ_NAMED_BY_LOOK; /* no links here, or not for us */
  return look_and_rename(dir, from, to);
}

/* False when the record is still there. */
static bool forget(struct sq_part *p) {
  char name[SQ_PART_NAME_BYTES];
  unlinkat(p->folder, sq_part_name(p, ".part.meta.new", name), 0);
  p->recorded = false;
  sq_part_name(p, ".part.meta", name);
  return unlinkat(p->folder, name, 0) == 0 || errno == ENOENT;
}

void sq_part_forget(struct sq_part *p) { (void)forget(p); }

bool sq_part_commit(struct sq_part *p, bool overwrite, struct sq_failure *f) {
  char from[SQ_PART_NAME_BYTES];
  sq_part_name(p, ".part", from);
  if (!is_same_file(p, from))
    return sq_part_fail(p, ENOENT, "another program removed", ".part", f);
  bool forgotten = forget(p);
  int rc = overwrite ? renameat(p->folder, from, p->folder, p->name)
                     : sq_rename_new(p->folder, from, p->name, &p->fallbacks);
  if (rc != 0 && errno == EEXIST)
    return sq_failure_set(f, SQ_EXISTS, "%s/%s has appeared in the meantime",
                          p->dir, p->name);
  if (rc != 0) return sq_part_fail(p, errno, "cannot rename to", "", f);
  p->committed = true;
  if (!forgotten) forget(p); /* it tells of nothing any more */
  /* refused on some network file systems; the data itself is synced */
  if (fsync(p->folder) == 0) return true;
  if (errno == EIO)
    return sq_part_fail(p, errno, "cannot sync the folder of", "", f);
  p->fallbacks |= SQ_FOLDER_UNSYNCED;
  return true;
}

void sq_part_discard(struct sq_part *p) {
  char name[SQ_PART_NAME_BYTES];
  if (p->folder < 0) return;
  sq_part_forget(p);
  if (p->fd >= 0 && is_same_file(p, sq_part_name(p, ".part", name)))
    unlinkat(p->folder, name, 0);
}
