/*
 * error.h - failures as Lua values: the one place where a message for people
 * is put together.
 */
#ifndef SQ_ERROR_H
#define SQ_ERROR_H

#include "config.h"

#include <lauxlib.h>
#include <lua.h>

#include "base/failure.h"

SQ_HIDDEN_BEGIN

#define SQ_ERROR "squarecloud.Error"

/* Registers the metatable. */
void sq_error_setup(lua_State *L);

/* Pushes the error object of `f`; `operation` ("restore_snapshot a1") may be
 * null.  Raises when memory is short. */
void sq_error_push(lua_State *L, const struct sq_failure *f,
                   const char *operation);

/* Pushes nil and the error object; gives 2. */
int sq_error_return(lua_State *L, const struct sq_failure *f,
                    const char *operation);

/* Pops any error value and warns of it: "<what><value>".  Raises nothing,
 * whatever the value's __tostring does. */
void sq_error_warn(lua_State *L, const char *what);

SQ_HIDDEN_END

#endif
