/*
 * endpoints.h - the platform's calls as methods of the Client.
 *
 * An endpoint is one entry of the table in endpoints.c: its method's name,
 * what it sends where, which options it takes, and what makes its result.
 * Some are parts of a larger job (a rehearsal) and no methods.
 */
#ifndef SQ_ENDPOINTS_H
#define SQ_ENDPOINTS_H

#include "config.h"

#include <lua.h>

#include "call.h"

SQ_HIDDEN_BEGIN

/* Adds a function for each endpoint to the table on the top: those that are
 * methods of the Client, or those that are not (they take a client first, all
 * the same). */
void sq_endpoints_add(lua_State *L, bool methods);

/* Calls the endpoint's method with the client at 1 and the options table at
 * 2, for objects that know their client and their ids. */
int sq_endpoint_call(lua_State *L, const char *name);

/* A GET of `path` (with %s for the call's app_id) for a call of the client at
 * 1 whose options are at 2: the next thing to ask while waiting. */
int sq_endpoint_ask(lua_State *L, struct sq_call *call, const char *path,
                    sq_finish finish);
/* The call's own request once more. */
int sq_endpoint_repeat(lua_State *L, struct sq_call *call);

/* Decodes the answer of a done call and pushes its envelope; gives 0.  What
 * is not the envelope that the API promises: pushes nil, error; gives 2. */
int sq_answer_push(lua_State *L, struct sq_call *call);

SQ_HIDDEN_END

#endif
