/*
 * zip_file.c - the ZipFile.
 *
 * It owns one reference of a sq_zip; work under way has its own.  User
 * values: 1 a table of its plain fields, which outlive `close`; 2 the state's
 * engine.  Whatever reads the file runs on the engine's threads.
 */
#include "zip_file.h"

#include <limits.h>
#include <string.h>

#include "call.h"
#include "object.h"
#include "options.h"

enum { READ_MAX = 1 << 30 };

struct zip_file {
  struct sq_zip *zip; /* null while closed */
  struct sq_state *state;
  bool loaded; /* its directory was read */
};

static const char *const fields[] = {"path", "bytes", "etag", NULL};

static void get(lua_State *L, int index, int field) {
  sq_record_get_plain(L, index, fields[field]);
}

static struct zip_file *push_closed(lua_State *L) {
  struct zip_file *z = lua_newuserdatauv(L, sizeof *z, 2);
  memset(z, 0, sizeof *z);
  luaL_setmetatable(L, SQ_ZIP_FILE);
  lua_createtable(L, 0, 3);
  lua_setiuservalue(L, -2, 1);
  z->state = sq_state_push(L);
  lua_setiuservalue(L, -2, 2);
  return z;
}

/* Stack: ..., ZipFile.  Fills its plain fields. */
static void fill(lua_State *L, struct sq_zip *zip, const char *etag) {
  lua_getiuservalue(L, -1, 1);
  lua_pushstring(L, sq_zip_path(zip));
  lua_setfield(L, -2, "path");
  lua_pushinteger(L, sq_zip_size(zip));
  lua_setfield(L, -2, "bytes");
  if (etag[0]) {
    lua_pushstring(L, etag);
    lua_setfield(L, -2, "etag");
  }
  lua_pop(L, 1);
}

static struct zip_file *check_at(lua_State *L, int index) {
  struct zip_file *z = luaL_checkudata(L, index, SQ_ZIP_FILE);
  if (!z->zip) luaL_error(L, "the ZIP file is closed");
  sq_state_check(L, z->state);
  return z;
}

static struct zip_file *check(lua_State *L) { return check_at(L, 1); }

struct sq_zip *sq_zip_file_check(lua_State *L, int index) {
  return check_at(L, index)->zip;
}

/* The same, with nothing but the object given. */
static struct zip_file *check_alone(lua_State *L, const char *method) {
  struct zip_file *z = check(L);
  if (lua_gettop(L) > 1) luaL_error(L, "%s takes no arguments", method);
  return z;
}

/* ---- work ------------------------------------------------------------- */

/* Runs `task` for the ZipFile at 1; its results are `finish`'s. */
static int work(lua_State *L, struct zip_file *z, const char *method,
                const struct sq_zip_options *o, sq_finish finish) {
  sq_record_get_plain(L, 1, "path"); /* outlives a close by a finalizer */
  const char *path = lua_tostring(L, -1), *slash = strrchr(path, '/');
  sq_call_push(L, z->state, method, slash ? slash + 1 : path, 1);
  check(L); /* a finalizer may have closed it meanwhile */
  return sq_call_run(L, lua_gettop(L), sq_zip_op_new(z->zip, o), finish);
}

/* The ZipFile of a call whose work has read the directory. */
static struct zip_file *loaded(lua_State *L, int index) {
  lua_getiuservalue(L, index, SQ_CALL_KEEPS);
  struct zip_file *z = lua_touserdata(L, -1);
  z->loaded = true;
  return z;
}

/* A method that needs no more than the directory: at once when it is there,
 * else after a load. */
static int with_directory(lua_State *L, struct zip_file *z, const char *method,
                          sq_finish finish) {
  struct sq_zip_options o = {.task = SQ_ZIP_LOAD};
  if (z->loaded) {
    lua_pushvalue(L, 1);
    return finish(L, NULL, lua_gettop(L));
  }
  return work(L, z, method, &o, finish);
}

/* For the finish functions of with_directory: the ZipFile, or null after a
 * failure (then *n results are pushed) or a close meanwhile. */
static struct zip_file *opened(lua_State *L, struct sq_call *call, int index,
                               int *n) {
  struct zip_file *z;
  if (!call) return lua_touserdata(L, index);
  if (sq_op_failure(call->op)->kind != SQ_OK) {
    *n = sq_call_failed(L, call);
    return NULL;
  }
  z = loaded(L, index);
  if (!z->zip) {
    *n = sq_call_error(L, call, SQ_CLOSED, "the ZIP file was closed");
    return NULL;
  }
  return z;
}

/* ---- names, entries --------------------------------------------------- */

static int finish_names(lua_State *L, struct sq_call *call, int index) {
  int n = 0;
  struct zip_file *z = opened(L, call, index, &n);
  if (!z) return n;
  size_t count = sq_zip_count(z->zip);
  lua_createtable(L, count < INT_MAX ? (int)count : 0, 0);
  for (size_t i = 0; i < count; i++) {
    if (!z->zip) return luaL_error(L, "the ZIP file is closed");
    lua_pushstring(L, sq_zip_get(z->zip, i)->name);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int m_names(lua_State *L) {
  struct zip_file *z = check_alone(L, "names");
  return with_directory(L, z, "names", finish_names);
}

static void push_entry(lua_State *L, const struct sq_zip_entry *e) {
  lua_createtable(L, 0, 6);
  lua_pushinteger(L, (lua_Integer)e->bytes);
  lua_setfield(L, -2, "bytes");
  lua_pushinteger(L, (lua_Integer)e->compressed);
  lua_setfield(L, -2, "compressed");
  lua_pushinteger(L, e->crc);
  lua_setfield(L, -2, "crc");
  lua_pushinteger(L, e->modified);
  lua_setfield(L, -2, "modified");
  lua_pushboolean(L, e->directory);
  lua_setfield(L, -2, "directory");
  lua_pushboolean(L, e->encrypted);
  lua_setfield(L, -2, "encrypted");
}

/* Upvalues: the ZipFile, the number of entries given. */
static int next_entry(lua_State *L) {
  struct zip_file *z = lua_touserdata(L, lua_upvalueindex(1));
  lua_Integer i = lua_tointeger(L, lua_upvalueindex(2));
  if (!z->zip) return luaL_error(L, "the ZIP file is closed");
  if ((size_t)i >= sq_zip_count(z->zip)) return 0;
  /* copied: making the results may run a finalizer that closes the file */
  struct sq_zip_entry e = *sq_zip_get(z->zip, (size_t)i);
  lua_pushstring(L, e.name);
  lua_pushinteger(L, i + 1);
  lua_replace(L, lua_upvalueindex(2));
  push_entry(L, &e);
  return 2;
}

static int finish_entries(lua_State *L, struct sq_call *call, int index) {
  int n = 0;
  struct zip_file *z = opened(L, call, index, &n);
  if (!z) return n;
  if (call)
    lua_getiuservalue(L, index, SQ_CALL_KEEPS);
  else
    lua_pushvalue(L, index);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_entry, 2);
  return 1;
}

static int m_entries(lua_State *L) {
  struct zip_file *z = check_alone(L, "entries");
  return with_directory(L, z, "entries", finish_entries);
}

static int finish_length(lua_State *L, struct sq_call *call, int index) {
  int n = 0;
  struct zip_file *z = opened(L, call, index, &n);
  if (!z) return lua_error(L); /* the error object is on the top */
  lua_pushinteger(L, (lua_Integer)sq_zip_count(z->zip));
  return 1;
}

static int mm_len(lua_State *L) {
  lua_settop(L, 1); /* Lua passes the operand twice */
  return with_directory(L, check(L), "length", finish_length);
}

/* ---- read, test, extract ---------------------------------------------- */

static int finish_read(lua_State *L, struct sq_call *call, int index) {
  if (sq_op_failure(call->op)->kind != SQ_OK) return sq_call_failed(L, call);
  loaded(L, index);
  const struct sq_buf *data = sq_zip_op_data(call->op);
  lua_pushlstring(L, data->data ? data->data : "", data->size);
  return 1;
}

static int m_read(lua_State *L) {
  struct zip_file *z = check(L);
  size_t n;
  if (lua_gettop(L) != 2 || lua_type(L, 2) != LUA_TSTRING)
    return luaL_error(L, "read: expected the name of an entry");
  struct sq_zip_options o = {.task = SQ_ZIP_READ, .max_bytes = READ_MAX};
  o.name = lua_tolstring(L, 2, &n);
  if (strlen(o.name) != n)
    return luaL_error(L, "read: the name of an entry contains a NUL");
  return work(L, z, "read", &o, finish_read);
}

static int finish_test(lua_State *L, struct sq_call *call, int index) {
  if (sq_op_failure(call->op)->kind != SQ_OK) return sq_call_failed(L, call);
  loaded(L, index);
  lua_pushboolean(L, 1);
  lua_pushinteger(L, (lua_Integer)sq_zip_op_count(call->op));
  return 2;
}

static int m_test(lua_State *L) {
  struct sq_zip_options o = {.task = SQ_ZIP_TEST};
  return work(L, check_alone(L, "test"), "test", &o, finish_test);
}

static int finish_extract(lua_State *L, struct sq_call *call, int index) {
  if (sq_op_failure(call->op)->kind != SQ_OK) return sq_call_failed(L, call);
  loaded(L, index);
  lua_pushinteger(L, (lua_Integer)sq_zip_op_count(call->op));
  return 1;
}

static void read_limits(lua_State *L, struct sq_zip_limits *limits) {
  static const char *const known[] = {"max_bytes", "max_entries", "overwrite",
                                      NULL};
  struct sq_options o = sq_options_take(L, 3, "extract", NULL, true, known);
  limits->max_bytes =
      (uint64_t)sq_options_integer(&o, "max_bytes", 0, 0, LUA_MAXINTEGER);
  limits->max_entries =
      (uint64_t)sq_options_integer(&o, "max_entries", 0, 0, LUA_MAXINTEGER);
  limits->overwrite = sq_options_boolean(&o, "overwrite", false);
}

static int m_extract(lua_State *L) {
  struct zip_file *z = check(L);
  size_t n;
  struct sq_zip_options o = {.task = SQ_ZIP_EXTRACT};
  if (lua_type(L, 2) != LUA_TSTRING)
    return luaL_error(L, "extract: expected a directory, got %s",
                      luaL_typename(L, 2));
  const char *dir = lua_tolstring(L, 2, &n);
  if (n == 0 || strlen(dir) != n)
    return luaL_error(L, "extract: the directory is empty or contains a NUL");
  read_limits(L, &o.limits);
  o.path = sq_push_absolute(L, dir);
  return work(L, z, "extract", &o, finish_extract);
}

/* ---- making and closing ----------------------------------------------- */

void sq_zip_file_push(lua_State *L, struct sq_op *download) {
  struct zip_file *z = push_closed(L); /* may raise: so it comes first */
  z->zip = sq_download_take_zip(download);
  fill(L, z->zip, sq_download_etag(download));
}

static int finish_open(lua_State *L, struct sq_call *call, int index) {
  if (sq_op_failure(call->op)->kind != SQ_OK) return sq_call_failed(L, call);
  struct zip_file *z = loaded(L, index);
  z->zip = sq_zip_op_take_zip(call->op);
  fill(L, z->zip, "");
  return 1;
}

int sq_zip_file_open(lua_State *L) {
  size_t n;
  if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING)
    return luaL_error(L, "open_zip: expected the path of a file");
  const char *given = lua_tolstring(L, 1, &n);
  if (n == 0 || strlen(given) != n)
    return luaL_error(L, "open_zip: the path is empty or contains a NUL");
  const char *path = sq_push_absolute(L, given);
  struct sq_zip_options o = {.task = SQ_ZIP_LOAD, .path = path};
  struct zip_file *z = push_closed(L);
  sq_state_check(L, z->state);
  const char *slash = strrchr(path, '/');
  sq_call_push(L, z->state, "open_zip", slash + 1, -1);
  return sq_call_run(L, lua_gettop(L), sq_zip_op_new(NULL, &o), finish_open);
}

/* Serves close, __close and __gc; a second time does nothing. */
static int m_close(lua_State *L) {
  struct zip_file *z = luaL_checkudata(L, 1, SQ_ZIP_FILE);
  struct sq_zip *zip = z->zip;
  z->zip = NULL;
  if (zip) sq_zip_release(zip);
  return 0;
}

static int mm_tostring(lua_State *L) {
  struct zip_file *z = luaL_checkudata(L, 1, SQ_ZIP_FILE);
  char shown[512];
  sq_record_get_plain(L, 1, "path");
  size_t n = 0;
  const char *path = lua_tolstring(L, -1, &n);
  sq_show(shown, sizeof shown, path ? path : "", n);
  lua_pushfstring(L, SQ_ZIP_FILE " (%s%s)", shown, z->zip ? "" : ", closed");
  return 1;
}

void sq_zip_file_setup(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"names", m_names}, {"entries", m_entries}, {"read", m_read},
      {"test", m_test},   {"extract", m_extract}, {"close", m_close},
      {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", m_close},
                                         {"__gc", m_close},
                                         {"__len", mm_len},
                                         {"__tostring", mm_tostring},
                                         {NULL, NULL}};
  static const struct sq_record_class class = {SQ_ZIP_FILE, fields, get,
                                               methods, metamethods};
  sq_record_setup(L, &class);
}
