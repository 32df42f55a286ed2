/*
 * host.c - a program that has everything inside: Lua, lua-cjson, the module's
 * C and the module's Lua files.  Runs a script; nothing is searched for.
 *
 *   host SCRIPT [ARGUMENT...]
 *
 * build.sh says how it is put together.
 */
#include "host.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

int luaopen_cjson(lua_State *L);
int luaopen_squarecloud_core(lua_State *L);

/* In this order: the module's C asks for cjson when it is opened. */
static void open_libraries(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "cjson", luaopen_cjson, 0);
  luaL_requiref(L, "squarecloud.core", luaopen_squarecloud_core, 0);
  lua_pop(L, 2);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (const struct embedded *one = embedded; one->name; one++) {
    if (luaL_loadbuffer(L, one->text, one->size, one->chunk) != LUA_OK)
      lua_error(L);
    lua_setfield(L, -2, one->name);
  }
  lua_pop(L, 1);
}

/* Arguments: the script's file, its arguments. */
static int run(lua_State *L) {
  int n = lua_gettop(L);
  open_libraries(L);
  if (luaL_loadfile(L, lua_tostring(L, 1)) != LUA_OK) lua_error(L);
  lua_replace(L, 1);
  lua_call(L, n - 1, 0);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s SCRIPT [ARGUMENT...]\n", argv[0]);
    return 2;
  }
  lua_State *L = luaL_newstate();
  if (!L) return 1;
  lua_pushcfunction(L, run);
  for (int i = 1; i < argc; i++) lua_pushstring(L, argv[i]);
  int failed = lua_pcall(L, argc - 1, 0, 0) != LUA_OK;
  if (failed) fprintf(stderr, "host: %s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L); /* ends what is under way, and the module's threads */
  return failed;
}
