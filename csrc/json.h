/*
 * json.h - JSON through an instance of lua-cjson of our own (cjson.new()),
 * so that a host's settings change nothing here and ours nothing there.
 */
#ifndef SQ_JSON_H
#define SQ_JSON_H

#include "config.h"

#include <lua.h>
#include <stdbool.h>

SQ_HIDDEN_BEGIN

/* Makes the instance, once per state; raises when cjson is not there. */
void sq_json_setup(lua_State *L);

/* Pushes what the text means and gives true, or pushes why it means nothing
 * and gives false. */
bool sq_json_decode(lua_State *L, const char *text, size_t n);

/* Replaces the value on the top by its text. */
void sq_json_encode(lua_State *L);

/* True for null and for nothing. */
bool sq_json_is_null(lua_State *L, int index);

/* Whole floats (Debian's lua-cjson makes every number one) become integers,
 * through all tables of the value at `index`. */
void sq_json_normalize(lua_State *L, int index);

SQ_HIDDEN_END

#endif
