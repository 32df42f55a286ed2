/*
 * object.h - what every class of ours shares: records (read-only userdata
 * with fields and methods) and classes with methods only.
 *
 * A record's user value 1 holds its fields or what they are made from, 2
 * what it keeps alive.
 */
#ifndef SQ_OBJECT_H
#define SQ_OBJECT_H

#include "config.h"

#include <lauxlib.h>
#include <lua.h>

SQ_HIDDEN_BEGIN

#define SQ_CLIENT "squarecloud.Client"
#define SQ_SNAPSHOT "squarecloud.Snapshot"
#define SQ_SNAPSHOT_INFO "squarecloud.SnapshotInfo"
#define SQ_RESPONSE "squarecloud.Response"
#define SQ_HANDLE "squarecloud.Handle"
#define SQ_ZIP_FILE "squarecloud.ZipFile"
#define SQ_TASK "squarecloud.Task"

/* Pushes field number `field` (an index into the class's names) of the
 * record at `index`; nil when it has none. */
typedef void (*sq_field)(lua_State *L, int index, int field);

struct sq_record_class {
  const char *name;
  const char *const *fields; /* ended by null */
  sq_field get;
  const luaL_Reg *methods;     /* beside to_table */
  const luaL_Reg *metamethods; /* beside __index, __newindex, __pairs */
};

void sq_record_setup(lua_State *L, const struct sq_record_class *class);

/* A class without fields. */
void sq_class_setup(lua_State *L, const char *name, const luaL_Reg *methods,
                    const luaL_Reg *metamethods);

/* get for a record whose user value 1 is a plain table of its fields. */
void sq_record_get_plain(lua_State *L, int index, const char *field);

SQ_HIDDEN_END

#endif
