/*
 * client.h - the Client: who asks, where, and how patiently.
 *
 * A client owns a profile (the engine's copy of its settings).  User values:
 * 1 the state's engine, 2 the trace function or nil, 3 a table of its
 * addresses: base_url, snapshots_url, account_id (when it was given),
 * key_account (when the key begins with it), and what owners.lua knows, 4 the
 * set of its running tasks, 5 the snapshots it has seen (seen.h).
 */
#ifndef SQ_CLIENT_H
#define SQ_CLIENT_H

#include "config.h"

#include <lua.h>

#include "options.h"
#include "state.h"

SQ_HIDDEN_BEGIN

enum {
  SQ_CLIENT_ENGINE = 1,
  SQ_CLIENT_TRACE,
  SQ_CLIENT_ADDRESSES,
  SQ_CLIENT_TASKS,
  SQ_CLIENT_SEEN,
  SQ_CLIENT_VALUES = SQ_CLIENT_SEEN
};

struct sq_client {
  struct sq_state *state;     /* null while closed */
  struct sq_profile *profile; /* null while closed */
  struct sq_link calls;       /* under way, of this client */
  struct sq_link tasks;       /* running, spawned by this client */
  double timeout, action_timeout;
  int segments;
};

void sq_client_setup(lua_State *L);
int sq_client_new(lua_State *L); /* square.Client */

/* The open client at `index`; raises for anything else, for a closed one,
 * and where nothing of ours may be called. */
struct sq_client *sq_client_check(lua_State *L, int index);
bool sq_client_is_closed(lua_State *L, int index);

/* Pushes client.addresses[name]: a string, or nil. */
const char *sq_client_push_address(lua_State *L, int index, const char *name);

/* Pushes the trace function and gives true, when there is one. */
bool sq_client_push_trace(lua_State *L, int index);
void sq_client_trace_off(lua_State *L, int index);

SQ_HIDDEN_END

#endif
