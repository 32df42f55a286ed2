/*
 * snapshot.h - the Snapshot: one that was just created.
 */
#ifndef SQ_SNAPSHOT_H
#define SQ_SNAPSHOT_H

#include "call.h"

SQ_HIDDEN_BEGIN

void sq_snapshot_setup(lua_State *L);
int sq_snapshot_finish(lua_State *L, struct sq_call *call, int index);
/* The same for a script: behind the results the server's time, in epoch
 * seconds (nil without a Date), and the seconds by sq_now when it was asked. */
int sq_snapshot_asked_finish(lua_State *L, struct sq_call *call, int index);

/* Pushes the version id in a key, nil when there is none. */
void sq_snapshot_push_version(lua_State *L, const char *key, size_t n);

/* __eq of Snapshot and SnapshotInfo: one snapshot is told from another by its
 * version, never by its name. */
int sq_snapshot_eq(lua_State *L);

/* True for a Snapshot whose version is yet to be looked up. */
bool sq_snapshot_lacks_version(lua_State *L, int index);

/* When the value at `index` is a Snapshot or SnapshotInfo: replaces it by
 * the options that restore it; raises when it has no version id. */
void sq_snapshot_to_options(lua_State *L, int index);

SQ_HIDDEN_END

#endif
