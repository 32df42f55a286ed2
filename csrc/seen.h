/*
 * seen.h - which snapshots a client has been shown by listings, and when: what
 * it knew before a create is not what that create made.
 *
 * Only the newest are of interest, so a listing's older entries are not
 * remembered, and no more than so many at once.
 */
#ifndef SQ_SEEN_H
#define SQ_SEEN_H

#include "config.h"

#include <lua.h>
#include <stdint.h>

SQ_HIDDEN_BEGIN

/* Notes the SnapshotInfo on the top for the client at `index`, shown to it at
 * `at`, by sq_now. */
void sq_seen_note(lua_State *L, int index, int64_t at);

/* core.was_seen(client, info, when): whether it was shown by then. */
int sq_seen_before(lua_State *L);

SQ_HIDDEN_END

#endif
