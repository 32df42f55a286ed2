/*
 * module.c - luaopen_squarecloud_core: registers the classes and gives the
 * module's table.  May be called again in the same state.
 *
 * The module pins itself in memory: a lookup thread of libcurl, or a file
 * thread held up in a system call, may outlive the Lua state, and must not
 * find its code unloaded.
 */
#include "config.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>

#include "call.h"
#include "client.h"
#include "error.h"
#include "handle.h"
#include "json.h"
#include "posix.h"
#include "response.h"
#include "scripts.h"
#include "snapshot.h"
#include "snapshot_info.h"
#include "state.h"
#include "task.h"
#include "zip_file.h"

_Static_assert(LUA_VERSION_NUM == 504, "Lua 5.4 is needed");
_Static_assert(sizeof(lua_Integer) >= 8, "64-bit Lua integers are needed");

SQ_EXPORT int luaopen_squarecloud_core(lua_State *L);

/* Linked into the host, or opened from a file: both are fine. */
static void pin(void) {
#if defined(RTLD_NODELETE) && defined(RTLD_NOLOAD)
  Dl_info info;
  if (dladdr((void *)(uintptr_t)&luaopen_squarecloud_core, &info) &&
      info.dli_fname)
    (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

/* A function: libcurl takes its time to say. */
static int libraries(lua_State *L) {
  char text[160];
  sq_libraries(text);
  lua_pushstring(L, text);
  return 1;
}

int luaopen_squarecloud_core(lua_State *L) {
  pin();
  luaL_checkversion(L);
  sq_json_setup(L);
  sq_error_setup(L);
  sq_state_setup(L);
  sq_call_setup(L);
  sq_scripts_setup(L);
  sq_client_setup(L);
  sq_snapshot_setup(L);
  sq_snapshot_info_setup(L);
  sq_response_setup(L);
  sq_handle_setup(L);
  sq_zip_file_setup(L);
  sq_task_setup(L);
  lua_createtable(L, 0, 5);
  lua_pushcfunction(L, sq_client_new);
  lua_setfield(L, -2, "Client");
  lua_pushcfunction(L, sq_zip_file_open);
  lua_setfield(L, -2, "open_zip");
  lua_pushliteral(L, SQ_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushcfunction(L, libraries);
  lua_setfield(L, -2, "libraries");
  sq_posix_push(L);
  lua_setfield(L, -2, "posix");
  return 1;
}
