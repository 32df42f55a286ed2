/*
 * snapshot_info.c - the SnapshotInfo record.
 *
 * A listing can have ten thousand entries, so an entry is made of what is
 * there: user value 1 is the table as it was decoded, 2 a table that all
 * entries of the listing share (the CONTEXT_ fields).  Fields are made when
 * they are read; what they need was checked when the listing came.
 */
#include "snapshot_info.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/isotime.h"
#include "base/url.h"
#include "client.h"
#include "download.h"
#include "endpoints.h"
#include "json.h"
#include "object.h"
#include "options.h"
#include "scripts.h"
#include "seen.h"
#include "snapshot.h"

enum { CONTEXT_CLIENT = 1, CONTEXT_TYPE, CONTEXT_PREFIX, CONTEXT_APP_ID };
#define KEPT_SECONDS (INT64_C(30) * 86400)
#define RECENT INT64_C(600) /* seconds: more than clocks differ */

enum field {
  F_ID,
  F_SIZE,
  F_CREATED_AT,
  F_NAME,
  F_MODIFIED,
  F_BYTES,
  F_TIMESTAMP,
  F_EXPIRES_AT,
  F_KEY,
  F_VERSION_ID,
  F_URL,
  F_APPLICATION_TYPE
};

static const char *const fields[] = {
    "id",       "size",       "created_at", "name",
    "modified", "bytes",      "timestamp",  "expires_at",
    "key",      "version_id", "url",        "application_type",
    NULL};

/* ---- the entry as it was decoded -------------------------------------- */

/* Pushes entry[wire], or entry[guide] as the platform's guide has it; gives
 * the type, LUA_TNIL for null too. */
static int get_either(lua_State *L, int entry, const char *wire,
                      const char *guide) {
  int type = lua_getfield(L, entry, wire);
  if (type == LUA_TSTRING || type == LUA_TNUMBER) return type;
  if (guide && sq_json_is_null(L, -1)) {
    lua_pop(L, 1);
    type = lua_getfield(L, entry, guide);
  }
  return sq_json_is_null(L, -1) ? LUA_TNIL : type;
}

static const char *text_of(lua_State *L, int entry, const char *wire,
                           const char *guide, size_t *n) {
  if (n) *n = 0;
  if (get_either(L, entry, wire, guide) != LUA_TSTRING) return NULL;
  return lua_tolstring(L, -1, n);
}

/* The size as an integer; -1 when it is none.  Pops nothing it pushed. */
static lua_Integer size_of(lua_State *L, int entry) {
  int whole;
  int type = get_either(L, entry, "size", NULL);
  if (type != LUA_TNUMBER && type != LUA_TSTRING) return -1;
  lua_Integer size = lua_tointegerx(L, -1, &whole);
  return whole ? size : -1;
}

static bool time_of(lua_State *L, int entry, struct sq_time *t) {
  size_t n;
  const char *s = text_of(L, entry, "modified", "created_at", &n);
  return s && sq_time_parse_iso(s, n, t);
}

/* Null, or what is wrong with the entry. */
static const char *problem_of(lua_State *L, int entry) {
  struct sq_time t;
  size_t n;
  if (!lua_istable(L, entry)) return "it is not an object";
  const char *name = text_of(L, entry, "name", "id", &n);
  if (!name || sq_id_problem(name, n)) return "its name is missing or wrong";
  if (size_of(L, entry) < 0) return "its size is missing or wrong";
  if (!time_of(L, entry, &t)) return "its time is missing or wrong";
  const char *key = text_of(L, entry, "key", NULL, &n);
  if (!key || !sq_text_is_plain(key, n) || strchr(key, ' '))
    return "its key is missing or wrong";
  lua_pop(L, 4);
  return NULL;
}

/* Pushes a message that names the entry: its place in the list, and its id
 * where it has one. */
static void push_problem(lua_State *L, int entry, lua_Integer place,
                         const char *problem) {
  char id[128], text[256];
  size_t n = 0;
  const char *name =
      lua_istable(L, entry) ? text_of(L, entry, "name", "id", &n) : NULL;
  sq_show(id, sizeof id, name, n);
  snprintf(text, sizeof text, "entry %lld%s%s%s: %s", (long long)place,
           n > 0 ? " (id " : "", id, n > 0 ? ")" : "", problem);
  lua_pushstring(L, text);
}

/* ---- fields ----------------------------------------------------------- */

static void push_version(lua_State *L, int entry) {
  size_t n;
  const char *key = text_of(L, entry, "key", NULL, &n);
  sq_snapshot_push_version(L, key, n);
}

static void push_expiry(lua_State *L, int entry) {
  struct sq_time t = {0, 0};
  char text[32];
  time_of(L, entry, &t);
  bool fraction = strchr(lua_tostring(L, -1), '.') != NULL;
  sq_time_format_iso(text, t.seconds + KEPT_SECONDS,
                     fraction ? (int)(t.nanos / 1000000) : -1);
  lua_pushstring(L, text);
}

static void push_timestamp(lua_State *L, int entry) {
  struct sq_time t = {0, 0};
  time_of(L, entry, &t);
  lua_pushnumber(L, (lua_Number)t.seconds + (lua_Number)t.nanos / 1e9);
}

static void push_context(lua_State *L, int index, int field) {
  lua_getiuservalue(L, index, 2);
  lua_rawgeti(L, -1, field);
}

/* As one path segment. */
static const char *push_encoded(lua_State *L, const char *s, size_t n) {
  luaL_Buffer b;
  char *encoded = luaL_buffinitsize(L, &b, 3 * n + 1);
  luaL_pushresultsize(&b, sq_url_encode(encoded, 3 * n + 1, s, n));
  return lua_tostring(L, -1);
}

static void push_url(lua_State *L, int index, int entry) {
  size_t n;
  const char *name = text_of(L, entry, "name", "id", &n);
  const char *encoded = push_encoded(L, name, n);
  push_context(L, index, CONTEXT_PREFIX);
  const char *prefix = lua_tostring(L, -1);
  lua_pushfstring(L, "%s%s.zip?%s", prefix, encoded,
                  text_of(L, entry, "key", NULL, NULL));
}

static void get(lua_State *L, int index, int field) {
  int top = lua_gettop(L), entry = top + 1;
  lua_getiuservalue(L, index, 1);
  switch ((enum field)field) {
    case F_ID:
    case F_NAME:
      get_either(L, entry, "name", "id");
      break;
    case F_SIZE:
      lua_pushfstring(L, "%I", (LUAI_UACINT)size_of(L, entry));
      break;
    case F_BYTES:
      lua_pushinteger(L, size_of(L, entry));
      break;
    case F_CREATED_AT:
    case F_MODIFIED:
      get_either(L, entry, "modified", "created_at");
      break;
    case F_TIMESTAMP:
      push_timestamp(L, entry);
      break;
    case F_EXPIRES_AT:
      push_expiry(L, entry);
      break;
    case F_KEY:
      lua_getfield(L, entry, "key");
      break;
    case F_VERSION_ID:
      push_version(L, entry);
      break;
    case F_URL:
      push_url(L, index, entry);
      break;
    case F_APPLICATION_TYPE:
      push_context(L, index, CONTEXT_TYPE);
      break;
  }
  lua_replace(L, entry);
  lua_settop(L, entry);
}

void sq_snapshot_info_push_client(lua_State *L, int index) {
  push_context(L, index, CONTEXT_CLIENT);
  lua_remove(L, -2);
}

/* A listing of the whole account does not say whose an entry is, but its
 * name does: a database's may have its type behind an underscore. */
void sq_snapshot_info_push_app_id(lua_State *L, int index) {
  push_context(L, index, CONTEXT_APP_ID);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_getfield(L, index, "application_type");
  bool database = strcmp(lua_tostring(L, -1), "database") == 0;
  lua_getfield(L, index, "id");
  const char *id = lua_tostring(L, -1), *type = strrchr(id, '_');
  if (database && type && type > id) {
    lua_pushlstring(L, id, (size_t)(type - id));
    lua_remove(L, -2);
  }
  lua_remove(L, -2);
}

/* ---- a listing -------------------------------------------------------- */

/* Pushes what the entries share. */
static void push_shared(lua_State *L, struct sq_call *call, int index) {
  lua_createtable(L, 4, 0);
  int shared = lua_gettop(L);
  lua_getiuservalue(L, index, SQ_CALL_KEEPS);
  int client = lua_gettop(L);
  const char *store = sq_client_push_address(L, client, "snapshots_url");
  lua_getiuservalue(L, index, SQ_CALL_CONTEXT);
  lua_getfield(L, -1, "account_id");
  const char *account = lua_tostring(L, -1);
  lua_pushfstring(L, "%s/%s/%s/", store,
                  call->database ? "databases" : "applications",
                  push_encoded(L, account, strlen(account)));
  lua_rawseti(L, shared, CONTEXT_PREFIX);
  lua_pushstring(L, call->database ? "database" : "app");
  lua_rawseti(L, shared, CONTEXT_TYPE);
  lua_getiuservalue(L, index, SQ_CALL_CONTEXT);
  lua_getfield(L, -1, "app_id");
  lua_rawseti(L, shared, CONTEXT_APP_ID);
  lua_pushvalue(L, client);
  lua_rawseti(L, shared, CONTEXT_CLIENT);
  lua_settop(L, shared);
}

/* Stack on entry: what all entries share, the class, the entry.  Puts a record
 * in the entry's place. */
static void make_record(lua_State *L, int shared) {
  lua_newuserdatauv(L, 0, 2);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, shared);
  lua_setiuservalue(L, -2, 2);
  lua_pushvalue(L, shared + 1);
  lua_setmetatable(L, -2);
}

/* Makes the decoded list the result: the entries become records, and those
 * that cannot be read messages in a table behind it, at `problems`.  Gives the
 * number of records. */
static lua_Integer make_records(lua_State *L, int list, int shared,
                                int problems) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, list), good = 0, bad = 0;
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, list, i);
    int entry = lua_gettop(L);
    const char *problem = problem_of(L, entry);
    if (problem) {
      push_problem(L, entry, i, problem);
      lua_rawseti(L, problems, ++bad);
    } else {
      make_record(L, shared);
      lua_rawseti(L, list, ++good);
    }
    lua_settop(L, problems);
  }
  for (lua_Integer i = count; i > good; i--) {
    lua_pushnil(L);
    lua_rawseti(L, list, i);
  }
  return good;
}

/* Notes what the list on the top shows to the call's client, but for what is
 * older than the listing: nothing made from now on can be taken for that. */
static void remember(lua_State *L, struct sq_call *call, int index) {
  int list = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  int64_t begun, ended, date = sq_request_head(call->op)->date;
  if (date < 0) date = (int64_t)time(NULL);
  sq_request_times(call->op, &begun, &ended);
  lua_getiuservalue(L, index, SQ_CALL_KEEPS);
  for (lua_Integer i = 1; i <= count; i++) {
    struct sq_time t = {0, 0};
    lua_rawgeti(L, list, i);
    int info = lua_gettop(L);
    lua_getiuservalue(L, info, 1);
    bool recent = time_of(L, info + 1, &t) && t.seconds >= date - RECENT;
    lua_settop(L, info);
    if (recent) sq_seen_note(L, list + 1, ended);
    lua_settop(L, list + 1);
  }
  lua_settop(L, list);
}

int sq_snapshot_infos_finish(lua_State *L, struct sq_call *call, int index) {
  int n = sq_answer_push(L, call);
  if (n > 0) return n;
  if (lua_getfield(L, -1, "response") != LUA_TTABLE)
    return sq_call_error(L, call, SQ_PROTOCOL, "the answer is not a list");
  int list = lua_gettop(L), shared = list + 1, problems = list + 3;
  lua_pushnil(L);
  if (lua_rawlen(L, list) == 0 && lua_next(L, list))
    return sq_call_error(L, call, SQ_PROTOCOL, "the answer is not a list");
  lua_settop(L, list);
  push_shared(L, call, index);
  luaL_getmetatable(L, SQ_SNAPSHOT_INFO);
  lua_newtable(L);
  lua_Integer good = make_records(L, list, shared, problems);
  if (lua_rawgeti(L, problems, 1) == LUA_TSTRING) {
    if (good == 0)
      return sq_call_error(L, call, SQ_PROTOCOL,
                           "nothing in the list can be read: %s",
                           lua_tostring(L, -1));
    lua_pushvalue(L, problems);
    lua_setfield(L, list, "problems");
  }
  lua_settop(L, list);
  remember(L, call, index);
  return 1;
}

/* ---- methods ---------------------------------------------------------- */

static int m_restore(lua_State *L) {
  static const char *const known[] = {"wait", "progress", NULL};
  enum { INFO = 1, OPTIONS };
  luaL_checkudata(L, INFO, SQ_SNAPSHOT_INFO);
  sq_snapshot_info_push_client(L, INFO);
  sq_client_check(L, -1); /* "closed" comes before what else is wrong */
  lua_pop(L, 1);
  struct sq_options o =
      sq_options_take(L, OPTIONS, "restore", NULL, true, known);
  sq_endpoint_wait(&o);
  lua_pushvalue(L, INFO);
  sq_snapshot_to_options(L, lua_gettop(L));
  for (int i = 0; known[i]; i++) {
    lua_getfield(L, OPTIONS, known[i]);
    lua_setfield(L, -2, known[i]);
  }
  lua_replace(L, OPTIONS);
  sq_snapshot_info_push_client(L, INFO);
  lua_replace(L, INFO);
  return sq_endpoint_call(L, "restore_snapshot");
}

static int mm_tostring(lua_State *L) {
  luaL_checkudata(L, 1, SQ_SNAPSHOT_INFO);
  lua_settop(L, 1);
  get(L, 1, F_ID);
  get(L, 1, F_CREATED_AT);
  get(L, 1, F_SIZE);
  sq_snapshot_info_push_client(L, 1);
  char id[256], time[64];
  size_t n;
  const char *s = lua_tolstring(L, 2, &n);
  sq_show(id, sizeof id, s, n);
  s = lua_tolstring(L, 3, &n);
  sq_show(time, sizeof time, s, n);
  lua_pushfstring(L, SQ_SNAPSHOT_INFO " (%s, %s, %s bytes%s)", id, time,
                  lua_tostring(L, 4),
                  sq_client_is_closed(L, 5) ? ", closed" : "");
  return 1;
}

void sq_snapshot_info_setup(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"download", sq_download_info}, {"restore", m_restore}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__tostring", mm_tostring}, {"__eq", sq_snapshot_eq}, {NULL, NULL}};
  static const struct sq_record_class class = {SQ_SNAPSHOT_INFO, fields, get,
                                               methods, metamethods};
  sq_record_setup(L, &class);
}
