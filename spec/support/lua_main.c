/*
 * lua_main.c - a lua5.4 of our own to be instrumented: a sanitizer that must
 * be there from the program's start (ThreadSanitizer) cannot come with a
 * module.  Takes what the specs use of the real one:
 *
 *   lua5.4 [-e CODE]... [SCRIPT [ARGUMENT...]]
 *   lua5.4 -v
 *
 * without a script and -e, or with "-" for it: the standard input.  What
 * LUA_INIT_5_4 or else LUA_INIT holds runs first, and SIGINT raises
 * "interrupted!", as there.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lua_State *running;

#ifdef __SANITIZE_THREAD__
/* ThreadSanitizer follows longjmp, not the checked one that liblua may call:
 * each error would leave frames in its record of the stack, which it keeps
 * with every allocation, some 100 MB a second under the API's fuzzer. */
_Noreturn void jump(jmp_buf where, int value) __asm__("__longjmp_chk");
void jump(jmp_buf where, int value) { longjmp(where, value); }
#endif

static void stop(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted!");
}

static void on_signal(int number) {
  signal(number, SIG_DFL);
  lua_sethook(running, stop,
              LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static int on_error(lua_State *L) {
  const char *text = lua_tostring(L, 1);
  if (!text) text = luaL_tolstring(L, 1, NULL);
  luaL_traceback(L, L, text, 1);
  return 1;
}

/* Stack: ..., function, its arguments. */
static int call(lua_State *L, int arguments) {
  int base = lua_gettop(L) - arguments;
  lua_pushcfunction(L, on_error);
  lua_insert(L, base);
  running = L;
  signal(SIGINT, on_signal);
  int rc = lua_pcall(L, arguments, 0, base);
  signal(SIGINT, SIG_DFL);
  return rc;
}

static int load_and_call(lua_State *L, const char *file, char **arguments) {
  int n = 0, rc = luaL_loadfile(L, strcmp(file, "-") ? file : NULL);
  if (rc) return rc;
  luaL_checkstack(L, 1000, NULL);
  for (; arguments[n]; n++) lua_pushstring(L, arguments[n]);
  return call(L, n);
}

static void set_arg(lua_State *L, char **argv, int argc, int script) {
  lua_createtable(L, argc, script + 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

static int run_init(lua_State *L) {
  const char *init = getenv("LUA_INIT_5_4");
  if (!init) init = getenv("LUA_INIT");
  if (!init) return LUA_OK;
  int rc = init[0] == '@' ? luaL_loadfile(L, init + 1)
                          : luaL_loadbuffer(L, init, strlen(init), "=LUA_INIT");
  return rc ? rc : call(L, 0);
}

static int run(lua_State *L, int argc, char **argv) {
  int i = 1, rc = LUA_OK, script = 0;
  while (i + 1 < argc && strcmp(argv[i], "-e") == 0) i += 2;
  if (i < argc) script = i;
  set_arg(L, argv, argc, script);
  for (int j = 1; !rc && j < i; j += 2) {
    rc = luaL_loadstring(L, argv[j + 1]);
    if (!rc) rc = call(L, 0);
  }
  if (!rc && script) return load_and_call(L, argv[i], argv + i + 1);
  return rc || i > 1 ? rc : load_and_call(L, "-", argv + argc);
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (!L) return 1;
  luaL_openlibs(L);
  int rc = run_init(L);
  if (!rc && argc == 2 && strcmp(argv[1], "-v") == 0)
    puts(LUA_RELEASE);
  else if (!rc)
    rc = run(L, argc, argv);
  if (rc) fprintf(stderr, "%s: %s\n", argv[0], lua_tostring(L, -1));
  lua_close(L);
  return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
