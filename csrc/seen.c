/*
 * seen.c - see seen.h.  A client's user value is a table of two tables, from a
 * snapshot's name to the seconds by sq_now: what comes goes into the newer one;
 * when that is full it becomes the older one, whose place it takes.
 */
#include "seen.h"

#include <lauxlib.h>

#include "client.h"
#include "object.h"

enum { NEWER = 1, OLDER, COUNT };
enum { MOST = 1000 }; /* in each */

/* Pushes the client's two tables' table. */
static void push_seen(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (lua_getiuservalue(L, index, SQ_CLIENT_SEEN) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_createtable(L, COUNT, 0);
  lua_newtable(L);
  lua_rawseti(L, -2, NEWER);
  lua_newtable(L);
  lua_rawseti(L, -2, OLDER);
  lua_pushinteger(L, 0);
  lua_rawseti(L, -2, COUNT);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, index, SQ_CLIENT_SEEN);
}

/* Pushes what tells the snapshot from all others: by its version, or, where it
 * has none, by its time. */
static void push_name(lua_State *L, int info) {
  info = lua_absindex(L, info);
  lua_getfield(L, info, "application_type");
  lua_pushliteral(L, "/");
  lua_getfield(L, info, "id");
  if (lua_getfield(L, info, "version_id") == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushliteral(L, "/at/");
    lua_getfield(L, info, "modified");
  } else {
    lua_pushliteral(L, "/");
    lua_insert(L, -2);
  }
  lua_concat(L, 5);
}

/* Pops the name; whether there is an entry, whose seconds are then in `at`. */
static bool find(lua_State *L, int seen, lua_Number *at) {
  int name = lua_gettop(L);
  bool found = false;
  for (int i = NEWER; i <= OLDER && !found; i++) {
    lua_rawgeti(L, seen, i);
    lua_pushvalue(L, name);
    found = lua_rawget(L, -2) == LUA_TNUMBER;
    *at = lua_tonumber(L, -1);
  }
  lua_settop(L, name - 1);
  return found;
}

/* Counts one more; the newer table is on the top then. */
static void make_room(lua_State *L, int seen) {
  lua_rawgeti(L, seen, COUNT);
  lua_Integer count = lua_tointeger(L, -1) + 1;
  lua_pop(L, 1);
  if (count > MOST) {
    lua_rawgeti(L, seen, NEWER);
    lua_rawseti(L, seen, OLDER);
    lua_newtable(L);
    lua_rawseti(L, seen, NEWER);
    count = 1;
  }
  lua_pushinteger(L, count);
  lua_rawseti(L, seen, COUNT);
  lua_rawgeti(L, seen, NEWER);
}

void sq_seen_note(lua_State *L, int index, int64_t at) {
  int info = lua_gettop(L), seen = info + 1;
  lua_Number known;
  push_seen(L, index);
  push_name(L, info);
  if (!find(L, seen, &known)) {
    make_room(L, seen);
    push_name(L, info);
    lua_pushnumber(L, (lua_Number)at / 1e9);
    lua_rawset(L, -3);
  }
  lua_settop(L, info);
}

int sq_seen_before(lua_State *L) {
  lua_Number at, when = luaL_checknumber(L, 3);
  sq_client_check(L, 1);
  luaL_checkudata(L, 2, SQ_SNAPSHOT_INFO);
  lua_settop(L, 2);
  push_seen(L, 1);
  push_name(L, 2);
  bool found = find(L, 3, &at);
  lua_pushboolean(L, found && at <= when);
  return 1;
}
