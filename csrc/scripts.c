/*
 * scripts.c - see scripts.h.
 */
#include "scripts.h"

#include <lauxlib.h>

/* Its address is the table's key in the registry. */
static const char core_key;

void sq_scripts_setup(lua_State *L) {
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &core_key);
}

void sq_scripts_push_core(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &core_key);
}

static void push_function(lua_State *L, const char *module, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushfstring(L, "squarecloud.%s", module);
  lua_pushvalue(L, -1);
  if (lua_gettable(L, -3) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_getglobal(L, "require");
    lua_insert(L, -2);
    lua_call(L, 1, 1);
  }
  lua_getfield(L, -1, name);
}

static int k_results(lua_State *L, int status, lua_KContext arguments) {
  (void)status;
  return lua_gettop(L) - (int)arguments;
}

int sq_script_call(lua_State *L, const char *module, const char *name) {
  int arguments = lua_gettop(L);
  luaL_checkstack(L, arguments + LUA_MINSTACK, NULL);
  push_function(L, module, name);
  lua_insert(L, arguments + 1);
  lua_settop(L, arguments + 1);
  for (int i = 1; i <= arguments; i++) lua_pushvalue(L, i);
  sq_scripts_push_core(L);
  lua_callk(L, arguments + 1, LUA_MULTRET, arguments, k_results);
  return k_results(L, LUA_OK, arguments);
}
