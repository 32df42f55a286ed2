/*
 * rehearsal.h - client:rehearse_restore: a snapshot tried out as a new
 * application.
 */
#ifndef SQ_REHEARSAL_H
#define SQ_REHEARSAL_H

#include "config.h"

#include <lua.h>

SQ_HIDDEN_BEGIN

/* Adds the method to the Client's, the table on the top. */
void sq_rehearsal_add(lua_State *L);

SQ_HIDDEN_END

#endif
