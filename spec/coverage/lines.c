/*
 * lines.c - notes which lines of the Lua files under lua/squarecloud are run,
 * for `make coverage`.  Loaded by LUA_INIT into every `lua5.4` of the suite;
 * a C hook, since new coroutines and tasks inherit one, and a Lua hook not.
 * Written to COVERAGE_DIR/lines.<pid> when the process exits: a line
 * "<line> <path>" for each line that was run.  Linked with -z nodelete:
 * finalizers run under the hook while the Lua state goes.
 */
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if !defined(COVERAGE_DIR)
#define COVERAGE_DIR "." /* run.sh says where */
#endif

enum { FILES = 128, LINES = 1024 };

static struct file {
  char path[256]; /* from lua/squarecloud on */
  atomic_uchar hit[LINES];
} files[FILES];
static atomic_int count;
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct file *find(const char *path, int from, int to) {
  for (int i = from; i < to; i++)
    if (strcmp(files[i].path, path) == 0) return &files[i];
  return NULL;
}

static struct file *find_or_add(const char *path) {
  int known = atomic_load(&count);
  struct file *f = find(path, 0, known);
  if (f) return f;
  pthread_mutex_lock(&adding);
  int now = atomic_load(&count);
  f = find(path, known, now);
  if (!f && now < FILES && strlen(path) < sizeof f->path) {
    f = &files[now];
    strcpy(f->path, path);
    atomic_store(&count, now + 1);
  }
  pthread_mutex_unlock(&adding);
  return f;
}

static void on_line(lua_State *L, lua_Debug *ar) {
  lua_getinfo(L, "Sl", ar);
  if (ar->source[0] != '@' || ar->currentline < 1) return;
  const char *path = strstr(ar->source, "lua/squarecloud/");
  if (!path || ar->currentline >= LINES) return;
  struct file *f = find_or_add(path);
  if (f)
    atomic_store_explicit(&f->hit[ar->currentline], 1, memory_order_relaxed);
}

static void write_down(void) {
  static const char folder[] = COVERAGE_DIR;
  char name[512];
  int known = atomic_load(&count);
  if (known == 0) return;
  snprintf(name, sizeof name, "%s/lines.%ld", folder, (long)getpid());
  FILE *out = fopen(name, "a");
  if (!out) return;
  for (int i = 0; i < known; i++)
    for (int line = 1; line < LINES; line++)
      if (atomic_load(&files[i].hit[line]))
        fprintf(out, "%d %s\n", line, files[i].path);
  fclose(out);
}

static void begin(void) { atexit(write_down); }

int luaopen_lines(lua_State *L);
int luaopen_lines(lua_State *L) {
  pthread_once(&once, begin);
  lua_sethook(L, on_line, LUA_MASKLINE, 0);
  return 0;
}
