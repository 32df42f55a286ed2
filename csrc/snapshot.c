/*
 * snapshot.c - the Snapshot record.  User value 1: a table of its fields;
 * 2: its client.
 */
#include "snapshot.h"

#include <string.h>

#include "base/isotime.h"
#include "base/url.h"
#include "client.h"
#include "download.h"
#include "endpoints.h"
#include "object.h"
#include "snapshot_info.h"

static const char *const fields[] = {
    "url",        "key",        "id", "app_id", "application_type",
    "version_id", "created_at", NULL};

static void get(lua_State *L, int index, int field) {
  sq_record_get_plain(L, index, fields[field]);
}

static void set_text(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

/* The snapshot's id is its file's name in the store, without ".zip". */
static void push_id(lua_State *L, const char *url) {
  luaL_Buffer b;
  size_t cap = strlen(url) + 1;
  char *name = luaL_buffinitsize(L, &b, cap);
  size_t n = sq_url_last_segment(name, cap, url);
  if (n > 4 && strcmp(name + n - 4, ".zip") == 0) n -= 4;
  luaL_pushresultsize(&b, n);
}

void sq_snapshot_push_version(lua_State *L, const char *key, size_t n) {
  luaL_Buffer b;
  char *version = luaL_buffinitsize(L, &b, n + 1);
  bool found = sq_query_get(key, n, "versionId", version, n + 1);
  size_t length = found ? strlen(version) : 0;
  luaL_pushresultsize(&b, length);
  if (length > 0) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

/* Stack: ..., fields. */
static void fill(lua_State *L, struct sq_call *call, const char *url,
                 const char *key) {
  char text[32];
  int64_t date = sq_request_head(call->op)->date;
  set_text(L, "url", url);
  set_text(L, "key", key);
  set_text(L, "application_type", call->database ? "database" : "app");
  push_id(L, url);
  lua_setfield(L, -2, "id");
  sq_snapshot_push_version(L, key, strlen(key));
  lua_setfield(L, -2, "version_id");
  if (date >= 0) {
    sq_time_format_iso(text, date, -1);
    set_text(L, "created_at", text);
  }
}

/* Stack: ..., Snapshot, fields.  Adds whose it is, and ties them together. */
static void complete(lua_State *L, int index) {
  lua_getiuservalue(L, index, SQ_CALL_CONTEXT);
  lua_getfield(L, -1, "app_id");
  lua_setfield(L, -3, "app_id");
  lua_pop(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_getiuservalue(L, index, SQ_CALL_KEEPS);
  lua_setiuservalue(L, -2, 2);
}

void sq_snapshot_from_info(lua_State *L, int index, int info) {
  static const char *const same[] = {
      "url", "key", "id", "application_type", "version_id", "created_at", NULL};
  lua_newuserdatauv(L, 0, 2);
  luaL_setmetatable(L, SQ_SNAPSHOT);
  lua_createtable(L, 0, 7);
  for (int i = 0; same[i]; i++) {
    lua_getfield(L, info, same[i]);
    lua_setfield(L, -2, same[i]);
  }
  complete(L, index);
}

/* Pushes response[name] and gives its text, or null when it is none or has
 * control characters. */
static const char *text_of(lua_State *L, int response, const char *name) {
  size_t n;
  if (lua_getfield(L, response, name) != LUA_TSTRING) return NULL;
  const char *text = lua_tolstring(L, -1, &n);
  return sq_text_is_plain(text, n) ? text : NULL;
}

int sq_snapshot_finish(lua_State *L, struct sq_call *call, int index) {
  int n = sq_answer_push(L, call);
  if (n > 0) return n;
  const char *url = NULL, *key = NULL;
  if (lua_getfield(L, -1, "response") == LUA_TTABLE) {
    int response = lua_gettop(L);
    url = text_of(L, response, "url");
    key = text_of(L, response, "key");
  }
  const char *problem = url && key ? sq_address_problem(url, false) : "";
  if (problem == sq_address_no_memory)
    return sq_call_error(L, call, SQ_NETWORK, "the snapshot's url %s", problem);
  if (problem)
    return sq_call_error(L, call, SQ_PROTOCOL,
                         "the answer lacks the snapshot's url or key");
  lua_newuserdatauv(L, 0, 2);
  luaL_setmetatable(L, SQ_SNAPSHOT);
  lua_createtable(L, 0, 7);
  fill(L, call, url, key);
  complete(L, index);
  return 1;
}

static int mm_tostring(lua_State *L) {
  char shown[256];
  size_t n;
  luaL_checkudata(L, 1, SQ_SNAPSHOT);
  lua_settop(L, 1);
  sq_record_get_plain(L, 1, "id");
  sq_record_get_plain(L, 1, "created_at");
  lua_getiuservalue(L, 1, 2);
  const char *id = lua_tolstring(L, 2, &n);
  sq_show(shown, sizeof shown, id, n);
  lua_pushfstring(L, SQ_SNAPSHOT " (%s, %s%s)", shown,
                  lua_isstring(L, 3) ? lua_tostring(L, 3) : "no time",
                  sq_client_is_closed(L, 4) ? ", closed" : "");
  return 1;
}

static int mm_eq(lua_State *L) {
  if (!luaL_testudata(L, 1, SQ_SNAPSHOT) || !luaL_testudata(L, 2, SQ_SNAPSHOT))
    return lua_pushboolean(L, 0), 1;
  lua_settop(L, 2);
  sq_record_get_plain(L, 1, "version_id");
  sq_record_get_plain(L, 2, "version_id");
  sq_record_get_plain(L, 1, "id");
  sq_record_get_plain(L, 2, "id");
  lua_pushboolean(
      L, !lua_isnil(L, 3) && lua_rawequal(L, 3, 4) && lua_rawequal(L, 5, 6));
  return 1;
}

void sq_snapshot_to_options(lua_State *L, int index) {
  bool info = luaL_testudata(L, index, SQ_SNAPSHOT_INFO) != NULL;
  if (!info && !luaL_testudata(L, index, SQ_SNAPSHOT)) return;
  lua_createtable(L, 0, 4);
  lua_getfield(L, index, "application_type");
  lua_setfield(L, -2, "application_type");
  lua_getfield(L, index, "version_id");
  lua_setfield(L, -2, "version_id");
  if (info)
    sq_snapshot_info_push_app_id(L, index);
  else
    lua_getfield(L, index, "app_id");
  lua_setfield(L, -2, "app_id");
  lua_getfield(L, index, "id");
  lua_setfield(L, -2, "snapshot_id");
  if (lua_getfield(L, -1, "version_id") == LUA_TNIL)
    luaL_error(L,
               "restore_snapshot: this snapshot has no version id, "
               "so it cannot be restored on its own");
  lua_pop(L, 1);
  lua_replace(L, index);
}

void sq_snapshot_setup(lua_State *L) {
  static const luaL_Reg methods[] = {{"download", sq_download_snapshot},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__tostring", mm_tostring}, {"__eq", mm_eq}, {NULL, NULL}};
  static const struct sq_record_class class = {SQ_SNAPSHOT, fields, get,
                                               methods, metamethods};
  sq_record_setup(L, &class);
}
