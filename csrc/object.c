/*
 * object.c - see object.h.
 *
 * A record's __index has two upvalues: a table that tells for a name its
 * method (a function) or its field's number, and the class.
 *
 * A setup fills its metatable again when there is one: the last time, memory
 * may have been short in the middle of it.
 */
#include "object.h"

#include <stdbool.h>

static const struct sq_record_class *class_of(lua_State *L, int upvalue) {
  return lua_touserdata(L, lua_upvalueindex(upvalue));
}

static void push_class(lua_State *L, const struct sq_record_class *record) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)record);
}

static int mm_index(lua_State *L) {
  const struct sq_record_class *class = class_of(L, 2);
  luaL_checkudata(L, 1, class->name);
  lua_settop(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNUMBER)
    class->get(L, 1, (int)lua_tointeger(L, -1));
  return 1;
}

static int mm_newindex(lua_State *L) {
  return luaL_error(L, "a %s is read-only", class_of(L, 1)->name);
}

static int m_to_table(lua_State *L) {
  const struct sq_record_class *class = class_of(L, 1);
  luaL_checkudata(L, 1, class->name);
  lua_settop(L, 1);
  lua_newtable(L);
  for (int i = 0; class->fields[i]; i++) {
    class->get(L, 1, i);
    lua_setfield(L, 2, class->fields[i]);
  }
  return 1;
}

static int next_field(lua_State *L) {
  lua_settop(L, 2);
  return lua_next(L, 1) ? 2 : (lua_pushnil(L), 1);
}

static int mm_pairs(lua_State *L) {
  lua_pushcfunction(L, next_field);
  push_class(L, class_of(L, 1));
  lua_pushcclosure(L, m_to_table, 1);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  lua_pushnil(L);
  return 3;
}

/* Stack: ..., metatable.  Sets metatable[name] to f with the class as its
 * upvalue. */
static void set_closure(lua_State *L, const char *name, lua_CFunction f,
                        const struct sq_record_class *class) {
  push_class(L, class);
  lua_pushcclosure(L, f, 1);
  lua_setfield(L, -2, name);
}

void sq_record_setup(lua_State *L, const struct sq_record_class *class) {
  luaL_newmetatable(L, class->name);
  luaL_setfuncs(L, class->metamethods, 0);
  set_closure(L, "__newindex", mm_newindex, class);
  set_closure(L, "__pairs", mm_pairs, class);
  lua_newtable(L);
  luaL_setfuncs(L, class->methods, 0);
  set_closure(L, "to_table", m_to_table, class);
  for (int i = 0; class->fields[i]; i++) {
    lua_pushinteger(L, i);
    lua_setfield(L, -2, class->fields[i]);
  }
  push_class(L, class);
  lua_pushcclosure(L, mm_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void sq_class_setup(lua_State *L, const char *name, const luaL_Reg *methods,
                    const luaL_Reg *metamethods) {
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, metamethods, 0);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void sq_record_get_plain(lua_State *L, int index, const char *field) {
  lua_getiuservalue(L, index, 1);
  lua_getfield(L, -1, field);
  lua_remove(L, -2);
}
