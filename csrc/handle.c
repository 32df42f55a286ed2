/*
 * handle.c - the Handle record: a client and an id, so that neither has to
 * be said again.  User value 1: a table of its fields; 2: its client.
 */
#include "handle.h"

#include <string.h>

#include "base/url.h"
#include "client.h"
#include "endpoints.h"
#include "object.h"

static const char *const fields[] = {"id", "application_type", NULL};

static void get(lua_State *L, int index, int field) {
  sq_record_get_plain(L, index, fields[field]);
}

static int make(lua_State *L, const char *method, const char *type) {
  size_t n;
  sq_client_check(L, 1);
  if (lua_gettop(L) > 2) return luaL_error(L, "%s: takes one id", method);
  if (lua_type(L, 2) != LUA_TSTRING)
    return luaL_error(L, "%s: the id must be a string, got %s", method,
                      luaL_typename(L, 2));
  const char *id = lua_tolstring(L, 2, &n);
  const char *problem = sq_id_problem(id, n);
  if (problem) return luaL_error(L, "%s: the id %s", method, problem);
  lua_newuserdatauv(L, 0, 2);
  luaL_setmetatable(L, SQ_HANDLE);
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "id");
  lua_pushstring(L, type);
  lua_setfield(L, -2, "application_type");
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 2);
  return 1;
}

int sq_handle_app(lua_State *L) { return make(L, "app", "app"); }
int sq_handle_database(lua_State *L) { return make(L, "database", "database"); }

/* Calls the client's method with the handle's id added to the options. */
static int call(lua_State *L, const char *method, const char *function,
                const char *const known[]) {
  luaL_checkudata(L, 1, SQ_HANDLE);
  lua_getiuservalue(L, 1, 2);
  sq_client_check(L, -1); /* "closed" comes before what else is wrong */
  lua_pop(L, 1);
  struct sq_options o = sq_options_take(L, 2, function, NULL, true, known);
  sq_options_id(&o, "account_id", false); /* called otherwise down there */
  lua_newtable(L); /* the caller's table stays as it is */
  for (int i = 0; known[i]; i++) {
    lua_getfield(L, o.index, known[i]);
    lua_setfield(L, -2, known[i]);
  }
  sq_record_get_plain(L, 1, "id");
  lua_setfield(L, -2, "app_id");
  sq_record_get_plain(L, 1, "application_type");
  lua_setfield(L, -2, "application_type");
  lua_replace(L, 2);
  lua_getiuservalue(L, 1, 2);
  lua_replace(L, 1);
  return sq_endpoint_call(L, method);
}

static int m_snapshot(lua_State *L) {
  static const char *const known[] = {"wait", "progress", NULL};
  return call(L, "snapshot", "snapshot", known);
}

static int m_all_snapshots(lua_State *L) {
  static const char *const known[] = {"account_id", NULL};
  return call(L, "all_app_snapshots", "all_snapshots", known);
}

static int m_restore_snapshot(lua_State *L) {
  static const char *const known[] = {"snapshot_id", "version_id", "wait",
                                      "progress", NULL};
  return call(L, "restore_snapshot", "restore_snapshot", known);
}

static int mm_tostring(lua_State *L) {
  char shown[256];
  size_t n;
  luaL_checkudata(L, 1, SQ_HANDLE);
  lua_settop(L, 1);
  sq_record_get_plain(L, 1, "application_type");
  sq_record_get_plain(L, 1, "id");
  lua_getiuservalue(L, 1, 2);
  const char *id = lua_tolstring(L, 3, &n);
  sq_show(shown, sizeof shown, id, n);
  lua_pushfstring(L, SQ_HANDLE " (%s %s%s)", lua_tostring(L, 2), shown,
                  sq_client_is_closed(L, 4) ? ", closed" : "");
  return 1;
}

static int mm_eq(lua_State *L) {
  if (!luaL_testudata(L, 1, SQ_HANDLE) || !luaL_testudata(L, 2, SQ_HANDLE))
    return lua_pushboolean(L, 0), 1;
  for (int i = 1; i <= 2; i++) {
    sq_record_get_plain(L, i, "application_type");
    sq_record_get_plain(L, i, "id");
    lua_getiuservalue(L, i, 2);
  }
  lua_pushboolean(L, lua_rawequal(L, 3, 6) && lua_rawequal(L, 4, 7) &&
                         lua_rawequal(L, 5, 8));
  return 1;
}

void sq_handle_setup(lua_State *L) {
  static const luaL_Reg methods[] = {{"snapshot", m_snapshot},
                                     {"all_snapshots", m_all_snapshots},
                                     {"restore_snapshot", m_restore_snapshot},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__tostring", mm_tostring}, {"__eq", mm_eq}, {NULL, NULL}};
  static const struct sq_record_class class = {SQ_HANDLE, fields, get, methods,
                                               metamethods};
  sq_record_setup(L, &class);
}
