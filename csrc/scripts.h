/*
 * scripts.h - methods, or parts of them, that are written in Lua: the modules
 * squarecloud.waiting, .owners and .rehearsal.
 *
 * "squarecloud" loads them (a host may take `require` away later).  Each
 * function gets the method's arguments and, behind them, the table `core` with
 * what nobody else may call; the registry owns that table.
 */
#ifndef SQ_SCRIPTS_H
#define SQ_SCRIPTS_H

#include "config.h"

#include <lua.h>

SQ_HIDDEN_BEGIN

/* Makes the table `core`, empty. */
void sq_scripts_setup(lua_State *L);
/* Pushes it, for the functions that belong into it. */
void sq_scripts_push_core(lua_State *L);

/* Calls squarecloud.<module>'s function `name` with all that is on the stack,
 * which stays there, and `core`; gives its results.  It may yield, so it is to
 * be returned by the method at once: return sq_script_call(...). */
int sq_script_call(lua_State *L, const char *module, const char *name);

SQ_HIDDEN_END

#endif
