/*
 * client.c - makes clients, reads their options, closes them.  Their methods
 * that talk to the platform are in endpoints.c and download.c.
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "call.h"
#include "download.h"
#include "endpoints.h"
#include "error.h"
#include "handle.h"
#include "loop.h"
#include "object.h"
#include "rehearsal.h"
#include "scripts.h"
#include "seen.h"
#include "task.h"

#define YEAR_SECONDS (365.0 * 86400)
#define MIB (INT64_C(1024) * 1024)
#define TIMES "squarecloud.limit_times"

static const char *const known[] = {"api_key",
                                    "base_url",
                                    "snapshots_url",
                                    "account_id",
                                    "timeout",
                                    "action_timeout",
                                    "connect_timeout",
                                    "stall_timeout",
                                    "retries",
                                    "max_retry_wait",
                                    "pace",
                                    "concurrency",
                                    "segments",
                                    "max_response_bytes",
                                    "ca_file",
                                    "proxy",
                                    "user_agent",
                                    "trace",
                                    NULL};

/* ---- options ---------------------------------------------------------- */

/* A header's value: no control characters; never shown. */
static const char *read_plain(const struct sq_options *o, const char *name,
                              const char *otherwise) {
  size_t n;
  const char *s = sq_options_string(o, name, &n);
  if (!s) return otherwise;
  if (n == 0) sq_options_error(o, "option '%s' is empty", name);
  if (!sq_text_is_plain(s, n))
    sq_options_error(o, "option '%s' contains a control character", name);
  return s;
}

static const char *read_key(const struct sq_options *o) {
  const char *key = read_plain(o, "api_key", NULL);
  if (key) return key;
  sq_options_error(o, "option 'api_key' is missing"); /* raises */
  return "";
}

/* Pushes the address, without slashes at its end. */
static void push_address(const struct sq_options *o, const char *name,
                         const char *otherwise) {
  size_t n = strlen(otherwise);
  const char *url = sq_options_string(o, name, &n);
  if (!url) url = otherwise;
  const char *problem = strlen(url) == n ? sq_address_problem(url, true)
                                         : "contains a control character";
  if (problem) sq_options_error(o, "option '%s' %s", name, problem);
  while (n > 0 && url[n - 1] == '/') n--;
  lua_pushlstring(o->L, url, n);
}

/* Adds to the table on the top the account's id as it is given, and the one
 * that the key begins with, up to its first '-'. */
static void set_accounts(const struct sq_options *o, const char *key) {
  const char *dash = strchr(key, '-');
  lua_pushstring(o->L, sq_options_id(o, "account_id", false));
  lua_setfield(o->L, -2, "account_id");
  if (!dash || dash == key) return;
  lua_pushlstring(o->L, key, (size_t)(dash - key));
  lua_setfield(o->L, -2, "key_account");
}

/* Proxy variables are read here, once: libcurl would read them on a thread,
 * beside the host's setenv. */
static const char *environment(const char *lower, const char *upper) {
  const char *value = getenv(lower);
  if (!value || !value[0]) value = getenv(upper);
  return value && value[0] ? value : NULL;
}

static void read_proxy(const struct sq_options *o,
                       struct sq_profile_options *p) {
  size_t n = 0;
  p->proxy = sq_options_string(o, "proxy", &n);
  if (p->proxy && !sq_text_is_plain(p->proxy, n))
    sq_options_error(o, "option 'proxy' contains a control character");
  if (p->proxy) {
    if (n == 0) p->proxy = NULL; /* "": none, whatever the environment says */
    return;
  }
  p->proxy = environment("https_proxy", "HTTPS_PROXY");
  if (!p->proxy) p->proxy = environment("all_proxy", "ALL_PROXY");
  p->no_proxy = environment("no_proxy", "NO_PROXY");
}

/* The platform's, or what a test left in the registry, so that it need not
 * wait for minutes. */
static struct sq_limit_times read_times(lua_State *L) {
  struct sq_limit_times t = sq_limit_times;
  struct {
    const char *name;
    double *seconds;
  } all[] = {{"calls", &t.calls},
             {"creates", &t.creates},
             {"application", &t.application},
             {"pace", &t.pace}};
  if (lua_getfield(L, LUA_REGISTRYINDEX, TIMES) == LUA_TTABLE) {
    for (size_t i = 0; i < SQ_COUNT(all); i++) {
      if (lua_getfield(L, -1, all[i].name) == LUA_TNUMBER)
        *all[i].seconds = lua_tonumber(L, -1);
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  return t;
}

static struct sq_profile_options read_profile(const struct sq_options *o) {
  struct sq_profile_options p = {0};
  p.api_key = read_key(o);
  p.ca_file = read_plain(o, "ca_file", NULL);
  p.user_agent = read_plain(o, "user_agent", "squarecloud-lua/" SQ_VERSION);
  p.connect_timeout =
      sq_options_number(o, "connect_timeout", 10, 0.001, YEAR_SECONDS);
  p.stall_timeout =
      sq_options_number(o, "stall_timeout", 30, 0.001, YEAR_SECONDS);
  p.max_retry_wait =
      sq_options_number(o, "max_retry_wait", 300, 0, YEAR_SECONDS);
  p.limit_times = read_times(o->L);
  p.pace = sq_options_number(o, "pace", p.limit_times.pace, 0, YEAR_SECONDS);
  p.retries = (int)sq_options_integer(o, "retries", 3, 0, 1000);
  p.concurrency = (int)sq_options_integer(o, "concurrency", 8, 1, 1000);
  p.max_response_bytes = (size_t)sq_options_integer(o, "max_response_bytes",
                                                    64 * MIB, 1, 1024 * MIB);
  read_proxy(o, &p);
  return p;
}

/* ---- making ----------------------------------------------------------- */

static struct sq_client *push_closed(lua_State *L) {
  struct sq_client *c = lua_newuserdatauv(L, sizeof *c, SQ_CLIENT_VALUES);
  memset(c, 0, sizeof *c);
  sq_list_init(&c->calls);
  sq_list_init(&c->tasks);
  luaL_setmetatable(L, SQ_CLIENT);
  return c;
}

int sq_client_new(lua_State *L) {
  enum { OPTIONS = 1, CLIENT };
  struct sq_options o =
      sq_options_take(L, OPTIONS, "Client", "api_key", false, known);
  struct sq_client *c = push_closed(L);
  struct sq_profile_options p = read_profile(&o);
  c->timeout = sq_options_number(&o, "timeout", 30, 0.001, YEAR_SECONDS);
  c->action_timeout =
      sq_options_number(&o, "action_timeout", 300, 0.001, YEAR_SECONDS);
  c->segments = (int)sq_options_integer(&o, "segments", 1, 1, 16);
  lua_createtable(L, 0, 4);
  push_address(&o, "base_url", "https://api.squarecloud.app/v2");
  lua_setfield(L, -2, "base_url");
  push_address(&o, "snapshots_url", "https://snapshots.squarecloud.app");
  lua_setfield(L, -2, "snapshots_url");
  set_accounts(&o, p.api_key);
  lua_setiuservalue(L, CLIENT, SQ_CLIENT_ADDRESSES);
  struct sq_state *state = sq_state_push(L);
  lua_setiuservalue(L, CLIENT, SQ_CLIENT_ENGINE);
  if (sq_options_function(&o, "trace"))
    p.listener = sq_state_listen(L, state, CLIENT);
  lua_setiuservalue(L, CLIENT, SQ_CLIENT_TRACE);
  c->profile = sq_profile_new(&p);
  if (!c->profile) return luaL_error(L, "out of memory");
  c->state = state;
  lua_settop(L, CLIENT);
  return 1;
}

/* ---- looking ---------------------------------------------------------- */

bool sq_client_is_closed(lua_State *L, int index) {
  struct sq_client *c = luaL_checkudata(L, index, SQ_CLIENT);
  return c->state == NULL;
}

struct sq_client *sq_client_check(lua_State *L, int index) {
  struct sq_client *c = luaL_checkudata(L, index, SQ_CLIENT);
  if (!c->state) luaL_error(L, "the client is closed");
  sq_state_check(L, c->state);
  return c;
}

const char *sq_client_push_address(lua_State *L, int index, const char *name) {
  lua_getiuservalue(L, index, SQ_CLIENT_ADDRESSES);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

bool sq_client_push_trace(lua_State *L, int index) {
  if (lua_getiuservalue(L, index, SQ_CLIENT_TRACE) == LUA_TFUNCTION)
    return true;
  lua_pop(L, 1);
  return false;
}

void sq_client_trace_off(lua_State *L, int index) {
  struct sq_client *c = lua_touserdata(L, index);
  if (c->profile) sq_profile_trace_off(c->profile);
  index = lua_absindex(L, index);
  lua_pushnil(L);
  lua_setiuservalue(L, index, SQ_CLIENT_TRACE);
}

/* ---- for scripts ------------------------------------------------------ */

/* core.addresses(client): its table. */
static int push_addresses(lua_State *L) {
  sq_client_check(L, 1);
  lua_getiuservalue(L, 1, SQ_CLIENT_ADDRESSES);
  return 1;
}

/* core.may_yield(client): a task may wait for another here. */
static int may_yield(lua_State *L) {
  lua_pushboolean(L, sq_task_may_yield(L, sq_client_check(L, 1)->state));
  return 1;
}

/* core.tell(client, operation, detail): to the trace function. */
static int tell(lua_State *L) {
  struct sq_client *c = sq_client_check(L, 1);
  struct sq_trace t = {
      .event = "account", .attempt = 1, .bytes = -1, .seconds = -1};
  size_t n;
  const char *text = luaL_checklstring(L, 2, &n);
  sq_show(t.operation, sizeof t.operation, text, n);
  text = luaL_checklstring(L, 3, &n);
  sq_show(t.detail, sizeof t.detail, text, n);
  sq_state_tell(L, c->state, 1, &t);
  return 0;
}

/* ---- closing ---------------------------------------------------------- */

/* A second time does nothing. */
static int mm_gc(lua_State *L) {
  struct sq_client *c = luaL_checkudata(L, 1, SQ_CLIENT);
  struct sq_profile *profile = c->profile;
  struct sq_link *link;
  c->state = NULL;
  c->profile = NULL;
  sq_task_end_all(L, &c->tasks);
  while ((link = c->calls.next) != &c->calls)
    sq_call_abandon(SQ_HOLDER(link, struct sq_call, siblings));
  if (profile) sq_profile_trace_off(profile);
  sq_profile_release(profile);
  return 0;
}

/* Serves close and __close. */
static int m_close(lua_State *L) {
  struct sq_client *c = luaL_checkudata(L, 1, SQ_CLIENT);
  if (c->state && c->state->in_callback) sq_state_check(L, c->state);
  return mm_gc(L);
}

static int mm_tostring(lua_State *L) {
  if (sq_client_is_closed(L, 1)) {
    lua_pushliteral(L, SQ_CLIENT " (closed)");
  } else {
    const char *url = sq_client_push_address(L, 1, "base_url");
    lua_pushfstring(L, SQ_CLIENT " (%s)", url);
  }
  return 1;
}

void sq_client_setup(lua_State *L) {
  static const luaL_Reg methods[] = {{"app", sq_handle_app},
                                     {"database", sq_handle_database},
                                     {"download", sq_download_url},
                                     {"close", m_close},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", m_close},
                                         {"__gc", mm_gc},
                                         {"__tostring", mm_tostring},
                                         {NULL, NULL}};
  static const luaL_Reg parts[] = {{"addresses", push_addresses},
                                   {"may_yield", may_yield},
                                   {"tell", tell},
                                   {"was_seen", sq_seen_before},
                                   {NULL, NULL}};
  sq_class_setup(L, SQ_CLIENT, methods, metamethods);
  luaL_getmetatable(L, SQ_CLIENT);
  lua_getfield(L, -1, "__index");
  sq_endpoints_add(L, true);
  sq_loop_add(L);
  sq_rehearsal_add(L);
  lua_pop(L, 2);
  sq_scripts_push_core(L);
  luaL_setfuncs(L, parts, 0);
  sq_endpoints_add(L, false);
  lua_pop(L, 1);
}
