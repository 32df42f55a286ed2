/*
 * store_probe.c - csrc/base/{head,store,pieces,part}.h for the specs, on the
 * caller's thread.  A test's tool; nothing of it is installed.
 *
 *   probe.decimal(text)                     probe.magic(text)
 *   probe.etag_is_strong(text)
 *   probe.head(lines)                       fields, whether they were few
 *   probe.judge(want, lines)                a grant
 *   probe.error(want, lines, body, now)     a failure
 *   p = probe.pieces(total [, list])        list of {first, next, end}
 *     p:pick(busy, least)  p:fill(i, n)  p:set_total(n)  p:done()  p:whole()
 *     p:sound()  p:tidy()  p:list()  p:total()
 *   probe.format(record [, cap])            text, or nil
 *   probe.parse(text)                       a record, or nil
 *   p = probe.open(dir, name [, overwrite]) a part, or nil, err
 *     p:reserve(n)  p:write(s, offset)  p:truncate(n)  p:sync()  p:reopen()
 *     p:commit(overwrite)  p:forget()  p:discard()  p:close()
 *     p:record()  p:set_record(record)  p:info()
 *   probe.fault(call [, what [, times]])    what: an errno to fail with; -1: a
 *     write is done by half; for flock, -1: somebody removes the file just
 *     before, -2: somebody makes its final name
 *   probe.errno(name)  probe.seteuid(uid)  probe.link(from, to)
 *
 * Indexes are counted from 1.  An input is copied to a block of exactly its
 * size, and an output goes to a block of exactly the promised size: a
 * sanitizer then sees each byte that is read or written beside them.
 */
#include "../../csrc/base/head.h"
#include "../../csrc/base/part.h"
#include "../../csrc/base/pieces.h"
#include "../../csrc/base/store.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

SQ_EXPORT int luaopen_store_probe(lua_State *L);

#define PIECES "store_probe.pieces"
#define PART "store_probe.part"

/* {== Faults ============================================================= */

/*
 * The part's system calls find these first: what a full disk or a poor file
 * system does can then be had on any machine.
 */
#define HIDDEN_CALL __attribute__((visibility("hidden")))

enum fault { FLOCK, RENAMEAT2, LINKAT, FALLOCATE, PWRITE, FDATASYNC, WRITE };

static const char *const fault_names[] = {"flock",     "renameat2", "linkat",
                                          "fallocate", "pwrite",    "fdatasync",
                                          "write",     NULL};

static struct {
  int err_no; /* 0: none; negative: see above */
  int times;
} faults[SQ_COUNT(fault_names)];

/* 0, or what is to happen: once less each time. */
static int due(enum fault which) {
  int err_no = faults[which].err_no;
  if (err_no == 0 || faults[which].times-- > 0) return err_no;
  faults[which].err_no = 0;
  return 0;
}

static bool fails(enum fault which) {
  int err_no = due(which);
  if (err_no > 0) errno = err_no;
  return err_no > 0;
}

/* The libc's own; a data pointer turned to a function, as POSIX has it. */
#define REAL(call) *(void **)&real = dlsym(RTLD_DEFAULT, call)

/* What another process may do between the opening and the lock. */
static void meddle(int fd, int what) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < (ssize_t)sizeof ".part") return;
  path[n] = '\0';
  if (what == -1) {
    unlink(path);
  } else {
    path[n - (ssize_t)sizeof ".part" + 1] = '\0';
    close(open(path, O_WRONLY | O_CREAT, 0600));
  }
}

HIDDEN_CALL int flock(int fd, int how) {
  int (*real)(int, int);
  int fault = (how & LOCK_UN) != 0 ? 0 : due(FLOCK);
  if (fault > 0) {
    errno = fault;
    return -1;
  }
  if (fault < 0) meddle(fd, fault);
  REAL("flock");
  return real(fd, how);
}

HIDDEN_CALL int renameat2(int from_dir, const char *from, int to_dir,
                          const char *to, unsigned flags) {
  int (*real)(int, const char *, int, const char *, unsigned);
  if (fails(RENAMEAT2)) return -1;
  REAL("renameat2");
  return real(from_dir, from, to_dir, to, flags);
}

HIDDEN_CALL int linkat(int from_dir, const char *from, int to_dir,
                       const char *to, int flags) {
  int (*real)(int, const char *, int, const char *, int);
  if (fails(LINKAT)) return -1;
  REAL("linkat");
  return real(from_dir, from, to_dir, to, flags);
}

HIDDEN_CALL int fallocate(int fd, int mode, off_t from, off_t n) {
  int (*real)(int, int, off_t, off_t);
  if (fails(FALLOCATE)) return -1;
  REAL("fallocate");
  return real(fd, mode, from, n);
}

HIDDEN_CALL int fdatasync(int fd) {
  int (*real)(int);
  if (fails(FDATASYNC)) return -1;
  REAL("fdatasync");
  return real(fd);
}

HIDDEN_CALL ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
  ssize_t (*real)(int, const void *, size_t, off_t);
  int fault = due(PWRITE);
  if (fault > 0) {
    errno = fault;
    return -1;
  }
  REAL("pwrite");
  return real(fd, bytes, fault < 0 ? (n + 1) / 2 : n, at);
}

HIDDEN_CALL ssize_t write(int fd, const void *bytes, size_t n) {
  ssize_t (*real)(int, const void *, size_t);
  int fault = due(WRITE);
  if (fault > 0) {
    errno = fault;
    return -1;
  }
  REAL("write");
  return real(fd, bytes, fault < 0 ? (n + 1) / 2 : n);
}

static int p_fault(lua_State *L) {
  int which = luaL_checkoption(L, 1, NULL, fault_names);
  faults[which].err_no = (int)luaL_optinteger(L, 2, 0);
  faults[which].times = (int)luaL_optinteger(L, 3, 1000000);
  return 0;
}

static int p_errno(lua_State *L) {
  static const char *const names[] = {
      "EACCES", "EDQUOT",  "EEXIST",      "EFBIG", "EINTR",
      "EINVAL", "EIO",     "EISDIR",      "ELOOP", "ENOENT",
      "ENOLCK", "ENOSPC",  "ENOSYS",      "EPERM", "EOPNOTSUPP",
      "EROFS",  "ENOTDIR", "EWOULDBLOCK", "ENXIO", "ENAMETOOLONG",
      NULL};
  static const int values[] = {
      EACCES,     EDQUOT, EEXIST,  EFBIG,       EINTR,  EINVAL,      EIO,
      EISDIR,     ELOOP,  ENOENT,  ENOLCK,      ENOSPC, ENOSYS,      EPERM,
      EOPNOTSUPP, EROFS,  ENOTDIR, EWOULDBLOCK, ENXIO,  ENAMETOOLONG};
  lua_pushinteger(L, values[luaL_checkoption(L, 1, NULL, names)]);
  return 1;
}

static int p_seteuid(lua_State *L) {
  uid_t uid = (uid_t)luaL_checkinteger(L, 1), before = geteuid();
  if (seteuid(uid) != 0) return luaL_error(L, "cannot be user %d", (int)uid);
  lua_pushinteger(L, (lua_Integer)before);
  return 1;
}

static int p_link(lua_State *L) {
  if (link(luaL_checkstring(L, 1), luaL_checkstring(L, 2)) != 0)
    return luaL_error(L, "cannot link: %s", strerror(errno));
  return 0;
}

/* ==} */

/* {== Arguments and results ============================================== */

static const char *bytes(lua_State *L, int arg, size_t *n) {
  const char *s = luaL_checklstring(L, arg, n);
  char *copy = lua_newuserdatauv(L, *n, 0);
  if (*n > 0) memcpy(copy, s, *n);
  return copy;
}

/* The string at the index, which outlives the call as the index does. */
static const char *string_field(lua_State *L, int at, const char *key) {
  lua_getfield(L, at, key);
  const char *s = luaL_optstring(L, -1, "");
  lua_pop(L, 1); /* the table still has it */
  return s;
}

static int64_t integer_field(lua_State *L, int at, const char *key) {
  lua_getfield(L, at, key);
  int64_t value = luaL_optinteger(L, -1, -1);
  lua_pop(L, 1);
  return value;
}

static bool boolean_field(lua_State *L, int at, const char *key) {
  lua_getfield(L, at, key);
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

static void set_string(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

static void set_boolean(lua_State *L, const char *key, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, key);
}

static void set_failure(lua_State *L, const struct sq_failure *f) {
  set_string(L, "kind", sq_kind_name(f->kind));
  set_string(L, "code", f->code);
  set_string(L, "message", f->message);
  set_boolean(L, "retryable", f->retryable);
  set_integer(L, "http_status", f->http_status);
  set_integer(L, "errno", f->err_no);
  lua_pushnumber(L, f->retry_after);
  lua_setfield(L, -2, "retry_after");
}

/* true, or nil and the failure */
static int push_outcome(lua_State *L, bool ok, const struct sq_failure *f) {
  if (ok) {
    lua_pushboolean(L, true);
    return 1;
  }
  lua_pushnil(L);
  lua_newtable(L);
  set_failure(L, f);
  return 2;
}

/* ==} */

/* {== head.h ============================================================= */

/* Feeds the lines at `arg`; whether all of them were few enough. */
static bool feed(lua_State *L, int arg, struct sq_head *h) {
  bool few = true;
  memset(h, 0x41, sizeof *h);
  sq_head_clear(h);
  luaL_checktype(L, arg, LUA_TTABLE);
  for (lua_Integer i = 1; lua_geti(L, arg, i) == LUA_TSTRING; i++) {
    size_t n;
    const char *line = bytes(L, -1, &n);
    few = sq_head_line(h, line, n) && few;
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
  return few;
}

static int p_decimal(lua_State *L) {
  size_t n;
  const char *s = bytes(L, 1, &n);
  lua_pushinteger(L, sq_decimal(s, n));
  return 1;
}

static int p_head(lua_State *L) {
  struct sq_head *h = lua_newuserdatauv(L, sizeof *h, 0);
  bool few = feed(L, 1, h);
  lua_newtable(L);
  set_integer(L, "status", h->status);
  set_integer(L, "bytes", (int64_t)h->bytes);
  set_boolean(L, "complete", h->complete);
  set_boolean(L, "malformed", h->malformed);
  set_integer(L, "content_length", h->content_length);
  set_integer(L, "range_first", h->range_first);
  set_integer(L, "range_last", h->range_last);
  set_integer(L, "range_total", h->range_total);
  set_boolean(L, "has_range", h->has_range);
  set_boolean(L, "bad_range", h->bad_range);
  set_integer(L, "date", h->date);
  set_string(L, "etag", h->etag);
  set_string(L, "last_modified", h->last_modified);
  set_string(L, "content_type", h->content_type);
  set_string(L, "content_encoding", h->content_encoding);
  set_string(L, "retry_after", h->retry_after);
  lua_pushboolean(L, few);
  return 2;
}

/* ==} */

/* {== store.h ============================================================ */

static struct sq_want check_want(lua_State *L, int arg) {
  struct sq_want w;
  luaL_checktype(L, arg, LUA_TTABLE);
  w.ranged = boolean_field(L, arg, "ranged");
  w.first = integer_field(L, arg, "first");
  if (w.first < 0) w.first = 0;
  w.end = integer_field(L, arg, "stop");
  w.total = integer_field(L, arg, "total");
  w.expected = integer_field(L, arg, "expected");
  w.expires = integer_field(L, arg, "expires");
  w.etag = string_field(L, arg, "etag");
  w.modified = string_field(L, arg, "modified");
  w.begun = boolean_field(L, arg, "begun");
  w.pinned = boolean_field(L, arg, "pinned");
  return w;
}

static int p_judge(lua_State *L) {
  static const char *const names[] = {"take",     "whole", "done",  "restart",
                                      "redirect", "error", "refuse"};
  struct sq_want want = check_want(L, 1);
  struct sq_head *h = lua_newuserdatauv(L, sizeof *h, 0);
  struct sq_grant *g = lua_newuserdatauv(L, sizeof *g, 0);
  feed(L, 2, h);
  memset(g, 0x41, sizeof *g);
  sq_store_judge(&want, h, g);
  lua_newtable(L);
  set_failure(L, &g->failure);
  set_string(L, "verdict", names[g->verdict]);
  set_integer(L, "first", g->first);
  set_integer(L, "length", g->length);
  set_integer(L, "total", g->total);
  set_boolean(L, "assumed", g->assumed);
  return 1;
}

static int p_error(lua_State *L) {
  size_t n = 0;
  struct sq_want want = check_want(L, 1);
  struct sq_head *h = lua_newuserdatauv(L, sizeof *h, 0);
  struct sq_failure *f = lua_newuserdatauv(L, sizeof *f, 0);
  const char *body = lua_isnil(L, 3) ? NULL : bytes(L, 3, &n);
  feed(L, 2, h);
  memset(f, 0x41, sizeof *f);
  f->retryable = false;
  sq_store_error(&want, h, body, n, luaL_checkinteger(L, 4), f);
  lua_newtable(L);
  set_failure(L, f);
  return 1;
}

static int p_magic(lua_State *L) {
  size_t n;
  const char *s = bytes(L, 1, &n);
  lua_pushstring(L, sq_store_magic_problem(s, n));
  return 1;
}

static int p_etag_is_strong(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  char *copy = lua_newuserdatauv(L, n + 1, 0);
  lua_pushboolean(L, sq_etag_is_strong(memcpy(copy, s, n + 1)));
  return 1;
}

/* ==} */

/* {== pieces.h =========================================================== */

static int64_t item(lua_State *L, lua_Integer i) {
  lua_geti(L, -1, i);
  int64_t value = luaL_checkinteger(L, -1);
  lua_pop(L, 1);
  return value;
}

/* Pieces from a total and the list at `arg`; the list may be nonsense. */
static void check_pieces(lua_State *L, int arg, int64_t total,
                         struct sq_pieces *p) {
  memset(p, 0, sizeof *p);
  p->total = total;
  p->count = (int)luaL_len(L, arg);
  luaL_argcheck(L, p->count <= SQ_PIECES_MAX, arg, "too many");
  for (int i = 0; i < p->count; i++) {
    lua_geti(L, arg, i + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    p->list[i] = (struct sq_piece){item(L, 1), item(L, 2), item(L, 3)};
    lua_pop(L, 1);
  }
}

static int push_list(lua_State *L, const struct sq_pieces *p) {
  lua_createtable(L, p->count, 0);
  for (int i = 0; i < p->count; i++) {
    const int64_t numbers[] = {p->list[i].first, p->list[i].next,
                               p->list[i].end};
    lua_createtable(L, 3, 0);
    for (int k = 0; k < 3; k++) {
      lua_pushinteger(L, numbers[k]);
      lua_seti(L, -2, k + 1);
    }
    lua_seti(L, -2, i + 1);
  }
  return 1;
}

static struct sq_pieces *to_pieces(lua_State *L) {
  return luaL_checkudata(L, 1, PIECES);
}

static int p_pieces(lua_State *L) {
  lua_settop(L, 2);
  int64_t total = luaL_checkinteger(L, 1);
  struct sq_pieces *p = lua_newuserdatauv(L, sizeof *p, 0);
  luaL_setmetatable(L, PIECES);
  memset(p, 0x41, sizeof *p);
  if (lua_isnil(L, 2))
    sq_pieces_reset(p, total);
  else
    check_pieces(L, 2, total, p);
  return 1;
}

static int m_pick(lua_State *L) {
  struct sq_pieces *p = to_pieces(L);
  bool busy[SQ_PIECES_MAX];
  for (int i = 0; i < SQ_PIECES_MAX; i++) {
    lua_geti(L, 2, i + 1);
    busy[i] = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  int index = sq_pieces_pick(p, busy, luaL_checkinteger(L, 3));
  if (index < 0) return 0;
  lua_pushinteger(L, index + 1);
  return 1;
}

static int m_fill(lua_State *L) {
  struct sq_pieces *p = to_pieces(L);
  lua_Integer i = luaL_checkinteger(L, 2);
  luaL_argcheck(L, i >= 1 && i <= p->count, 2, "no piece");
  p->list[i - 1].next += luaL_checkinteger(L, 3);
  return 0;
}

static int m_set_total(lua_State *L) {
  lua_pushboolean(L,
                  sq_pieces_set_total(to_pieces(L), luaL_checkinteger(L, 2)));
  return 1;
}

static int m_done(lua_State *L) {
  lua_pushinteger(L, sq_pieces_done(to_pieces(L)));
  return 1;
}

static int m_whole(lua_State *L) {
  lua_pushboolean(L, sq_pieces_whole(to_pieces(L)));
  return 1;
}

static int m_sound(lua_State *L) {
  lua_pushboolean(L, sq_pieces_are_sound(to_pieces(L)));
  return 1;
}

static int m_tidy(lua_State *L) {
  sq_pieces_tidy(to_pieces(L));
  return 0;
}

static int m_list(lua_State *L) { return push_list(L, to_pieces(L)); }

static int m_total(lua_State *L) {
  lua_pushinteger(L, to_pieces(L)->total);
  return 1;
}

static const luaL_Reg pieces_methods[] = {
    {"pick", m_pick}, {"fill", m_fill},   {"set_total", m_set_total},
    {"done", m_done}, {"whole", m_whole}, {"sound", m_sound},
    {"tidy", m_tidy}, {"list", m_list},   {"total", m_total},
    {NULL, NULL}};

/* ==} */

/* {== Records ============================================================ */

static void check_text(lua_State *L, int arg, const char *key, char *dst,
                       size_t cap) {
  const char *s = string_field(L, arg, key);
  size_t n = strlen(s);
  luaL_argcheck(L, n < cap, arg, "too long");
  memcpy(dst, s, n + 1);
}

/* A record on the stack, from a table. */
static struct sq_record *check_record(lua_State *L, int arg) {
  luaL_checktype(L, arg, LUA_TTABLE);
  struct sq_record *r = lua_newuserdatauv(L, sizeof *r, 0);
  memset(r, 0, sizeof *r);
  check_text(L, arg, "object", r->object, sizeof r->object);
  check_text(L, arg, "etag", r->etag, sizeof r->etag);
  lua_getfield(L, arg, "pieces");
  check_pieces(L, lua_gettop(L), integer_field(L, arg, "total"), &r->pieces);
  lua_pop(L, 1);
  return r;
}

static int push_record(lua_State *L, const struct sq_record *r) {
  lua_newtable(L);
  set_string(L, "object", r->object);
  set_string(L, "etag", r->etag);
  set_integer(L, "total", r->pieces.total);
  push_list(L, &r->pieces);
  lua_setfield(L, -2, "pieces");
  return 1;
}

static int p_format(lua_State *L) {
  size_t cap = (size_t)luaL_optinteger(L, 2, 8192);
  struct sq_record *r = check_record(L, 1);
  char *dst = lua_newuserdatauv(L, cap, 0);
  size_t n = sq_record_format(r, dst, cap);
  if (n == 0) return 0;
  lua_pushlstring(L, dst, n);
  return 1;
}

static int p_parse(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  char *copy = lua_newuserdatauv(L, n, 0);
  struct sq_record *r = lua_newuserdatauv(L, sizeof *r, 0);
  if (n > 0) memcpy(copy, s, n);
  memset(r, 0x41, sizeof *r);
  return sq_record_parse(copy, n, r) ? push_record(L, r) : 0;
}

/* ==} */

/* {== Parts ============================================================== */

struct part {
  struct sq_part part;
  char *dir, *name; /* blocks that user values keep alive */
};

static struct sq_part *to_part(lua_State *L) {
  return &((struct part *)luaL_checkudata(L, 1, PART))->part;
}

static int p_open(lua_State *L) {
  struct sq_failure f;
  size_t n, m;
  const char *dir = luaL_checklstring(L, 1, &n);
  const char *name = luaL_checklstring(L, 2, &m);
  lua_settop(L, 3);
  struct part *p = lua_newuserdatauv(L, sizeof *p, 2);
  sq_part_clear(&p->part);
  luaL_setmetatable(L, PART);
  p->dir = memcpy(lua_newuserdatauv(L, n + 1, 0), dir, n + 1);
  lua_setiuservalue(L, 4, 1);
  p->name = memcpy(lua_newuserdatauv(L, m + 1, 0), name, m + 1);
  lua_setiuservalue(L, 4, 2);
  memset(&p->part, 0x41, sizeof p->part);
  bool ok =
      sq_part_open(&p->part, p->dir, true, p->name, lua_toboolean(L, 3), &f);
  if (!ok && (p->part.fd >= 0 || p->part.folder >= 0 || p->part.locked))
    return luaL_error(L, "something stays open");
  if (!ok) return push_outcome(L, ok, &f);
  lua_settop(L, 4);
  return 1;
}

static int m_reserve(lua_State *L) {
  struct sq_failure f;
  bool ok = sq_part_reserve(to_part(L), luaL_checkinteger(L, 2), &f);
  return push_outcome(L, ok, &f);
}

static int m_write(lua_State *L) {
  struct sq_failure f;
  size_t n;
  const char *s = bytes(L, 2, &n);
  bool ok = sq_part_write(to_part(L), s, n, luaL_checkinteger(L, 3), &f);
  return push_outcome(L, ok, &f);
}

static int m_truncate(lua_State *L) {
  struct sq_failure f;
  bool ok = sq_part_truncate(to_part(L), luaL_checkinteger(L, 2), &f);
  return push_outcome(L, ok, &f);
}

static int m_sync(lua_State *L) {
  struct sq_failure f;
  return push_outcome(L, sq_part_sync(to_part(L), &f), &f);
}

/* What a second descriptor reads (its first 64 KiB); it may only read. */
static int m_reopen(lua_State *L) {
  struct sq_failure f;
  int fd = sq_part_reopen(to_part(L), &f);
  if (fd < 0) return push_outcome(L, false, &f);
  luaL_Buffer b;
  ssize_t n = read(fd, luaL_buffinitsize(L, &b, 65536), 65536);
  bool private = (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 &&
                 (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
  close(fd);
  luaL_pushresultsize(&b, n < 0 ? 0 : (size_t)n);
  lua_pushboolean(L, private);
  return 2;
}

static int m_commit(lua_State *L) {
  struct sq_failure f;
  bool ok = sq_part_commit(to_part(L), lua_toboolean(L, 2), &f);
  return push_outcome(L, ok, &f);
}

static int m_forget(lua_State *L) {
  sq_part_forget(to_part(L));
  return 0;
}

static int m_discard(lua_State *L) {
  sq_part_discard(to_part(L));
  return 0;
}

static int m_close(lua_State *L) {
  sq_part_close(to_part(L));
  return 0;
}

static int m_record(lua_State *L) {
  struct sq_record *r = lua_newuserdatauv(L, sizeof *r, 0);
  memset(r, 0x41, sizeof *r);
  return sq_record_read(to_part(L), r) ? push_record(L, r) : 0;
}

static int m_set_record(lua_State *L) {
  struct sq_failure f;
  bool ok = sq_record_write(to_part(L), check_record(L, 2), &f);
  return push_outcome(L, ok, &f);
}

static int m_info(lua_State *L) {
  const struct sq_part *p = to_part(L);
  lua_newtable(L);
  set_boolean(L, "open", p->fd >= 0 && p->folder >= 0);
  set_boolean(L, "private",
              (fcntl(p->fd, F_GETFD) & FD_CLOEXEC) != 0 &&
                  (fcntl(p->folder, F_GETFD) & FD_CLOEXEC) != 0);
  set_boolean(L, "locked", p->locked);
  set_boolean(L, "lock_file", p->lock_file);
  set_boolean(L, "fresh", p->fresh);
  set_integer(L, "size", p->size);
  set_integer(L, "fallbacks", p->fallbacks);
  return 1;
}

static const luaL_Reg part_methods[] = {{"reserve", m_reserve},
                                        {"write", m_write},
                                        {"truncate", m_truncate},
                                        {"sync", m_sync},
                                        {"reopen", m_reopen},
                                        {"commit", m_commit},
                                        {"forget", m_forget},
                                        {"discard", m_discard},
                                        {"close", m_close},
                                        {"record", m_record},
                                        {"info", m_info},
                                        {"set_record", m_set_record},
                                        {NULL, NULL}};

/* ==} */

static const luaL_Reg functions[] = {{"decimal", p_decimal},
                                     {"head", p_head},
                                     {"judge", p_judge},
                                     {"error", p_error},
                                     {"magic", p_magic},
                                     {"etag_is_strong", p_etag_is_strong},
                                     {"pieces", p_pieces},
                                     {"format", p_format},
                                     {"parse", p_parse},
                                     {"open", p_open},
                                     {"fault", p_fault},
                                     {"errno", p_errno},
                                     {"seteuid", p_seteuid},
                                     {"link", p_link},
                                     {NULL, NULL}};

static void new_class(lua_State *L, const char *name, const luaL_Reg *methods) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

int luaopen_store_probe(lua_State *L) {
  new_class(L, PIECES, pieces_methods);
  new_class(L, PART, part_methods);
  luaL_getmetatable(L, PART);
  lua_pushcfunction(L, m_close);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, m_close);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  lua_pushinteger(L, SQ_HEAD_BYTES_MAX);
  lua_setfield(L, -2, "HEAD_BYTES_MAX");
  lua_pushinteger(L, SQ_PIECES_MAX);
  lua_setfield(L, -2, "PIECES_MAX");
  return 1;
}
