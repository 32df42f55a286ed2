/*
 * snapshot_info.h - the SnapshotInfo: one entry of a listing.
 */
#ifndef SQ_SNAPSHOT_INFO_H
#define SQ_SNAPSHOT_INFO_H

#include "call.h"

SQ_HIDDEN_BEGIN

void sq_snapshot_info_setup(lua_State *L);
int sq_snapshot_infos_finish(lua_State *L, struct sq_call *call, int index);

/* Pushes the id of the application or database that the entry at `index`
 * belongs to. */
void sq_snapshot_info_push_app_id(lua_State *L, int index);
/* Pushes the entry's client. */
void sq_snapshot_info_push_client(lua_State *L, int index);

SQ_HIDDEN_END

#endif
