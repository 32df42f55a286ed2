/*
 * waiting.h - waiting out what the platform does in the background, when the
 * caller says `wait = seconds`.
 */
#ifndef SQ_WAITING_H
#define SQ_WAITING_H

#include "call.h"

SQ_HIDDEN_BEGIN

/* From now on; 0 seconds: nothing is waited out. */
void sq_wait_set(struct sq_call *call, double seconds);

/* The ends of client:snapshot and client:restore_snapshot. */
int sq_create_finish(lua_State *L, struct sq_call *call, int index);
int sq_restore_finish(lua_State *L, struct sq_call *call, int index);

SQ_HIDDEN_END

#endif
