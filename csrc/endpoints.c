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
#include "scripts.h"
#include "snapshot.h"
#include "snapshot_info.h"
#include "zip_file.h"

enum { BODY_MAX = 3, KNOWN_MAX = 7 }; /* a null at the end of each */

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
  bool lists;            /* gives addresses, which need their account's id */
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
     .known = {"app_id", "application_type", "wait", "progress"},
     .action = SQ_CREATES,
     .finish = sq_snapshot_finish},
    {.name = "snapshot",
     .method = "POST",
     .path = {"/apps/%s/snapshots", "/databases/%s/snapshots"},
     .known = {"app_id", "application_type"},
     .internal = true,
     .action = SQ_CREATES,
     .finish = sq_snapshot_asked_finish},
    {.name = "all_app_snapshots",
     .method = "GET",
     .path = {"/apps/%s/snapshots", "/databases/%s/snapshots"},
     .main = "app_id",
     .known = {"app_id", "application_type", "account_id"},
     .lists = true,
     .finish = sq_snapshot_infos_finish},
    {.name = "all_snapshots",
     .method = "GET",
     .path = {"/users/snapshots?scope=applications",
              "/users/snapshots?scope=databases"},
     .main = "scope",
     .known = {"scope", "account_id"},
     .scopes = true,
     .lists = true,
     .finish = sq_snapshot_infos_finish},
    {.name = "restore_snapshot",
     .method = "POST",
     .path = {"/apps/%s/snapshots/restore", "/databases/%s/snapshots/restore"},
     .known = {"app_id", "application_type", "snapshot_id", "version_id",
               "wait", "progress"},
     .body = {{"snapshot_id", "snapshotId"}, {"version_id", "versionId"}},
     .action = SQ_RESTORES,
     .finish = sq_response_finish},
    {.name = "account",
     .method = "GET",
     .path = {"/users/me", "/users/me"},
     .known = {NULL},
     .finish = sq_response_finish},
    {.name = "workspaces",
     .method = "GET",
     .path = {"/workspaces", "/workspaces"},
     .known = {NULL},
     .finish = sq_response_finish},
    {.name = "upload_app",
     .method = "POST",
     .path = {"/apps"},
     .known = {"app_id", "zip", "within", "progress"}, /* whose copy: shown */
     .uploads = true,
     .internal = true,
     .finish = sq_response_finish},
    {.name = "status",
     .method = "GET",
     .path = {"/apps/%s/status", "/databases/%s/status"},
     .known = {"app_id", "application_type", "within"},
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

double sq_endpoint_wait(const struct sq_options *o) {
  double seconds = sq_options_number(o, "wait", 0, 0, 1e9);
  lua_pushnumber(o->L, seconds);
  lua_setfield(o->L, o->index, "wait");
  sq_options_function(o, "progress");
  lua_setfield(o->L, o->index, "progress");
  return seconds;
}

/* Whether a listing's addresses can be made: with the account's id from the
 * options, or the client's. */
static bool has_account(const struct sq_options *o) {
  if (!sq_options_id(o, "account_id", false)) {
    sq_client_push_address(o->L, 1, "account_id");
    lua_setfield(o->L, o->index, "account_id");
  }
  return sq_options_id(o, "account_id", false) != NULL;
}

/* Null, or the module that the call is left to. */
static const char *script_of(const struct endpoint *e,
                             const struct sq_options *o) {
  if (takes(e, "wait") && sq_endpoint_wait(o) > 0) return "waiting";
  if (e->lists && !has_account(o)) return "owners";
  return NULL;
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
  bool restores = e->body[0].option != NULL;
  if (restores && sq_snapshot_lacks_version(L, 2)) {
    if (lua_gettop(L) > 2)
      return luaL_error(L, "%s: takes one options table", e->name);
    return sq_script_call(L, "waiting", "restore_created");
  }
  if (restores) sq_snapshot_to_options(L, 2);
  struct sq_options o = sq_options_take(
      L, 2, e->name, e->main, e->scopes || !takes(e, "app_id"), e->known);
  int database = e->scopes
                     ? sq_options_choice(&o, "scope", scopes, 0)
                     : sq_options_choice(&o, "application_type", types, 0);
  const char *id = takes(e, "app_id") ? sq_options_id(&o, "app_id", true) : "";
  struct sq_request_options r = {
      .method = e->method, .action = e->action, .app = id};
  r.body = push_body(e, &o, &r.body_size);
  const char *script = script_of(e, &o);
  if (script) {
    lua_settop(L, 2);
    return sq_script_call(L, script, e->name);
  }
  r.url = push_url(L, e->path[database], id);
  double within =
      takes(e, "within") ? sq_options_number(&o, "within", 0, 0, 1e9) : 0;
  read_upload(e, &o, &r);
  int progress = lua_gettop(L);
  struct sq_call *call =
      sq_call_push(L, c->state, e->name, e->scopes ? scopes[database] : id, 1);
  int index = lua_gettop(L);
  call->database = database == 1;
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, index, SQ_CALL_CONTEXT);
  lua_pushvalue(L, progress);
  lua_setiuservalue(L, index, SQ_CALL_PROGRESS);
  sq_client_check(L, 1); /* a finalizer may have closed it meanwhile */
  sq_list_append(&c->calls, &call->siblings);
  struct sq_op *op = new_request(c, call, r);
  if (op) sq_op_set_within(op, within);
  return sq_call_run(L, index, op, e->finish);
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
    if (!endpoints[i].internal && strcmp(endpoints[i].name, name) == 0)
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
