/*
 * snapshot.h - the Snapshot: one that was just created.
 */
#ifndef SQ_SNAPSHOT_H
#define SQ_SNAPSHOT_H

#include "call.h"

SQ_HIDDEN_BEGIN

void sq_snapshot_setup(lua_State *L);
int sq_snapshot_finish(lua_State *L, struct sq_call *call, int index);
/* Pushes the Snapshot that is the same as the SnapshotInfo at `info`. */
void sq_snapshot_from_info(lua_State *L, int index, int info);

/* Pushes the version id in a key, nil when there is none. */
void sq_snapshot_push_version(lua_State *L, const char *key, size_t n);

/* When the value at `index` is a Snapshot or SnapshotInfo: replaces it by
 * the options that restore it; raises when it has no version id. */
void sq_snapshot_to_options(lua_State *L, int index);

SQ_HIDDEN_END

#endif
