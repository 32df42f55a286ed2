/*
 * response.h - the Response: what a call gives that makes no snapshot.
 */
#ifndef SQ_RESPONSE_H
#define SQ_RESPONSE_H

#include "call.h"

SQ_HIDDEN_BEGIN

void sq_response_setup(lua_State *L);
int sq_response_finish(lua_State *L, struct sq_call *call, int index);

SQ_HIDDEN_END

#endif
