/*
 * zip_probe.c - csrc/base/zip_layout.h and csrc/engine/zip.h for the specs,
 * on the caller's thread.  A test's tool; nothing of it is installed.
 *
 *   probe.layout(path [, cancelled])   a table, or nil, err
 *   z = probe.open(path)               a userdata (not yet loaded), or nil, err
 *   z:load(o) z:test(o) z:read(name, max, o) z:extract(dir, limits, o)
 *   z:entries()  z:close()  #z
 *   probe.parallel(path, threads)      true when all of them could test it
 *   z:size()  z:offset()               bytes; the descriptor's own offset
 *
 * `o` is { cancel = true } (from the start) or { cancel_at = bytes inflated },
 * and gets `ticks` and `done`.  `err` is { kind, message, errno }.
 */
#include "../../csrc/base/zip_layout.h"
#include "../../csrc/engine/zip.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TYPE "zip_probe"

struct probe {
  struct sq_zip *z;
  int fd; /* the one that z owns */
};

struct watching {
  struct sq_zip_watch watch;
  atomic_bool cancel;
  lua_Integer cancel_at, ticks;
  uint64_t done;
};

static int push_failure(lua_State *L, const struct sq_failure *f) {
  lua_pushnil(L);
  lua_createtable(L, 0, 3);
  lua_pushstring(L, sq_kind_name(f->kind));
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, f->message);
  lua_setfield(L, -2, "message");
  if (f->err_no) {
    lua_pushinteger(L, f->err_no);
    lua_setfield(L, -2, "errno");
  }
  return 2;
}

static void on_tick(void *context, uint64_t done) {
  struct watching *w = context;
  w->ticks++;
  w->done = done;
  if (w->cancel_at > 0 && done >= (uint64_t)w->cancel_at)
    atomic_store(&w->cancel, true);
}

static const struct sq_zip_watch *watch_read(lua_State *L, int arg,
                                             struct watching *w) {
  memset(w, 0, sizeof *w);
  atomic_init(&w->cancel, false);
  w->watch.cancel = &w->cancel;
  w->watch.tick = on_tick;
  w->watch.context = w;
  if (lua_istable(L, arg)) {
    lua_getfield(L, arg, "cancel");
    atomic_store(&w->cancel, lua_toboolean(L, -1));
    lua_getfield(L, arg, "cancel_at");
    w->cancel_at = lua_tointeger(L, -1);
    lua_pop(L, 2);
  }
  return &w->watch;
}

static void watch_write(lua_State *L, int arg, const struct watching *w) {
  if (!lua_istable(L, arg)) return;
  lua_pushinteger(L, w->ticks);
  lua_setfield(L, arg, "ticks");
  lua_pushinteger(L, (lua_Integer)w->done);
  lua_setfield(L, arg, "done");
}

static struct probe *to_probe(lua_State *L) {
  struct probe *p = luaL_checkudata(L, 1, TYPE);
  luaL_argcheck(L, p->z != NULL, 1, "closed");
  return p;
}

static int open_file(lua_State *L, const char *path) {
  struct sq_failure f;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    sq_failure_errno(&f, errno, "open", path);
    push_failure(L, &f);
  }
  return fd;
}

static void set_number(lua_State *L, const char *key, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, key);
}

static int f_layout(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  atomic_bool cancel;
  struct sq_zip_layout layout;
  struct sq_failure f;
  int fd = open_file(L, path);
  bool ok;

  if (fd < 0) return 2;
  atomic_init(&cancel, lua_toboolean(L, 2));
  ok = sq_zip_layout_check(fd, (int64_t)lseek(fd, 0, SEEK_END), &cancel,
                           &layout, &f);
  close(fd);
  if (!ok) return push_failure(L, &f);
  lua_createtable(L, 0, 5);
  set_number(L, "entries", layout.entries);
  set_number(L, "directory_offset", layout.directory_offset);
  set_number(L, "directory_size", layout.directory_size);
  set_number(L, "unpacked", layout.unpacked);
  set_number(L, "compressed", layout.compressed);
  return 1;
}

static int f_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct probe *p = lua_newuserdatauv(L, sizeof *p, 0);
  p->z = NULL;
  luaL_setmetatable(L, TYPE);
  p->fd = open_file(L, path);
  if (p->fd < 0) return 2;
  p->z = sq_zip_new(p->fd, path);
  if (!p->z) return luaL_error(L, "not enough memory");
  return 1;
}

static int m_load(lua_State *L) {
  struct probe *p = to_probe(L);
  struct watching w;
  struct sq_failure f;
  bool ok = sq_zip_load(p->z, watch_read(L, 2, &w), &f);
  watch_write(L, 2, &w);
  if (!ok) return push_failure(L, &f);
  lua_pushboolean(L, 1);
  return 1;
}

static int m_test(lua_State *L) {
  struct probe *p = to_probe(L);
  struct watching w;
  struct sq_failure f;
  uint64_t unverifiable;
  bool ok = sq_zip_test(p->z, watch_read(L, 2, &w), &unverifiable, &f);
  watch_write(L, 2, &w);
  if (!ok) return push_failure(L, &f);
  lua_pushinteger(L, (lua_Integer)unverifiable);
  return 1;
}

static int m_read(lua_State *L) {
  struct probe *p = to_probe(L);
  const char *name = luaL_checkstring(L, 2);
  lua_Integer max = luaL_optinteger(L, 3, 0);
  struct watching w;
  struct sq_failure f;
  char *data;
  size_t size;
  bool ok = sq_zip_read(p->z, name, (uint64_t)max, watch_read(L, 4, &w), &data,
                        &size, &f);
  watch_write(L, 4, &w);
  if (!ok) return push_failure(L, &f);
  lua_pushlstring(L, data, size);
  free(data);
  return 1;
}

static int m_extract(lua_State *L) {
  struct probe *p = to_probe(L);
  const char *dir = luaL_checkstring(L, 2);
  struct sq_zip_limits limits = {0, 0, false};
  struct watching w;
  struct sq_failure f;
  uint64_t count;
  bool ok;
  if (lua_istable(L, 3)) {
    lua_getfield(L, 3, "max_bytes");
    limits.max_bytes = (uint64_t)lua_tointeger(L, -1);
    lua_getfield(L, 3, "max_entries");
    limits.max_entries = (uint64_t)lua_tointeger(L, -1);
    lua_getfield(L, 3, "overwrite");
    limits.overwrite = lua_toboolean(L, -1);
    lua_pop(L, 3);
  }
  ok = sq_zip_extract(p->z, dir, &limits, watch_read(L, 4, &w), &count, &f);
  watch_write(L, 4, &w);
  if (!ok) {
    push_failure(L, &f);
    lua_pushinteger(L, (lua_Integer)count);
    return 3;
  }
  lua_pushinteger(L, (lua_Integer)count);
  return 1;
}

static int m_entries(lua_State *L) {
  struct probe *p = to_probe(L);
  size_t i, n = sq_zip_count(p->z);
  lua_createtable(L, (int)n, 0);
  for (i = 0; i < n; i++) {
    const struct sq_zip_entry *e = sq_zip_get(p->z, i);
    lua_createtable(L, 0, 8);
    lua_pushstring(L, e->name);
    lua_setfield(L, -2, "name");
    set_number(L, "bytes", e->bytes);
    set_number(L, "compressed", e->compressed);
    set_number(L, "modified", (uint64_t)e->modified);
    set_number(L, "crc", e->crc);
    set_number(L, "method", e->method);
    lua_pushboolean(L, e->directory);
    lua_setfield(L, -2, "directory");
    lua_pushboolean(L, e->encrypted);
    lua_setfield(L, -2, "encrypted");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int m_size(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)sq_zip_size(to_probe(L)->z));
  return 1;
}

static int m_offset(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lseek(to_probe(L)->fd, 0, SEEK_CUR));
  return 1;
}

static int m_close(lua_State *L) {
  struct probe *p = luaL_checkudata(L, 1, TYPE);
  struct sq_zip *z = p->z;
  p->z = NULL;
  sq_zip_release(z);
  return 0;
}

static int m_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)sq_zip_count(to_probe(L)->z));
  return 1;
}

static void *run_test(void *arg) {
  struct sq_zip *z = arg;
  struct sq_failure f;
  uint64_t unverifiable;
  bool ok = sq_zip_test(z, NULL, &unverifiable, &f);
  sq_zip_release(z);
  return ok ? arg : NULL;
}

static int f_parallel(lua_State *L) {
  enum { MOST = 16 };
  const char *path = luaL_checkstring(L, 1);
  int n = (int)luaL_checkinteger(L, 2), fd = open_file(L, path), i, started;
  pthread_t threads[MOST];
  struct sq_zip *z;
  void *result;
  bool ok = true;

  if (fd < 0) return 2;
  z = sq_zip_new(fd, path);
  if (!z) return luaL_error(L, "not enough memory");
  for (started = 0; started < n && started < MOST; started++) {
    sq_zip_retain(z);
    if (pthread_create(&threads[started], NULL, run_test, z) != 0) {
      sq_zip_release(z);
      break;
    }
  }
  sq_zip_release(z);
  for (i = 0; i < started; i++) {
    pthread_join(threads[i], &result);
    ok = ok && result != NULL;
  }
  lua_pushboolean(L, ok && started == n);
  return 1;
}

static const luaL_Reg methods[] = {
    {"load", m_load},       {"test", m_test},     {"read", m_read},
    {"extract", m_extract}, {"close", m_close},   {"entries", m_entries},
    {"size", m_size},       {"offset", m_offset}, {"__gc", m_close},
    {"__close", m_close},   {"__len", m_len},     {NULL, NULL}};

static const luaL_Reg functions[] = {{"layout", f_layout},
                                     {"open", f_open},
                                     {"parallel", f_parallel},
                                     {NULL, NULL}};

SQ_EXPORT int luaopen_zip_probe(lua_State *L);

SQ_EXPORT int luaopen_zip_probe(lua_State *L) {
  luaL_newmetatable(L, TYPE);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  return 1;
}
