/*
 * unload.c - a host with Lua inside (linked in whole, -rdynamic) that loads
 * the module from a file: runs a script in a Lua state, closes the state, and
 * the same once more; then says which files are still mapped.
 *
 *   unload SCRIPT [ARGUMENT...]     "mapped /path/to/file", a line each
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

static int run(const char *script, char **arguments) {
  lua_State *L = luaL_newstate();
  if (!L) return 1;
  luaL_openlibs(L);
  int failed = luaL_loadfile(L, script);
  if (!failed) {
    int n = 0;
    for (; arguments[n]; n++) lua_pushstring(L, arguments[n]);
    failed = lua_pcall(L, n, 0, 0);
  }
  if (failed) fprintf(stderr, "unload: %s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return failed;
}

static int say_mapped(void) {
  char line[4096];
  FILE *maps = fopen("/proc/self/maps", "r");
  if (!maps) return 1;
  while (fgets(line, sizeof line, maps)) {
    const char *path = strchr(line, '/');
    if (path) printf("mapped %s", path);
  }
  return fclose(maps) != 0;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  for (int i = 0; i < 2; i++)
    if (run(argv[1], argv + 2)) return 1;
  return say_mapped();
}
