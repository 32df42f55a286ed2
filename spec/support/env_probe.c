/*
 * env_probe.c - changes of the environment for the specs, which Lua has no
 * word for.  A test's tool; nothing of it is installed.
 *
 *   probe.set(name, value)   nil: removed
 */
#include "../../csrc/config.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

SQ_EXPORT int luaopen_env_probe(lua_State *L);

static int f_set(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const char *value = luaL_optstring(L, 2, NULL);
  int rc = value ? setenv(name, value, 1) : unsetenv(name);
  return rc == 0 ? 0 : luaL_error(L, "cannot change '%s'", name);
}

int luaopen_env_probe(lua_State *L) {
  static const luaL_Reg functions[] = {{"set", f_set}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
