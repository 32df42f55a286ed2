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
#include "options.h"
#include "scripts.h"
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

static void set_number(lua_State *L, const char *name, lua_Number value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

/* When it was asked for, which no script sees: `begun` by sq_now, and `since`,
 * its time at the platform.  The answer's date is that of its end. */
static void set_origin(lua_State *L, struct sq_call *call, int64_t date) {
  int64_t begun, ended;
  sq_request_times(call->op, &begun, &ended);
  set_number(L, "begun", (lua_Number)begun / 1e9);
  set_number(L, "since", (lua_Number)date - (lua_Number)(ended - begun) / 1e9);
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
    set_origin(L, call, date);
  }
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
  lua_createtable(L, 0, 9);
  fill(L, call, url, key);
  lua_getiuservalue(L, index, SQ_CALL_CONTEXT);
  lua_getfield(L, -1, "app_id");
  lua_setfield(L, -3, "app_id");
  lua_pop(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_getiuservalue(L, index, SQ_CALL_KEEPS);
  lua_setiuservalue(L, -2, 2);
  return 1;
}

/* What is made in the background is not there yet when the answer comes. */
int sq_snapshot_asked_finish(lua_State *L, struct sq_call *call, int index) {
  int64_t begun, ended, date = sq_request_head(call->op)->date;
  int n = sq_snapshot_finish(L, call, index);
  sq_request_times(call->op, &begun, &ended);
  if (date >= 0)
    lua_pushinteger(L, (lua_Integer)date);
  else
    lua_pushnil(L);
  lua_pushnumber(L, (lua_Number)begun / 1e9);
  return n + 2;
}

/* core.new_snapshot(info, app_id, since, begun): the Snapshot that is the same,
 * with its origin. */
static int new_from_info(lua_State *L) {
  static const char *const same[] = {
      "url", "key", "id", "application_type", "version_id", "created_at", NULL};
  enum { INFO = 1, APP_ID, SINCE, BEGUN };
  luaL_checkudata(L, INFO, SQ_SNAPSHOT_INFO);
  lua_settop(L, BEGUN);
  lua_newuserdatauv(L, 0, 2);
  luaL_setmetatable(L, SQ_SNAPSHOT);
  lua_createtable(L, 0, 9);
  for (int i = 0; same[i]; i++) {
    lua_getfield(L, INFO, same[i]);
    lua_setfield(L, -2, same[i]);
  }
  lua_pushvalue(L, APP_ID);
  lua_setfield(L, -2, "app_id");
  lua_pushvalue(L, SINCE);
  lua_setfield(L, -2, "since");
  lua_pushvalue(L, BEGUN);
  lua_setfield(L, -2, "begun");
  lua_setiuservalue(L, -2, 1);
  sq_snapshot_info_push_client(L, INFO);
  lua_setiuservalue(L, -2, 2);
  return 1;
}

/* core.origin(snapshot): its `since` and `begun`; nil when not known. */
static int push_origin(lua_State *L) {
  luaL_checkudata(L, 1, SQ_SNAPSHOT);
  sq_record_get_plain(L, 1, "since");
  sq_record_get_plain(L, 1, "begun");
  return 2;
}

/* snapshot:resolve([options]) */
static int m_resolve(lua_State *L) {
  static const char *const known[] = {"wait", "progress", NULL};
  enum { CLIENT = 1, SNAPSHOT, OPTIONS };
  luaL_checkudata(L, 1, SQ_SNAPSHOT);
  lua_getiuservalue(L, 1, 2);
  lua_insert(L, CLIENT);
  sq_client_check(L, CLIENT); /* "closed" comes before what else is wrong */
  struct sq_options o =
      sq_options_take(L, OPTIONS, "resolve", NULL, true, known);
  sq_endpoint_wait(&o);
  return sq_script_call(L, "waiting", "resolve");
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

static bool is_snapshot(lua_State *L, int index) {
  return luaL_testudata(L, index, SQ_SNAPSHOT) ||
         luaL_testudata(L, index, SQ_SNAPSHOT_INFO);
}

int sq_snapshot_eq(lua_State *L) {
  if (!is_snapshot(L, 1) || !is_snapshot(L, 2)) return lua_pushboolean(L, 0), 1;
  lua_settop(L, 2);
  lua_getfield(L, 1, "version_id");
  lua_getfield(L, 2, "version_id");
  lua_getfield(L, 1, "id");
  lua_getfield(L, 2, "id");
  lua_pushboolean(
      L, !lua_isnil(L, 3) && lua_rawequal(L, 3, 4) && lua_rawequal(L, 5, 6));
  return 1;
}

bool sq_snapshot_lacks_version(lua_State *L, int index) {
  if (!luaL_testudata(L, index, SQ_SNAPSHOT)) return false;
  sq_record_get_plain(L, index, "version_id");
  bool lacks = lua_isnil(L, -1);
  lua_pop(L, 1);
  return lacks;
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
  static const luaL_Reg methods[] = {
      {"download", sq_download_snapshot}, {"resolve", m_resolve}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__tostring", mm_tostring}, {"__eq", sq_snapshot_eq}, {NULL, NULL}};
  static const luaL_Reg parts[] = {
      {"new_snapshot", new_from_info}, {"origin", push_origin}, {NULL, NULL}};
  static const struct sq_record_class class = {SQ_SNAPSHOT, fields, get,
                                               methods, metamethods};
  sq_record_setup(L, &class);
  sq_scripts_push_core(L);
  luaL_setfuncs(L, parts, 0);
  lua_pop(L, 1);
}
