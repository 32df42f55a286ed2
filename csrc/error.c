/*
 * error.c - `err`: a plain table with a metatable, so that it can be read,
 * printed, concatenated and raised.  Secrets were hidden when the failure was
 * made (base/failure.c).
 */
#include "error.h"

#include <string.h>

static void set_text(lua_State *L, const char *field, const char *value) {
  if (!value || !value[0]) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, field);
}

static void set_integer(lua_State *L, const char *field, int value) {
  if (value == 0) return;
  lua_pushinteger(L, value);
  lua_setfield(L, -2, field);
}

static void set_boolean(lua_State *L, const char *field, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, field);
}

void sq_error_push(lua_State *L, const struct sq_failure *f,
                   const char *operation) {
  lua_createtable(L, 0, 10);
  set_text(L, "kind", sq_kind_name(f->kind));
  lua_pushstring(L, f->message);
  lua_setfield(L, -2, "message");
  set_text(L, "code", f->code);
  set_text(L, "operation", operation);
  set_integer(L, "http_status", f->http_status);
  set_integer(L, "curl_code", f->curl_code);
  set_integer(L, "errno", f->err_no);
  if (f->retry_after >= 0) {
    lua_pushnumber(L, f->retry_after);
    lua_setfield(L, -2, "retry_after");
  }
  set_boolean(L, "retryable", f->retryable);
  set_boolean(L, "sent", f->sent);
  luaL_setmetatable(L, SQ_ERROR);
}

int sq_error_return(lua_State *L, const struct sq_failure *f,
                    const char *operation) {
  lua_pushnil(L);
  sq_error_push(L, f, operation);
  return 2;
}

/* Adds `before`, the field and `after` to the text on the top, when the field
 * is a string or number. */
static bool add_field(lua_State *L, const char *before, const char *field,
                      const char *after) {
  lua_pushstring(L, before);
  lua_getfield(L, 1, field);
  bool there = lua_isstring(L, -1);
  if (!there) {
    lua_pop(L, 2);
    return false;
  }
  lua_pushstring(L, after);
  lua_concat(L, 4);
  return true;
}

/* operation: kind: CODE (HTTP status): message */
static int mm_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushliteral(L, "");
  add_field(L, "", "operation", ": ");
  add_field(L, "", "kind", ": ");
  bool code = add_field(L, "", "code", "");
  bool status = add_field(L, code ? " (HTTP " : "(HTTP ", "http_status", ")");
  add_field(L, code || status ? ": " : "", "message", "");
  return 1;
}

static int mm_concat(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

static int show(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

void sq_error_warn(lua_State *L, const char *what) {
  lua_pushcfunction(L, show);
  lua_insert(L, -2);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    lua_pop(L, 1);
    lua_pushliteral(L, "an error that cannot be shown");
  }
  lua_warning(L, what, 1);
  lua_warning(L, lua_tostring(L, -1), 0);
  lua_pop(L, 1);
}

void sq_error_setup(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__tostring", mm_tostring}, {"__concat", mm_concat}, {NULL, NULL}};
  luaL_newmetatable(L, SQ_ERROR);
  luaL_setfuncs(L, metamethods, 0);
  lua_pop(L, 1);
}
