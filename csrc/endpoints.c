/*
 * endpoints.c - see endpoints.h.  Owns the table; nothing at run time.
 */
#include "endpoints.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "client.h"
#include "json.h"
#include "object.h"
#include "options.h"
#include "response.h"
#include "snapshot.h"
#include "snapshot_info.h"
#include "waiting.h"
#include "zip_file.h"

enum { BODY_MAX = 3, KNOWN_MAX = 6 };

struct endpoint {
  const char *name;
  const char *method;
  const char *path[2]; /* of an application, of a database; %s: app_id */
  const char *main;    /* the option that a lone argument stands for */
  const char *known[KNOWN_MAX];
  struct {
    const char *option, *wire;
  } body[BODY_MAX];      /* required ids, sent as JSON */
  bool scopes;           /* takes `scope`, sent as a query */
  bool lists;            /* gives addresses, which need the account's id */
  bool uploads;          /* sends `zip`, a ZipFile, as a form's file */
  bool internal;         /* no method of the Client */
  enum sq_action action; /* to the platform's limits */
  sq_finish finish;
};

static const struct endpoint endpoints[] = {
    {.name = "snapshot",
     .method = "POST",
     .path = {"/apps/%s/snapshots", "/databases/%s/snapshots"},
     .main = "app_id",
     .known = {"app_id", "application_type", "wait"},
     .action = SQ_CREATES,
     .finish = sq_create_finish},
    {.name = "all_app_snapshots",
     .method = "GET",
     .path = {"/apps/%s/snapshots", "/databases/%s/snapshots"},
     .main = "app_id",
     .known = {"app_id", "application_type"},
     .lists = true,
     .finish = sq_snapshot_infos_finish},
    {.name = "all_snapshots",
     .method = "GET",
     .path = {"/users/snapshots?scope=applications",
              "/users/snapshots?scope=databases"},
     .main = "scope",
     .known = {"scope"},
     .scopes = true,
     .lists = true,
     .finish = sq_snapshot_infos_finish},
    {.name = "restore_snapshot",
     .method = "POST",
     .path = {"/apps/%s/snapshots/restore", "/databases/%s/snapshots/restore"},
     .known = {"app_id", "application_type", "snapshot_id", "version_id",
               "wait"},
     .body = {{"snapshot_id", "snapshotId"}, {"version_id", "versionId"}},
     .action = SQ_RESTORES,
     .finish = sq_restore_finish},
    {.name = "account",
     .method = "GET",
     .path = {"/users/me", "/users/me"},
     .known = {NULL},
     .finish = sq_response_finish},
    {.name = "upload_app",
     .method = "POST",
     .path = {"/apps"},
     .known = {"app_id", "zip", "within", "progress"}, /* whose copy: shown */
     .uploads = true,
     .internal = true,
     .finish = sq_response_finish},
    {.name = "app_status",
     .method = "GET",
     .path = {"/apps/%s/status"},
     .main = "app_id",
     .known = {"app_id", "within"},
     .internal = true,
     .finish = sq_response_finish},
    {.name = "delete_app",
     .method = "DELETE",
     .path = {"/apps/%s"},
     .main = "app_id",
     .known = {"app_id"},
     .internal = true,
     .finish = sq_response_finish},
};

static bool takes(const struct endpoint *e, const char *option) {
  for (int i = 0; i < KNOWN_MAX && e->known[i]; i++)
    if (strcmp(e->known[i], option) == 0) return true;
  return false;
}

/* ---- asking ----------------------------------------------------------- */

/* Pushes base_url + path, with `id` in it as one path segment. */
static const char *push_url(lua_State *L, const char *path, const char *id) {
  const char *base = sq_client_push_address(L, 1, "base_url");
  const char *hole = strstr(path, "%s");
  if (!hole) {
    lua_pushstring(L, path);
  } else {
    luaL_Buffer b;
    size_t n = strlen(id), need = 3 * n + 1;
    luaL_buffinit(L, &b);
    luaL_addlstring(&b, path, (size_t)(hole - path));
    char *at = luaL_prepbuffsize(&b, need);
    luaL_addsize(&b, sq_url_encode(at, need, id, n));
    luaL_addstring(&b, hole + 2);
    luaL_pushresult(&b);
  }
  lua_pushfstring(L, "%s%s", base, lua_tostring(L, -1));
  return lua_tostring(L, -1);
}

/* Pushes the JSON body, or nil when the endpoint sends none. */
static const char *push_body(const struct endpoint *e,
                             const struct sq_options *o, size_t *size) {
  if (!e->body[0].option) {
    lua_pushnil(o->L);
    return NULL;
  }
  lua_createtable(o->L, 0, BODY_MAX);
  for (int i = 0; i < BODY_MAX && e->body[i].option; i++) {
    lua_pushstring(o->L, sq_options_id(o, e->body[i].option, true));
    lua_setfield(o->L, -2, e->body[i].wire);
  }
  sq_json_encode(o->L);
  return lua_tolstring(o->L, -1, size);
}

static struct sq_op *new_request(struct sq_client *c,
                                 const struct sq_call *call,
                                 struct sq_request_options r) {
  bool post = strcmp(r.method, "POST") == 0;
  r.operation = call->operation;
  r.timeout = post ? c->action_timeout : c->timeout;
  return sq_request_new(c->profile, &r);
}

static struct sq_op *new_get(struct sq_client *c, const struct sq_call *call,
                             const char *url) {
  struct sq_request_options r = {.method = "GET", .url = url};
  return new_request(c, call, r);
}

/* The answer to "who am I", asked because a list needs the account's id. */
static int finish_account(lua_State *L, struct sq_call *call, int index) {
  const struct endpoint *e = call->endpoint;
  int n = sq_answer_push(L, call);
  if (n > 0) return n;
  const char *id = NULL;
  if (lua_getfield(L, -1, "response") == LUA_TTABLE &&
      lua_getfield(L, -1, "user") == LUA_TTABLE &&
      lua_getfield(L, -1, "id") == LUA_TSTRING)
    id = lua_tostring(L, -1);
  if (!id || sq_id_problem(id, strlen(id)))
    return sq_call_error(L, call, SQ_PROTOCOL,
                         "the answer about the account has no user id");
  lua_getiuservalue(L, index, SQ_CALL_KEEPS);
  sq_client_set_account(L, -1, id);
  struct sq_op *after = call->after;
  call->after = NULL;
  return sq_call_next(L, call, after, e->finish);
}

static int run(lua_State *L, struct sq_client *c, struct sq_call *call,
               const struct sq_request_options *r, double within) {
  const struct endpoint *e = call->endpoint;
  int index = lua_gettop(L);
  bool lists = e->lists || (call->deadline && e->finish == sq_create_finish);
  bool unknown = lists && !sq_client_push_address(L, 1, "account_id");
  const char *me = unknown ? push_url(L, "/users/me", "") : NULL;
  sq_client_check(L, 1); /* a finalizer may have closed it meanwhile */
  sq_list_append(&c->calls, &call->siblings);
  struct sq_op *op = new_request(c, call, *r);
  if (op) sq_op_set_within(op, within);
  if (!unknown || !op) return sq_call_run(L, index, op, e->finish);
  call->after = op;
  return sq_call_run(L, index, new_get(c, call, me), finish_account);
}

static double read_seconds(const struct endpoint *e, const struct sq_options *o,
                           const char *name) {
  return takes(e, name) ? sq_options_number(o, name, 0, 0, 1e9) : 0;
}

/* Pushes the progress function of an upload, or nil; sets its file. */
static void read_upload(const struct endpoint *e, const struct sq_options *o,
                        struct sq_request_options *r) {
  if (!e->uploads) {
    lua_pushnil(o->L);
    return;
  }
  lua_getfield(o->L, o->index, "zip"); /* the options keep it */
  r->file = sq_zip_file_check(o->L, -1);
  lua_pop(o->L, 1);
  sq_options_function(o, "progress");
}

/* Client at 1, options at 2. */
static int call_endpoint(lua_State *L, const struct endpoint *e) {
  static const char *const types[] = {"app", "database", NULL};
  static const char *const scopes[] = {"applications", "databases", NULL};
  struct sq_client *c = sq_client_check(L, 1);
  /* a record or handle alone stands for the snapshot that it is */
  if (e->body[0].option) sq_snapshot_to_options(L, 2);
  struct sq_options o = sq_options_take(
      L, 2, e->name, e->main, e->scopes || !takes(e, "app_id"), e->known);
  int database = e->scopes
                     ? sq_options_choice(&o, "scope", scopes, 0)
                     : sq_options_choice(&o, "application_type", types, 0);
  const char *id = takes(e, "app_id") ? sq_options_id(&o, "app_id", true) : "";
  struct sq_request_options r = {
      .method = e->method, .action = e->action, .app = id};
  r.body = push_body(e, &o, &r.body_size);
  r.url = push_url(L, e->path[database], id);
  double within = read_seconds(e, &o, "within");
  read_upload(e, &o, &r);
  int progress = lua_gettop(L);
  struct sq_call *call =
      sq_call_push(L, c->state, e->name, e->scopes ? scopes[database] : id, 1);
  int index = lua_gettop(L);
  call->endpoint = e;
  call->database = database == 1;
  sq_wait_set(call, read_seconds(e, &o, "wait"));
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, index, SQ_CALL_CONTEXT);
  lua_pushvalue(L, progress);
  lua_setiuservalue(L, index, SQ_CALL_PROGRESS);
  return run(L, c, call, &r, within);
}

int sq_endpoint_ask(lua_State *L, struct sq_call *call, const char *path,
                    sq_finish finish) {
  lua_getfield(L, 2, "app_id");
  const char *url = push_url(L, path, lua_tostring(L, -1));
  struct sq_client *c = sq_client_check(L, 1);
  return sq_call_next(L, call, new_get(c, call, url), finish);
}

int sq_endpoint_repeat(lua_State *L, struct sq_call *call) {
  const struct endpoint *e = call->endpoint;
  struct sq_options o = {L, 2, e->name};
  struct sq_request_options r = {.method = e->method, .action = e->action};
  lua_getfield(L, 2, "app_id");
  r.app = lua_tostring(L, -1);
  r.url = push_url(L, e->path[call->database], r.app);
  r.body = push_body(e, &o, &r.body_size);
  struct sq_client *c = sq_client_check(L, 1);
  call->sent = false; /* the first was refused, or this would not be called */
  return sq_call_next(L, call, new_request(c, call, r), e->finish);
}

static int m_endpoint(lua_State *L) {
  return call_endpoint(L, lua_touserdata(L, lua_upvalueindex(1)));
}

void sq_endpoints_add(lua_State *L, bool methods) {
  for (size_t i = 0; i < SQ_COUNT(endpoints); i++) {
    if (endpoints[i].internal == methods) continue;
    lua_pushlightuserdata(L, (void *)(uintptr_t)&endpoints[i]);
    lua_pushcclosure(L, m_endpoint, 1);
    lua_setfield(L, -2, endpoints[i].name);
  }
}

int sq_endpoint_call(lua_State *L, const char *name) {
  for (size_t i = 0; i < SQ_COUNT(endpoints); i++)
    if (strcmp(endpoints[i].name, name) == 0)
      return call_endpoint(L, &endpoints[i]);
  return luaL_error(L, "no endpoint '%s'", name);
}

/* ---- answers ---------------------------------------------------------- */

int sq_answer_push(lua_State *L, struct sq_call *call) {
  if (sq_op_failure(call->op)->kind != SQ_OK) return sq_call_failed(L, call);
  const struct sq_buf *body = sq_request_body(call->op);
  if (!sq_json_decode(L, body->data, body->size) || !lua_istable(L, -1))
    return sq_call_error(
        L, call, SQ_PROTOCOL, "the answer is not JSON: %s",
        lua_isstring(L, -1) ? lua_tostring(L, -1) : "no object");
  return 0;
}
