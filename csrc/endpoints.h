/*
 * endpoints.h - the platform's calls as methods of the Client.
 *
 * An endpoint is one entry of the table in endpoints.c: its method's name,
 * what it sends where, which options it takes, and what makes its result.
 * Some are parts of a larger job (a rehearsal) and no methods.  What waits for
 * more than an answer, or has to ask something first, is left to a script.
 */
#ifndef SQ_ENDPOINTS_H
#define SQ_ENDPOINTS_H

#include "config.h"

#include <lua.h>

#include "call.h"
#include "options.h"

SQ_HIDDEN_BEGIN

/* Adds a function for each endpoint to the table on the top: those that are
 * methods of the Client, or those that are not (they take a client first, all
 * the same). */
void sq_endpoints_add(lua_State *L, bool methods);

/* Calls the endpoint's method with the client at 1 and the options table at
 * 2, for objects that know their client and their ids. */
int sq_endpoint_call(lua_State *L, const char *name);

/* Reads the options of all that can be waited for, for a script: `wait`, whose
 * seconds it gives and puts there where they are missing, and `progress`. */
double sq_endpoint_wait(const struct sq_options *o);

/* Decodes the answer of a done call and pushes its envelope; gives 0.  What
 * is not the envelope that the API promises: pushes nil, error; gives 2. */
int sq_answer_push(lua_State *L, struct sq_call *call);

SQ_HIDDEN_END

#endif
