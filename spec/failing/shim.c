/*
 * shim.c - makes allocations and system calls fail, one at a time; to be
 * preloaded, and a Lua module ("failing_shim") that says which.  A test's
 * tool; nothing of it is installed.
 *
 *   shim.call(where, what, n, times, errno, f)
 *       calls f with the n-th call of `what` from `where` on failing, `times`
 *       of them in a row (0: none, only counted).  Gives how many there were,
 *       how many failed, "ok", "error" or "memory", and f's first two results
 *       or what it raised
 *   shim.load(n, times, script)
 *       the same for a Lua state of its own whose allocator fails; the script
 *       is run once more, and then has to succeed: nil, or what it raised
 *   shim.warned()    what this state has warned of since the last time
 *   shim.live()      blocks allocated by the module and not freed; by libcurl
 *                    and libzip
 *
 * where: "core" (the module), "curl", "zip", "lua" (the interpreter, lfs),
 * and "files": core and lua; what: "malloc" (all allocating functions of C),
 * "allocator" (this Lua state's; where does not matter), or a function below.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <link.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define CALLER ((uintptr_t)__builtin_return_address(0))
#define FIND(next, name) (*(void **)&(next) = dlsym(RTLD_NEXT, name))

EXPORT int luaopen_failing_shim(lua_State *L);

/* ---- who calls -------------------------------------------------------- */

enum { CORE = 1, CURL = 2, ZIP = 4, LUA = 8, RANGES = 8 };

static const struct {
  const char *part;
  int module;
} modules[] = {{"squarecloud/core.so", CORE},
               {"libcurl.so", CURL},
               {"libzip.so", ZIP},
               {"liblua5.4", LUA},
               {"/lfs.so", LUA},
               {NULL, 0}};

static struct {
  uintptr_t low, high;
  int module;
} ranges[RANGES];
static atomic_int range_count;

static int note_module(struct dl_phdr_info *info, size_t size, void *first) {
  int module = 0, count = range_count;
  (void)size;
  for (int i = 0; modules[i].part; i++)
    if (strstr(info->dlpi_name, modules[i].part)) module = modules[i].module;
  if (*(bool *)first) module = LUA; /* the program itself */
  *(bool *)first = false;
  for (int i = 0; module && i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];
    if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || count == RANGES)
      continue;
    ranges[count].low = info->dlpi_addr + p->p_vaddr;
    ranges[count].high = ranges[count].low + p->p_memsz;
    ranges[count++].module = module;
  }
  range_count = count;
  return 0;
}

static void note_modules(void) {
  bool first = true;
  range_count = 0;
  dl_iterate_phdr(note_module, &first);
}

static int module_of(uintptr_t caller) {
  for (int i = 0; i < range_count; i++)
    if (caller >= ranges[i].low && caller < ranges[i].high)
      return ranges[i].module;
  return 0;
}

/* ---- the plan --------------------------------------------------------- */

enum {
  MALLOC,
  ALLOCATOR,
  WRITE,
  PWRITE,
  READ,
  PREAD,
  FSYNC,
  FDATASYNC,
  FTRUNCATE,
  FALLOCATE,
  OPEN,
  OPENAT,
  MKDIR,
  MKDIRAT,
  MKDTEMP,
  RENAME,
  RENAMEAT,
  RENAMEAT2,
  LINKAT,
  UNLINKAT,
  REMOVE,
  FLOCK,
  FOPEN,
  EVENTFD,
  PTHREAD_CREATE,
  GETENV,
  KINDS
};

static const char *const names[KINDS + 1] = {
    "malloc", "allocator", "write",     "pwrite",    "read",
    "pread",  "fsync",     "fdatasync", "ftruncate", "fallocate",
    "open",   "openat",    "mkdir",     "mkdirat",   "mkdtemp",
    "rename", "renameat",  "renameat2", "linkat",    "unlinkat",
    "remove", "flock",     "fopen",     "eventfd",   "pthread_create",
    "getenv", NULL};

static struct {
  atomic_int where; /* 0: no plan */
  int what;
  long first, times;
  int err_no;
  atomic_long seen, failed;
} plan;

/* Whether this call is one that fails; errno is set then. */
static bool fails_in(int module, int what) {
  if (!(module & plan.where) || plan.what != what) return false;
  long n = atomic_fetch_add(&plan.seen, 1) + 1;
  if (n < plan.first || n - plan.first >= plan.times) return false;
  atomic_fetch_add(&plan.failed, 1);
  errno = plan.err_no;
  return true;
}

static bool fails(uintptr_t caller, int what) {
  if (!plan.where) return false;
  int saved = errno;
  bool yes = fails_in(module_of(caller), what);
  if (!yes) errno = saved;
  return yes;
}

/* ---- memory ----------------------------------------------------------- */

enum { SLOTS = 1 << 16, EARLY_BYTES = 1 << 14 };

static struct {
  void *block;
  int module;
} slots[SLOTS];
static atomic_long live[LUA];
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;

/* dlsym allocates, before anything is found. */
static _Alignas(16) char early[EARLY_BYTES];
static size_t early_used;

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void (*next_free)(void *);

static void *early_calloc(size_t n) {
  void *p = early + early_used;
  n = (n + 15) / 16 * 16;
  if (n > sizeof early - early_used) abort();
  early_used += n;
  return p;
}

static bool is_early(const void *p) {
  return (const char *)p >= early && (const char *)p < early + sizeof early;
}

static void find(void) {
  static bool finding;
  if (finding || next_free) return;
  finding = true;
  FIND(next_malloc, "malloc");
  FIND(next_calloc, "calloc");
  FIND(next_realloc, "realloc");
  FIND(next_free, "free");
}

static size_t slot_of(const void *p) {
  return (size_t)(((uintptr_t)p >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 48) %
         SLOTS;
}

/* With the lock held: the block's slot, or SLOTS. */
static size_t find_slot(const void *p) {
  for (size_t i = slot_of(p), tries = 0; tries < 256;
       i = (i + 1) % SLOTS, tries++)
    if (slots[i].block == p) return i;
  return SLOTS;
}

static void forget(const void *p) {
  if (!p || range_count == 0) return;
  pthread_mutex_lock(&slots_lock);
  size_t i = find_slot(p);
  if (i < SLOTS) {
    live[slots[i].module]--;
    slots[i].block = NULL;
  }
  pthread_mutex_unlock(&slots_lock);
}

static void *note(uintptr_t caller, void *p) {
  int module = p ? module_of(caller) : 0;
  if (!(module & (CORE | CURL | ZIP))) return p;
  pthread_mutex_lock(&slots_lock);
  for (size_t i = slot_of(p), tries = 0; tries < 256;
       i = (i + 1) % SLOTS, tries++) {
    if (slots[i].block) continue;
    slots[i].block = p;
    slots[i].module = module;
    live[module]++;
    break;
  }
  pthread_mutex_unlock(&slots_lock);
  return p;
}

EXPORT void *malloc(size_t n) {
  find();
  if (!next_malloc) return early_calloc(n);
  return fails(CALLER, MALLOC) ? NULL : note(CALLER, next_malloc(n));
}

EXPORT void *calloc(size_t count, size_t n) {
  find();
  if (!next_calloc) return early_calloc(count * n);
  return fails(CALLER, MALLOC) ? NULL : note(CALLER, next_calloc(count, n));
}

EXPORT void *realloc(void *p, size_t n) {
  find();
  if (fails(CALLER, MALLOC)) return NULL;
  if (is_early(p)) {
    void *moved = next_malloc(n);
    if (moved) memcpy(moved, p, n);
    return moved;
  }
  forget(p);
  void *moved = next_realloc(p, n);
  return note(CALLER, moved || n == 0 ? moved : p) == moved ? moved : NULL;
}

EXPORT void free(void *p) {
  find();
  if (is_early(p)) return;
  forget(p);
  next_free(p);
}

EXPORT char *strdup(const char *s) {
  size_t n = strlen(s) + 1;
  find();
  char *copy = fails(CALLER, MALLOC) ? NULL : note(CALLER, next_malloc(n));
  return copy ? memcpy(copy, s, n) : NULL;
}

/* ---- system calls ----------------------------------------------------- */

#define WRAP(what, type, name, parameters, arguments) \
  EXPORT type name parameters;                        \
  EXPORT type name parameters {                       \
    static __typeof__(&(name)) next;                  \
    if (fails(CALLER, what)) return -1;               \
    if (!next) FIND(next, #name);                     \
    return next arguments;                            \
  }

/* What is written to an eventfd is no file's. */
EXPORT ssize_t write(int fd, const void *bytes, size_t n) {
  static __typeof__(&write) next;
  struct stat st;
  if (plan.where && plan.what == WRITE && fstat(fd, &st) == 0 &&
      S_ISREG(st.st_mode) && fails(CALLER, WRITE))
    return -1;
  if (!next) FIND(next, "write");
  return next(fd, bytes, n);
}

WRAP(PWRITE, ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t at),
     (fd, b, n, at))
WRAP(READ, ssize_t, read, (int fd, void *b, size_t n), (fd, b, n))
WRAP(PREAD, ssize_t, pread64, (int fd, void *b, size_t n, off64_t at),
     (fd, b, n, at))
WRAP(FSYNC, int, fsync, (int fd), (fd))
WRAP(FDATASYNC, int, fdatasync, (int fd), (fd))
WRAP(FTRUNCATE, int, ftruncate64, (int fd, off64_t n), (fd, n))
WRAP(FALLOCATE, int, fallocate64, (int fd, int mode, off64_t at, off64_t n),
     (fd, mode, at, n))
WRAP(MKDIR, int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(MKDIRAT, int, mkdirat, (int dir, const char *path, mode_t mode),
     (dir, path, mode))
WRAP(RENAME, int, rename, (const char *from, const char *to), (from, to))
WRAP(RENAMEAT, int, renameat, (int a, const char *from, int b, const char *to),
     (a, from, b, to))
WRAP(RENAMEAT2, int, renameat2,
     (int a, const char *from, int b, const char *to, unsigned flags),
     (a, from, b, to, flags))
WRAP(LINKAT, int, linkat,
     (int a, const char *from, int b, const char *to, int flags),
     (a, from, b, to, flags))
WRAP(UNLINKAT, int, unlinkat, (int dir, const char *path, int flags),
     (dir, path, flags))
WRAP(REMOVE, int, remove, (const char *path), (path))
WRAP(FLOCK, int, flock, (int fd, int operation), (fd, operation))
WRAP(EVENTFD, int, eventfd, (unsigned value, int flags), (value, flags))

/* O_TMPFILE is nobody's here. */
#define MODE_OF(flags)                \
  mode_t mode = 0;                    \
  if (O_CREAT & (flags)) {            \
    va_list arguments;                \
    va_start(arguments, flags);       \
    mode = va_arg(arguments, mode_t); \
    va_end(arguments);                \
  }

EXPORT int open64(const char *path, int flags, ...) {
  static __typeof__(&open64) next;
  MODE_OF(flags)
  if (fails(CALLER, OPEN)) return -1;
  if (!next) FIND(next, "open64");
  return next(path, flags, mode);
}

EXPORT int openat64(int dir, const char *path, int flags, ...) {
  static __typeof__(&openat64) next;
  MODE_OF(flags)
  if (fails(CALLER, OPENAT)) return -1;
  if (!next) FIND(next, "openat64");
  return next(dir, path, flags, mode);
}

EXPORT FILE *fopen64(const char *path, const char *mode) {
  static __typeof__(&fopen64) next;
  if (fails(CALLER, FOPEN)) return NULL;
  if (!next) FIND(next, "fopen64");
  return next(path, mode);
}

EXPORT char *mkdtemp(char *path) {
  static __typeof__(&mkdtemp) next;
  if (fails(CALLER, MKDTEMP)) return NULL;
  if (!next) FIND(next, "mkdtemp");
  return next(path);
}

EXPORT int pthread_create(pthread_t *id, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg) {
  static __typeof__(&pthread_create) next;
  if (fails(CALLER, PTHREAD_CREATE)) return errno;
  if (!next) FIND(next, "pthread_create");
  return next(id, attr, run, arg);
}

EXPORT char *getenv(const char *name) {
  static __typeof__(&getenv) next;
  if (fails(CALLER, GETENV)) return NULL;
  if (!next) FIND(next, "getenv");
  return next(name);
}

/* ---- for Lua ---------------------------------------------------------- */

static struct {
  lua_Alloc f;
  void *ud;
} below;

/* Lua asks twice, with a full collection in between; making a block smaller
 * never fails. */
static void *allocator(void *ud, void *block, size_t from, size_t to) {
  (void)ud;
  if (to > (block ? from : 0) && plan.where && fails_in(LUA, ALLOCATOR))
    return NULL;
  return below.f(below.ud, block, from, to);
}

static void take_plan(int where, int what, long first, long times, int err_no) {
  plan.what = what;
  plan.first = first;
  plan.times = times;
  plan.err_no = err_no;
  plan.seen = plan.failed = 0;
  plan.where = where;
}

static const char *outcome(int rc) {
  return rc == LUA_OK ? "ok" : rc == LUA_ERRMEM ? "memory" : "error";
}

static int f_call(lua_State *L) {
  static const char *const places[] = {"core", "curl",  "zip",
                                       "lua",  "files", NULL};
  static const int masks[] = {CORE, CURL, ZIP, LUA, CORE | LUA};
  int where = masks[luaL_checkoption(L, 1, NULL, places)];
  int what = luaL_checkoption(L, 2, NULL, names);
  long first = (long)luaL_checkinteger(L, 3);
  long times = (long)luaL_checkinteger(L, 4);
  int err_no = (int)luaL_checkinteger(L, 5);
  lua_settop(L, 6);
  luaL_checkstack(L, 10, NULL);
  note_modules();
  if (what == ALLOCATOR) where = LUA;
  take_plan(where, what, first, times, err_no);
  int rc = lua_pcall(L, 0, 2, 0);
  plan.where = 0;
  if (rc != LUA_OK) lua_pushnil(L);
  lua_pushinteger(L, plan.seen);
  lua_pushinteger(L, plan.failed);
  lua_pushstring(L, outcome(rc));
  lua_rotate(L, -5, 3);
  return 5;
}

static void copy_path(lua_State *from, lua_State *to, const char *field) {
  lua_getglobal(from, "package");
  lua_getfield(from, -1, field);
  lua_getglobal(to, "package");
  lua_pushstring(to, lua_tostring(from, -1));
  lua_setfield(to, -2, field);
  lua_pop(to, 1);
  lua_pop(from, 2);
}

static int run_script(lua_State *L, const char *script) {
  lua_settop(L, 0);
  int rc = luaL_loadstring(L, script);
  return rc == LUA_OK ? lua_pcall(L, 0, 0, 0) : rc;
}

static int f_load(lua_State *L) {
  long first = (long)luaL_checkinteger(L, 1);
  long times = (long)luaL_checkinteger(L, 2);
  const char *script = luaL_checkstring(L, 3);
  lua_State *other = lua_newstate(allocator, NULL);
  if (!other) return luaL_error(L, "no memory for a state");
  luaL_openlibs(other);
  copy_path(L, other, "path");
  copy_path(L, other, "cpath");
  take_plan(LUA, ALLOCATOR, first, times, ENOMEM);
  int rc = run_script(other, script);
  plan.where = 0;
  lua_pushinteger(L, plan.seen);
  lua_pushinteger(L, plan.failed);
  lua_pushstring(L, outcome(rc));
  lua_pushstring(L, rc ? luaL_tolstring(other, -1, NULL) : NULL);
  rc = run_script(other, script);
  lua_pushstring(L, rc ? luaL_tolstring(other, -1, NULL) : NULL);
  lua_close(other);
  return 5;
}

static int f_live(lua_State *L) {
  lua_pushinteger(L, live[CORE]);
  lua_pushinteger(L, live[CURL] + live[ZIP]);
  return 2;
}

static char warned[1024];

static void on_warning(void *ud, const char *words, int more) {
  size_t used = strlen(warned);
  (void)ud;
  (void)more;
  snprintf(warned + used, sizeof warned - used, "%s", words);
}

static int f_warned(lua_State *L) {
  lua_pushstring(L, warned);
  warned[0] = '\0';
  return 1;
}

int luaopen_failing_shim(lua_State *L) {
  static const luaL_Reg functions[] = {{"call", f_call},
                                       {"load", f_load},
                                       {"live", f_live},
                                       {"warned", f_warned},
                                       {NULL, NULL}};
  note_modules();
  if (!below.f) {
    below.f = lua_getallocf(L, &below.ud);
    lua_setallocf(L, allocator, NULL);
    lua_setwarnf(L, on_warning, NULL);
  }
  luaL_newlib(L, functions);
  return 1;
}
