/*
 * response.c - the Response record.  User value 1: a table of its fields;
 * 2: its client.
 */
#include "response.h"

#include "client.h"
#include "endpoints.h"
#include "json.h"
#include "object.h"

static const char *const fields[] = {"status",   "code",        "message",
                                     "response", "http_status", NULL};

static void get(lua_State *L, int index, int field) {
  sq_record_get_plain(L, index, fields[field]);
}

/* Stack: ..., envelope, fields.  Copies what is there. */
static void copy_field(lua_State *L, const char *name) {
  lua_getfield(L, -2, name);
  if (sq_json_is_null(L, -1))
    lua_pop(L, 1);
  else
    lua_setfield(L, -2, name);
}

int sq_response_finish(lua_State *L, struct sq_call *call, int index) {
  int n = sq_answer_push(L, call);
  if (n > 0) return n;
  sq_json_normalize(L, -1);
  lua_createtable(L, 0, 5);
  copy_field(L, "status");
  copy_field(L, "code");
  copy_field(L, "message");
  copy_field(L, "response");
  lua_pushinteger(L, sq_request_head(call->op)->status);
  lua_setfield(L, -2, "http_status");
  lua_newuserdatauv(L, 0, 2);
  luaL_setmetatable(L, SQ_RESPONSE);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, 1);
  lua_getiuservalue(L, index, SQ_CALL_KEEPS);
  lua_setiuservalue(L, -2, 2);
  return 1;
}

static int mm_tostring(lua_State *L) {
  luaL_checkudata(L, 1, SQ_RESPONSE);
  lua_settop(L, 1);
  sq_record_get_plain(L, 1, "status");
  sq_record_get_plain(L, 1, "http_status");
  lua_getiuservalue(L, 1, 2);
  lua_pushfstring(L, SQ_RESPONSE " (%s, HTTP %I%s)",
                  lua_isstring(L, 2) ? lua_tostring(L, 2) : "no status",
                  (LUAI_UACINT)lua_tointeger(L, 3),
                  sq_client_is_closed(L, 4) ? ", closed" : "");
  return 1;
}

void sq_response_setup(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", mm_tostring},
                                         {NULL, NULL}};
  static const struct sq_record_class class = {SQ_RESPONSE, fields, get,
                                               methods, metamethods};
  sq_record_setup(L, &class);
}
