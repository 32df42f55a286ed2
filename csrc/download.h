/*
 * download.h - the three methods called download: of a Client, a Snapshot
 * and a SnapshotInfo.
 */
#ifndef SQ_LUA_DOWNLOAD_H
#define SQ_LUA_DOWNLOAD_H

#include "config.h"

#include <lua.h>

SQ_HIDDEN_BEGIN

int sq_download_url(lua_State *L);
int sq_download_snapshot(lua_State *L);
int sq_download_info(lua_State *L);
/* The last two as one function, with one option more: `within`, seconds for
 * the whole of it. */
int sq_download_within(lua_State *L);

SQ_HIDDEN_END

#endif
