/*
 * posix.c - what the Lua parts (mirror, progress, command) need of the system
 * and Lua's own libraries cannot give: private modes, a lock that ends with
 * its process, a terminal's size and its input.  It runs on the host's
 * thread: nothing that waits for a disk belongs here.  Owns the locks it
 * gives.
 */
#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK "squarecloud.Lock"

enum { MADE = O_CREAT | O_CLOEXEC | O_NOFOLLOW, TRIES = 8 };

/* A lock held, by whom; fd is -1 when it is not. */
struct lock {
  int fd;
  pid_t owner;
};

/* nil, message, errno; or true. */
static int result(lua_State *L, bool ok) {
  return luaL_fileresult(L, ok, NULL);
}

/* Closes without touching errno. */
static bool fail(int fd) {
  int err_no = errno;
  close(fd);
  errno = err_no;
  return false;
}

static int make_folder(lua_State *L) {
  return result(L, mkdir(luaL_checkstring(L, 1), 0700) == 0);
}

/* ---- small files ------------------------------------------------------ */

static bool write_all(int fd, const char *bytes, size_t n) {
  while (n > 0) {
    ssize_t w = write(fd, bytes, n);
    if (w < 0 && errno == EINTR) continue;
    if (w < 0) return false;
    bytes += w;
    n -= (size_t)w;
  }
  return true;
}

static bool write_draft(const char *draft, const char *bytes, size_t n) {
  unlink(draft);
  int fd = open(draft, MADE | O_WRONLY | O_EXCL, 0600);
  if (fd < 0) return false;
  if (!write_all(fd, bytes, n)) return fail(fd);
  return close(fd) == 0;
}

/* Nothing is synced: that would hold up the host's frame by up to 0.2 s. */
static int write_file(lua_State *L) {
  size_t n;
  const char *path = luaL_checkstring(L, 1);
  const char *bytes = luaL_checklstring(L, 2, &n);
  const char *draft = lua_pushfstring(L, "%s.new", path);
  if (!write_draft(draft, bytes, n) || rename(draft, path) != 0) {
    int err_no = errno;
    unlink(draft);
    errno = err_no;
    return result(L, false);
  }
  return result(L, true);
}

/* ---- locks ------------------------------------------------------------ */

/* Serves __close and __gc; a second time does nothing.  A forked child
 * has a copy of the descriptor, and so of the lock: there closing must leave
 * it locked, here it must end it whoever has copies. */
static int mm_close(lua_State *L) {
  struct lock *lock = luaL_checkudata(L, 1, LOCK);
  if (lock->fd < 0) return 0;
  if (lock->owner == getpid()) (void)flock(lock->fd, LOCK_UN);
  close(lock->fd);
  lock->fd = -1;
  return 0;
}

static bool is_open_as(int fd, const char *path) {
  struct stat a, b;
  return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

/* The locked descriptor, or -1: looked at again under the lock, since the
 * file may have been removed, and made anew, meanwhile. */
static int open_locked(const char *path) {
  for (int tries = 0; tries < TRIES; tries++) {
    int fd = open(path, MADE | O_RDWR | O_NONBLOCK, 0600);
    if (fd < 0) return -1;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      fail(fd);
      return -1;
    }
    if (is_open_as(fd, path)) return fd;
    close(fd);
  }
  errno = EWOULDBLOCK;
  return -1;
}

static int lock_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct lock *lock = lua_newuserdatauv(L, sizeof *lock, 0);
  lock->fd = -1;
  luaL_setmetatable(L, LOCK);
  lock->owner = getpid();
  lock->fd = open_locked(path);
  if (lock->fd >= 0) return 1;
  if (errno != EWOULDBLOCK) return result(L, false);
  lua_pushboolean(L, 0);
  return 1;
}

/* ---- the terminal ----------------------------------------------------- */

static int terminal_size(lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1);
  struct winsize size = {0, 0, 0, 0};
  if (!isatty(fd)) return 0;
  (void)ioctl(fd, TIOCGWINSZ, &size);
  lua_pushinteger(L, size.ws_row);
  lua_pushinteger(L, size.ws_col);
  return 2;
}

/* Comes back now and then: a Ctrl-C's hook runs in Lua, and a read() that
 * sleeps would sleep on through it. */
static int read_some(lua_State *L) {
  char bytes[512];
  struct pollfd p = {(int)luaL_checkinteger(L, 1), POLLIN, 0};
  int ready = poll(&p, 1, (int)luaL_checkinteger(L, 2));
  if (ready == 0 || (ready < 0 && errno == EINTR)) {
    lua_pushboolean(L, 0);
    return 1;
  }
  ssize_t n = ready < 0 ? -1 : read(p.fd, bytes, sizeof bytes);
  if (n < 0) return result(L, false);
  lua_pushlstring(L, bytes, (size_t)n);
  return 1;
}

/* ----------------------------------------------------------------------- */

void sq_posix_push(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__close", mm_close}, {"__gc", mm_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"make_folder", make_folder}, {"write_file", write_file},
      {"lock_file", lock_file},     {"terminal_size", terminal_size},
      {"read_some", read_some},     {NULL, NULL}};
  luaL_newmetatable(L, LOCK);
  luaL_setfuncs(L, metamethods, 0);
  lua_pop(L, 1);
  luaL_newlib(L, functions);
}
