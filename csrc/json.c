/*
 * json.c - see json.h.  The two functions live in the registry under the
 * addresses of the keys below, encode's put there last.
 */
#include "json.h"

#include <lauxlib.h>

enum { DEPTH_MAX = 128 };

static const char decode_key, encode_key;

/* Loaded already, it needs no `require`, which hosts take away. */
static void push_cjson(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  bool is_loaded = lua_getfield(L, -1, "cjson") == LUA_TTABLE;
  lua_remove(L, -2);
  if (is_loaded) return;
  lua_pop(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "cjson");
  lua_call(L, 1, 1);
}

void sq_json_setup(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &encode_key) == LUA_TFUNCTION) {
    lua_pop(L, 1);
    return;
  }
  lua_pop(L, 1);
  push_cjson(L);
  lua_getfield(L, -1, "new");
  lua_call(L, 0, 1); /* stack: cjson, instance */
  lua_getfield(L, -1, "decode_max_depth");
  lua_pushinteger(L, DEPTH_MAX);
  lua_call(L, 1, 0);
  lua_getfield(L, -1, "decode_invalid_numbers"); /* NaN, 0x10: no JSON */
  lua_pushboolean(L, 0);
  lua_call(L, 1, 0);
  lua_getfield(L, -1, "decode");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &decode_key);
  lua_getfield(L, -1, "encode");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &encode_key);
  lua_pop(L, 2);
}

static bool decode(lua_State *L, const char *text, size_t n) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &decode_key);
  lua_pushlstring(L, text ? text : "", text ? n : 0);
  int rc = lua_pcall(L, 1, 1, 0);
  if (rc == LUA_ERRMEM) lua_error(L); /* that says nothing of the text */
  return rc == LUA_OK;
}

/* An error that comes only once was not the text's: a hook raised (the
 * interpreter's, at Ctrl-C), or memory was short. */
bool sq_json_decode(lua_State *L, const char *text, size_t n) {
  if (decode(L, text, n)) return true;
  if (!decode(L, text, n) && lua_rawequal(L, -1, -2)) {
    lua_remove(L, -2);
    return false;
  }
  decode(L, text, n); /* stack: first, second, third */
  lua_pushvalue(L, lua_rawequal(L, -1, -3) ? -2 : -3);
  return lua_error(L);
}

void sq_json_encode(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &encode_key);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
}

bool sq_json_is_null(lua_State *L, int index) {
  return lua_isnoneornil(L, index) ||
         (lua_islightuserdata(L, index) && !lua_touserdata(L, index));
}

void sq_json_normalize(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (!lua_istable(L, index)) return;
  luaL_checkstack(L, 4, "JSON is nested too deeply");
  lua_pushnil(L);
  while (lua_next(L, index)) { /* stack: key, value; only values change */
    lua_Integer whole;
    if (lua_type(L, -1) == LUA_TNUMBER && !lua_isinteger(L, -1) &&
        lua_numbertointeger(lua_tonumber(L, -1), &whole) &&
        (lua_Number)whole == lua_tonumber(L, -1)) {
      lua_pushvalue(L, -2);
      lua_pushinteger(L, whole);
      lua_rawset(L, index);
    } else {
      sq_json_normalize(L, -1);
    }
    lua_pop(L, 1);
  }
}
