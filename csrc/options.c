/*
 * options.c - see options.h.
 */
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/failure.h"
#include "base/url.h"

int sq_options_error(const struct sq_options *o, const char *format, ...) {
  va_list args;
  luaL_where(o->L, 1);
  lua_pushfstring(o->L, "%s: ", o->function);
  va_start(args, format);
  lua_pushvfstring(o->L, format, args);
  va_end(args);
  lua_concat(o->L, 3);
  return lua_error(o->L);
}

static bool is_known(const char *name, const char *const known[]) {
  for (; *known; known++)
    if (strcmp(*known, name) == 0) return true;
  return false;
}

static int refuse_unknown(const struct sq_options *o,
                          const char *const known[]) {
  lua_State *L = o->L;
  char shown[80];
  size_t n;
  const char *name = luaL_tolstring(L, -2, &n);
  sq_show(shown, sizeof shown, name, n);
  lua_pushstring(L, known[0] ? "" : "none");
  for (int i = 0; known[i]; i++) {
    lua_pushfstring(L, i ? ", %s" : "%s", known[i]);
    lua_concat(L, 2);
  }
  return sq_options_error(o, "unknown option '%s' (known: %s)", shown,
                          lua_tostring(L, -1));
}

static void check_known(const struct sq_options *o, const char *const known[]) {
  lua_State *L = o->L;
  lua_pushnil(L);
  while (lua_next(L, o->index)) {
    if (lua_type(L, -2) != LUA_TSTRING ||
        strlen(lua_tostring(L, -2)) != lua_rawlen(L, -2) ||
        !is_known(lua_tostring(L, -2), known))
      refuse_unknown(o, known);
    lua_pop(L, 1);
  }
}

/* A table of our own: what is read from it stays as it is, whatever the
 * caller, a metamethod of the caller's table or a finalizer does meanwhile. */
static void copy_known(const struct sq_options *o, const char *const known[]) {
  lua_State *L = o->L;
  lua_createtable(L, 0, 8);
  for (; *known; known++) {
    lua_getfield(L, o->index, *known);
    lua_setfield(L, -2, *known);
  }
  lua_replace(L, o->index);
}

struct sq_options sq_options_take(lua_State *L, int arg, const char *function,
                                  const char *main, bool optional,
                                  const char *const known[]) {
  struct sq_options o = {L, arg, function};
  if (lua_gettop(L) > arg) sq_options_error(&o, "takes one options table");
  lua_settop(L, arg);
  int type = lua_type(L, arg);
  if (type == LUA_TNIL && (optional || !main)) {
    lua_newtable(L);
    lua_replace(L, arg);
  } else if (type == LUA_TSTRING && main) {
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, arg);
    lua_setfield(L, -2, main);
    lua_replace(L, arg);
  } else if (type != LUA_TTABLE) {
    sq_options_error(&o, "expected a table of options%s%s, got %s",
                     main ? " or " : "", main ? main : "",
                     luaL_typename(L, arg));
  }
  check_known(&o, known);
  copy_known(&o, known);
  return o;
}

/* Pushes the value; gives its type, after raising for a wrong one. */
static int get(const struct sq_options *o, const char *name, int want,
               const char *wanted) {
  int type = lua_getfield(o->L, o->index, name);
  if (type != LUA_TNIL && type != want)
    sq_options_error(o, "option '%s' must be %s, got %s", name, wanted,
                     lua_typename(o->L, type));
  return type;
}

const char *sq_options_string(const struct sq_options *o, const char *name,
                              size_t *size) {
  const char *s = NULL;
  if (get(o, name, LUA_TSTRING, "a string") == LUA_TSTRING)
    s = lua_tolstring(o->L, -1, size);
  lua_pop(o->L, 1); /* the table keeps it */
  return s;
}

const char *sq_options_id(const struct sq_options *o, const char *name,
                          bool required) {
  size_t n;
  const char *s = sq_options_string(o, name, &n);
  if (!s) {
    if (required) sq_options_error(o, "option '%s' is missing", name);
    return NULL;
  }
  const char *problem = sq_id_problem(s, n);
  if (problem) sq_options_error(o, "option '%s' %s", name, problem);
  return s;
}

double sq_options_number(const struct sq_options *o, const char *name,
                         double otherwise, double least, double most) {
  if (get(o, name, LUA_TNUMBER, "a number") == LUA_TNUMBER)
    otherwise = lua_tonumber(o->L, -1);
  lua_pop(o->L, 1);
  if (!(otherwise >= least && otherwise <= most))
    sq_options_error(o, "option '%s' must be between %f and %f", name, least,
                     most);
  return otherwise;
}

lua_Integer sq_options_integer(const struct sq_options *o, const char *name,
                               lua_Integer otherwise, lua_Integer least,
                               lua_Integer most) {
  if (get(o, name, LUA_TNUMBER, "a whole number") == LUA_TNUMBER) {
    int whole;
    otherwise = lua_tointegerx(o->L, -1, &whole);
    if (!whole) sq_options_error(o, "option '%s' must be a whole number", name);
  }
  lua_pop(o->L, 1);
  if (otherwise < least || otherwise > most)
    sq_options_error(o, "option '%s' must be between %s", name,
                     lua_pushfstring(o->L, "%I and %I", (LUAI_UACINT)least,
                                     (LUAI_UACINT)most));
  return otherwise;
}

bool sq_options_boolean(const struct sq_options *o, const char *name,
                        bool otherwise) {
  if (get(o, name, LUA_TBOOLEAN, "true or false") == LUA_TBOOLEAN)
    otherwise = lua_toboolean(o->L, -1);
  lua_pop(o->L, 1);
  return otherwise;
}

int sq_options_choice(const struct sq_options *o, const char *name,
                      const char *const choices[], int otherwise) {
  size_t n;
  const char *s = sq_options_string(o, name, &n);
  if (!s) return otherwise;
  for (int i = 0; choices[i]; i++)
    if (strlen(choices[i]) == n && memcmp(choices[i], s, n) == 0) return i;
  lua_pushliteral(o->L, "");
  for (int i = 0; choices[i]; i++) {
    lua_pushfstring(o->L, i ? ", \"%s\"" : "\"%s\"", choices[i]);
    lua_concat(o->L, 2);
  }
  char shown[80];
  sq_show(shown, sizeof shown, s, n);
  return sq_options_error(o, "option '%s' must be one of %s, got \"%s\"", name,
                          lua_tostring(o->L, -1), shown);
}

/* Upvalue: an object that can be called. */
static int call_object(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

bool sq_options_function(const struct sq_options *o, const char *name) {
  if (lua_getfield(o->L, o->index, name) != LUA_TFUNCTION &&
      luaL_getmetafield(o->L, -1, "__call") != LUA_TNIL) {
    lua_pop(o->L, 1);
    lua_pushcclosure(o->L, call_object, 1);
    return true;
  }
  lua_pop(o->L, 1);
  return get(o, name, LUA_TFUNCTION, "a function") == LUA_TFUNCTION;
}

const char *sq_push_absolute(lua_State *L, const char *path) {
  size_t n = strlen(path);
  while (n > 1 && path[n - 1] == '/') n--;
  lua_pushlstring(L, path, n);
  if (path[0] == '/') return lua_tostring(L, -1);
  char here[PATH_MAX];
  if (!getcwd(here, sizeof here))
    luaL_error(L, "the current directory: %s", strerror(errno));
  lua_pushstring(L, here);
  bool same = n == 0 || (n == 1 && path[0] == '.');
  lua_pushfstring(L, same ? "%s" : "%s/%s", lua_tostring(L, -1),
                  lua_tostring(L, -2));
  lua_replace(L, -3);
  lua_pop(L, 1);
  return lua_tostring(L, -1);
}
