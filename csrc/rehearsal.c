/*
 * rehearsal.c - the way into a rehearsal: who may begin one, and with what.
 * The steps and their order are lua/squarecloud/rehearsal.lua's.
 * Owns the folder that a rehearsal downloads to.
 */
#include "rehearsal.h"

#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client.h"
#include "download.h"
#include "error.h"
#include "object.h"
#include "options.h"
#include "scripts.h"

#define METHOD "rehearse_restore"
#define FOLDER "squarecloud.Folder"
#define TEMPLATE "/squarecloud-rehearsal.XXXXXX"

enum { TRIES = 8 };

/* ---- the folder ------------------------------------------------------- */

/* A folder of ours alone where temporary files go; owner 0: there is none. The
 * collector removes it where nobody else has. */
struct folder {
  pid_t owner; /* a forked child removes nothing */
  char path[];
};

/* One that is yet to be made. */
static int new_folder(lua_State *L) {
  const char *base = getenv("TMPDIR");
  if (!base || base[0] != '/') base = "/tmp";
  size_t n = strlen(base) + sizeof TEMPLATE;
  struct folder *folder = lua_newuserdatauv(L, sizeof *folder + n, 0);
  folder->owner = 0;
  snprintf(folder->path, n, "%s" TEMPLATE, base);
  luaL_setmetatable(L, FOLDER);
  return 1;
}

/* Gives its path; or nil and an error. */
static int make_folder(lua_State *L) {
  struct folder *folder = luaL_checkudata(L, 1, FOLDER);
  if (mkdtemp(folder->path)) {
    folder->owner = getpid();
    lua_pushstring(L, folder->path);
    return 1;
  }
  struct sq_failure f;
  int err_no = errno;
  char *slash = strrchr(folder->path, '/');
  *slash = '\0';
  sq_failure_errno(&f, err_no, "cannot make a folder in", folder->path);
  *slash = '/';
  return sq_error_return(L, &f, METHOD);
}

static void empty(const char *path) {
  DIR *dir = opendir(path);
  const struct dirent *entry;
  if (!dir) return;
  int folder = dirfd(dir);
  while (folder >= 0 && (entry = readdir(dir)))
    (void)unlinkat(folder, entry->d_name, 0);
  closedir(dir);
}

/* Serves __gc, too; asks Lua for no memory.  A file that is open stays
 * readable.  A download that was left may be writing its last. */
static int clear_folder(lua_State *L) {
  struct folder *folder = luaL_checkudata(L, 1, FOLDER);
  if (folder->owner != getpid()) return 0;
  for (int tries = 0; tries < TRIES; tries++) {
    empty(folder->path);
    if (rmdir(folder->path) == 0 || errno == ENOENT) {
      folder->owner = 0;
      break;
    }
  }
  return 0;
}

/* ---- what the steps need beside requests ------------------------------ */

/* Seconds that only go forward. */
static int read_clock(lua_State *L) {
  lua_pushnumber(L, (lua_Number)sq_now() / 1e9);
  return 1;
}

/* Whether a task runs: then somebody steps, and others can be spawned. */
static int in_task(lua_State *L) {
  lua_pushboolean(L, sq_client_check(L, 1)->state->current != NULL);
  return 1;
}

/* Text from outside as failures show it; a byte takes "[hidden]" at most. */
static int show(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  size_t cap = n * 8 + 1;
  luaL_Buffer buffer;
  char *shown = luaL_buffinitsize(L, &buffer, cap);
  sq_show(shown, cap, text, n);
  luaL_pushresultsize(&buffer, strlen(shown));
  return 1;
}

/* ---- the method ------------------------------------------------------- */

static void check_snapshot(lua_State *L, int index) {
  if (!luaL_testudata(L, index, SQ_SNAPSHOT_INFO) &&
      !luaL_testudata(L, index, SQ_SNAPSHOT))
    luaL_error(L, METHOD ": expected a SnapshotInfo or Snapshot, got %s",
               luaL_typename(L, index));
  lua_getfield(L, index, "application_type");
  if (strcmp(lua_tostring(L, -1), "app") != 0)
    luaL_error(L, METHOD
               ": a database's snapshot cannot be rehearsed: the "
               "platform cannot create a database from an upload");
  lua_pop(L, 1);
}

static void set_number(lua_State *L, int index, const char *name,
                       double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, index, name);
}

/* Reads the options at `index` and puts their defaults in. */
static void read_options(lua_State *L, int index) {
  static const char *const known[] = {"consent",  "keep",   "timeout", "settle",
                                      "progress", "report", NULL};
  struct sq_options o = sq_options_take(L, index, METHOD, NULL, true, known);
  bool given = lua_getfield(L, index, "consent") != LUA_TNIL;
  lua_pop(L, 1);
  if (!sq_options_boolean(&o, "consent", false))
    sq_options_error(&o,
                     "option 'consent' %s: the copy boots with the original's "
                     "secrets, and may talk to the same database",
                     given ? "must be true" : "is missing");
  sq_options_boolean(&o, "keep", false);
  set_number(L, index, "timeout",
             sq_options_number(&o, "timeout", 1800, 0.001, 1e9));
  set_number(L, index, "settle", sq_options_number(&o, "settle", 5, 0, 1e9));
  sq_options_function(&o, "progress");
  lua_setfield(L, index, "progress");
  int type = lua_getfield(L, index, "report");
  if (type != LUA_TTABLE && type != LUA_TNIL)
    sq_options_error(&o, "option 'report' must be a table, got %s",
                     lua_typename(L, type));
  lua_pop(L, 1);
}

/* client:rehearse_restore(snapshot, options) */
static int m_rehearse(lua_State *L) {
  enum { CLIENT = 1, SNAPSHOT, OPTIONS };
  sq_client_check(L, CLIENT);
  check_snapshot(L, SNAPSHOT);
  read_options(L, OPTIONS);
  return sq_script_call(L, "rehearsal", METHOD);
}

void sq_rehearsal_add(lua_State *L) {
  static const luaL_Reg parts[] = {{"download", sq_download_within},
                                   {"new_folder", new_folder},
                                   {"make_folder", make_folder},
                                   {"clear_folder", clear_folder},
                                   {"clock", read_clock},
                                   {"in_task", in_task},
                                   {"show", show},
                                   {NULL, NULL}};
  luaL_newmetatable(L, FOLDER);
  lua_pushcfunction(L, clear_folder);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  sq_scripts_push_core(L);
  luaL_setfuncs(L, parts, 0);
  luaL_getmetatable(L, SQ_ERROR);
  lua_setfield(L, -2, "Error");
  lua_pop(L, 1);
  lua_pushcfunction(L, m_rehearse);
  lua_setfield(L, -2, METHOD);
}
