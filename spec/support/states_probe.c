/*
 * states_probe.c - more Lua states in this process, for the specs.  A test's
 * tool; nothing of it is installed.
 *
 *   state = probe.new()          with the libraries and this state's paths
 *   state:run(script, ...)       its results; raises what it raises, as text.
 *                                What goes in and comes out: nil, booleans,
 *                                numbers, strings; all else becomes text
 *   state:close()                lua_close; a second time does nothing
 */
#include "../../csrc/config.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#define STATE "spec.State"

SQ_EXPORT int luaopen_states_probe(lua_State *L);

static void copy(lua_State *from, int index, lua_State *to) {
  size_t n;
  const char *text;
  switch (lua_type(from, index)) {
    case LUA_TNIL:
      lua_pushnil(to);
      break;
    case LUA_TBOOLEAN:
      lua_pushboolean(to, lua_toboolean(from, index));
      break;
    case LUA_TNUMBER:
      if (lua_isinteger(from, index))
        lua_pushinteger(to, lua_tointeger(from, index));
      else
        lua_pushnumber(to, lua_tonumber(from, index));
      break;
    default:
      text = luaL_tolstring(from, index, &n);
      lua_pushlstring(to, text, n);
      lua_pop(from, 1);
  }
}

/* Sets package[field] of `to` to what it is in `from`. */
static void copy_path(lua_State *from, lua_State *to, const char *field) {
  lua_getglobal(from, "package");
  lua_getglobal(to, "package");
  lua_getfield(from, -1, field);
  copy(from, -1, to);
  lua_setfield(to, -2, field);
  lua_pop(to, 1);
  lua_pop(from, 2);
}

static int f_new(lua_State *L) {
  lua_State **state =
      (lua_State **)lua_newuserdatauv(L, sizeof(lua_State *), 0);
  *state = NULL;
  luaL_setmetatable(L, STATE);
  *state = luaL_newstate();
  if (!*state) return luaL_error(L, "no memory for a state");
  luaL_openlibs(*state);
  copy_path(L, *state, "path");
  copy_path(L, *state, "cpath");
  return 1;
}

static int m_run(lua_State *L) {
  lua_State *to = *(lua_State **)luaL_checkudata(L, 1, STATE);
  const char *script = luaL_checkstring(L, 2);
  int arguments = lua_gettop(L) - 2;
  if (!to) return luaL_error(L, "the state is closed");
  lua_settop(to, 0);
  int rc = luaL_loadstring(to, script);
  if (rc == LUA_OK) {
    luaL_checkstack(to, arguments + 1, NULL);
    for (int i = 0; i < arguments; i++) copy(L, 3 + i, to);
    rc = lua_pcall(to, arguments, LUA_MULTRET, 0);
  }
  int count = lua_gettop(to);
  luaL_checkstack(L, count, NULL);
  luaL_checkstack(to, 1, NULL);
  for (int i = 1; i <= count; i++) copy(to, i, L);
  lua_settop(to, 0);
  return rc == LUA_OK ? count : lua_error(L);
}

static int m_close(lua_State *L) {
  lua_State **state = (lua_State **)luaL_checkudata(L, 1, STATE);
  lua_State *mine = *state;
  *state = NULL;
  if (mine) lua_close(mine);
  return 0;
}

int luaopen_states_probe(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"run", m_run}, {"close", m_close}, {"__gc", m_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", f_new}, {NULL, NULL}};
  if (luaL_newmetatable(L, STATE)) {
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  luaL_newlib(L, functions);
  return 1;
}
