/*
 * loop.h - the Client's methods that run tasks: spawn, step, run, sleep, and
 * what an event loop asks of a pollable object.
 */
#ifndef SQ_LOOP_H
#define SQ_LOOP_H

#include "config.h"

#include <lua.h>

SQ_HIDDEN_BEGIN

/* Stack: ..., the table of the Client's methods. */
void sq_loop_add(lua_State *L);

SQ_HIDDEN_END

#endif
