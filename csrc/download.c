/*
 * download.c - reads a download's options and starts it; the work is the
 * engine's.  Owns nothing.
 */
#include "download.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/isotime.h"
#include "base/url.h"
#include "call.h"
#include "client.h"
#include "object.h"
#include "snapshot_info.h"
#include "zip_file.h"

/* What the object knows of the snapshot; its strings are on the stack. */
struct source {
  const char *url;
  const char *about;      /* for messages: an id, a file's name */
  const char *version_id; /* "": not known */
  lua_Integer expected;   /* bytes; -1: not known */
};

/* ---- options ---------------------------------------------------------- */

static const char *read_path(const struct sq_options *o) {
  size_t n;
  const char *path = sq_options_string(o, "path", &n);
  if (!path)
    path = ".";
  else if (n == 0)
    sq_options_error(o, "option 'path' is empty");
  else if (strlen(path) != n)
    sq_options_error(o, "option 'path' contains a NUL");
  return sq_push_absolute(o->L, path);
}

static const char *read_filename(const struct sq_options *o,
                                 const char *otherwise) {
  size_t n;
  const char *name = sq_options_string(o, "filename", &n);
  if (!name) return otherwise;
  const char *problem = sq_filename_problem(name, n);
  if (problem) sq_options_error(o, "option 'filename' %s", problem);
  return name;
}

/* "full", "structure", or false. */
static enum sq_verify read_verify(const struct sq_options *o) {
  static const char *const choices[] = {"structure", "full", NULL};
  if (lua_getfield(o->L, o->index, "verify") == LUA_TBOOLEAN) {
    if (lua_toboolean(o->L, -1))
      sq_options_error(o,
                       "option 'verify' must be \"full\", \"structure\" or "
                       "false, got true");
    lua_pop(o->L, 1);
    return SQ_VERIFY_NONE;
  }
  lua_pop(o->L, 1);
  return sq_options_choice(o, "verify", choices, 1) == 0 ? SQ_VERIFY_STRUCTURE
                                                         : SQ_VERIFY_FULL;
}

/* ---- the call --------------------------------------------------------- */

static int finish(lua_State *L, struct sq_call *call, int index) {
  (void)index;
  if (sq_op_failure(call->op)->kind != SQ_OK) return sq_call_failed(L, call);
  sq_zip_file_push(L, call->op);
  return 1;
}

/* Options at 2, the client at `client`. */
static int start(lua_State *L, const struct sq_options *o, int client,
                 const struct source *source, const char *default_name) {
  struct sq_client *c = sq_client_check(L, client);
  struct sq_download_options d = {0};
  d.url = source->url;
  d.version_id = source->version_id;
  d.expected = source->expected;
  d.dir = read_path(o);
  d.name = read_filename(o, default_name);
  d.overwrite = sq_options_boolean(o, "overwrite", false);
  d.resume = sq_options_boolean(o, "resume", true);
  d.verify = read_verify(o);
  d.segments = (int)sq_options_integer(o, "segments", c->segments, 1, 16);
  double within = sq_options_number(o, "within", 0, 0, 1e9);
  d.make_dir = within == 0; /* a rehearsal's own, which may be gone by then */
  d.watched = sq_options_function(o, "progress");
  int progress = lua_gettop(L);
  struct sq_call *call =
      sq_call_push(L, c->state, "download", source->about, client);
  int index = lua_gettop(L);
  lua_pushvalue(L, progress);
  lua_setiuservalue(L, index, SQ_CALL_PROGRESS);
  d.operation = call->operation;
  sq_client_check(L, client); /* a finalizer may have closed it meanwhile */
  sq_list_append(&c->calls, &call->siblings);
  struct sq_op *op = sq_download_new(c->profile, &d);
  if (op) sq_op_set_within(op, within);
  return sq_call_run(L, index, op, finish);
}

int sq_download_url(lua_State *L) {
  static const char *const known[] = {"url",       "path",     "filename",
                                      "overwrite", "resume",   "verify",
                                      "segments",  "progress", NULL};
  char name[SQ_NAME_MAX + 1], version[256] = "";
  size_t n;
  sq_client_check(L, 1);
  struct sq_options o = sq_options_take(L, 2, "download", "url", false, known);
  struct source source = {NULL, name, version, -1};
  source.url = sq_options_string(&o, "url", &n);
  if (!source.url) return sq_options_error(&o, "option 'url' is missing");
  const char *problem = strlen(source.url) == n
                            ? sq_address_problem(source.url, false)
                            : "contains a control character";
  if (problem) return sq_options_error(&o, "option 'url' %s", problem);
  const char *query = sq_url_query(source.url);
  if (!sq_query_get(query, strlen(query), "versionId", version, sizeof version))
    version[0] = '\0';
  sq_name_from_url(name, source.url);
  return start(L, &o, 1, &source, name);
}

/* ---- of a record ------------------------------------------------------ */

/* <id>_<YYYYMMDDTHHMMSSZ>.zip */
static void name_file(char name[SQ_NAME_MAX + 1], const char *id,
                      const char *created_at, size_t n) {
  struct sq_time t;
  char stamp[32];
  if (!created_at || !sq_time_parse_iso(created_at, n, &t))
    t.seconds = (int64_t)time(NULL);
  sq_time_format_compact(stamp, t.seconds);
  size_t rest = strlen(stamp) + strlen("_.zip");
  sq_name_tame(name, SQ_NAME_MAX + 1 - rest, id, strlen(id));
  strcat(strcat(strcat(name, "_"), stamp), ".zip");
}

/* The record at 1, its client's position given. */
static int of_record(lua_State *L, int client, const struct sq_options *o) {
  char name[SQ_NAME_MAX + 1];
  size_t n = 0;
  struct source source = {NULL, NULL, "", -1};
  lua_getfield(L, 1, "id");
  source.about = lua_tostring(L, -1);
  if (lua_getfield(L, 1, "version_id") == LUA_TSTRING)
    source.version_id = lua_tostring(L, -1);
  if (lua_getfield(L, 1, "bytes") == LUA_TNUMBER)
    source.expected = lua_tointeger(L, -1);
  lua_getfield(L, 1, "url");
  source.url = lua_tostring(L, -1);
  lua_getfield(L, 1, "created_at");
  const char *created_at = lua_tolstring(L, -1, &n);
  name_file(name, source.about, created_at, n);
  return start(L, o, client, &source, name);
}

static const char *const known_within[] = {"within",    "path",     "filename",
                                           "overwrite", "resume",   "verify",
                                           "segments",  "progress", NULL};
static const char *const *const known_record = known_within + 1;

/* The record at 1; `push_client` knows where it keeps its client. */
static int download_record(lua_State *L,
                           void (*push_client)(lua_State *L, int index),
                           const char *const *known) {
  push_client(L, 1);
  sq_client_check(L, -1); /* "closed" comes before what else is wrong */
  lua_pop(L, 1);
  struct sq_options o = sq_options_take(L, 2, "download", "path", true, known);
  push_client(L, 1);
  return of_record(L, lua_gettop(L), &o);
}

static void push_snapshot_client(lua_State *L, int index) {
  lua_getiuservalue(L, index, 2);
}

int sq_download_snapshot(lua_State *L) {
  luaL_checkudata(L, 1, SQ_SNAPSHOT);
  return download_record(L, push_snapshot_client, known_record);
}

int sq_download_info(lua_State *L) {
  luaL_checkudata(L, 1, SQ_SNAPSHOT_INFO);
  return download_record(L, sq_snapshot_info_push_client, known_record);
}

int sq_download_within(lua_State *L) {
  bool info = luaL_testudata(L, 1, SQ_SNAPSHOT_INFO) != NULL;
  if (!info) luaL_checkudata(L, 1, SQ_SNAPSHOT);
  return download_record(
      L, info ? sq_snapshot_info_push_client : push_snapshot_client,
      known_within);
}
