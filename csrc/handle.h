/*
 * handle.h - the handle of one application or database: client:app(id),
 * client:database(id).
 */
#ifndef SQ_HANDLE_H
#define SQ_HANDLE_H

#include "config.h"

#include <lua.h>

SQ_HIDDEN_BEGIN

void sq_handle_setup(lua_State *L);
int sq_handle_app(lua_State *L);      /* client:app(id) */
int sq_handle_database(lua_State *L); /* client:database(id) */

SQ_HIDDEN_END

#endif
