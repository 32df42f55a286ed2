/*
 * base_probe.c - opens the pure C files of csrc/base to table tests; built
 * for the specs only, never shipped.
 *
 * Every input is copied to a block of exactly its size, and every output goes
 * to a block of exactly the promised size: a sanitizer then sees each byte
 * that is read or written beside them.
 */
#include "../../csrc/base/answer.h"
#include "../../csrc/base/buf.h"
#include "../../csrc/base/failure.h"
#include "../../csrc/base/isotime.h"
#include "../../csrc/base/limits.h"
#include "../../csrc/base/response_codes.h"
#include "../../csrc/base/url.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define PROBE_EXPORT __attribute__((visibility("default")))
#else
#define PROBE_EXPORT
#endif

PROBE_EXPORT int luaopen_base_probe(lua_State *L);

/* {== Arguments and results ============================================== */

/* Blocks are pushed: a function with optional arguments sets the top first. */
static char *block(lua_State *L, size_t size) {
  return lua_newuserdatauv(L, size, 0);
}

/* The string at `arg` without its terminator. */
static const char *bytes(lua_State *L, int arg, size_t *n) {
  const char *s = luaL_checklstring(L, arg, n);
  char *copy = block(L, *n);
  if (*n > 0) memcpy(copy, s, *n);
  return copy;
}

/* The string at `arg` with its terminator; null for nil. */
static const char *string(lua_State *L, int arg) {
  size_t n;
  const char *s = luaL_optlstring(L, arg, NULL, &n);
  return s == NULL ? NULL : memcpy(block(L, n + 1), s, n + 1);
}

static size_t opt_cap(lua_State *L, int arg, size_t otherwise) {
  return (size_t)luaL_optinteger(L, arg, (lua_Integer)otherwise);
}

static enum sq_kind check_kind(lua_State *L, int arg) {
  const char *name = luaL_checkstring(L, arg);
  for (int i = 0; i < SQ_KIND_COUNT; i++)
    if (strcmp(sq_kind_name((enum sq_kind)i), name) == 0)
      return (enum sq_kind)i;
  return (enum sq_kind)luaL_argerror(L, arg, "no kind");
}

static void set_string(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, int value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

static void set_boolean(lua_State *L, const char *key, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, key);
}

static void push_failure(lua_State *L, const struct sq_failure *f) {
  lua_newtable(L);
  set_string(L, "kind", sq_kind_name(f->kind));
  set_string(L, "code", f->code);
  set_string(L, "message", f->message);
  set_boolean(L, "retryable", f->retryable);
  set_boolean(L, "sent", f->sent);
  set_integer(L, "http_status", f->http_status);
  set_integer(L, "curl_code", f->curl_code);
  set_integer(L, "errno", f->err_no);
  lua_pushnumber(L, f->retry_after);
  lua_setfield(L, -2, "retry_after");
}

/* A failure whose every byte was something else before. */
static struct sq_failure *dirty_failure(lua_State *L) {
  struct sq_failure *f = lua_newuserdatauv(L, sizeof *f, 0);
  memset(f, 0x41, sizeof *f);
  f->sent = f->retryable = true;
  return f;
}

static int push_problem(lua_State *L, const char *problem) {
  lua_pushstring(L, problem);
  return 1;
}

/* ==} */

/* {== failure.h ========================================================== */

static int p_kind_name(lua_State *L) {
  lua_pushstring(L, sq_kind_name((enum sq_kind)luaL_checkinteger(L, 1)));
  return 1;
}

static int p_failure_clear(lua_State *L) {
  struct sq_failure *f = dirty_failure(L);
  sq_failure_clear(f);
  push_failure(L, f);
  return 1;
}

static int p_failure_set(lua_State *L) {
  enum sq_kind kind = check_kind(L, 1);
  const char *text = luaL_checkstring(L, 2);
  struct sq_failure *f = dirty_failure(L);
  bool gave = sq_failure_set(f, kind, "%s", text);
  push_failure(L, f);
  lua_pushboolean(L, gave);
  return 2;
}

/* failure_wrap(message, prefix): the text comes from the failure itself. */
static int p_failure_wrap(lua_State *L) {
  struct sq_failure *f = dirty_failure(L);
  sq_failure_set(f, SQ_SERVER, "%s", luaL_checkstring(L, 1));
  sq_failure_set(f, SQ_INTEGRITY, "%s%s", luaL_checkstring(L, 2), f->message);
  push_failure(L, f);
  return 1;
}

static int p_failure_errno(lua_State *L) {
  lua_settop(L, 3);
  struct sq_failure *f = dirty_failure(L);
  bool gave = sq_failure_errno(f, (int)luaL_checkinteger(L, 1),
                               luaL_checkstring(L, 2), string(L, 3));
  push_failure(L, f);
  lua_pushboolean(L, gave);
  return 2;
}

/* failure_hide(message, code, secret): message and code are set as they are,
 * without being made fit first. */
static int p_failure_hide(lua_State *L) {
  lua_settop(L, 3);
  size_t n, m;
  const char *message = luaL_checklstring(L, 1, &n);
  const char *code = luaL_checklstring(L, 2, &m);
  struct sq_failure *f = dirty_failure(L);
  sq_failure_clear(f);
  luaL_argcheck(L, n < sizeof f->message, 1, "too long");
  luaL_argcheck(L, m < sizeof f->code, 2, "too long");
  memcpy(f->message, message, n + 1);
  memcpy(f->code, code, m + 1);
  sq_failure_hide(f, string(L, 3));
  push_failure(L, f);
  return 1;
}

static int p_show(lua_State *L) {
  lua_settop(L, 2);
  size_t n, cap;
  const char *text = bytes(L, 1, &n);
  char *dst;
  cap = opt_cap(L, 2, 4 * n + 16);
  dst = block(L, cap);
  if (sq_show(dst, cap, text, n) != dst)
    return luaL_error(L, "sq_show gives something else than dst");
  lua_pushstring(L, cap > 0 ? dst : NULL);
  return 1;
}

/* ==} */

/* {== url.h ============================================================== */

static int p_id_problem(lua_State *L) {
  size_t n;
  const char *s = bytes(L, 1, &n);
  return push_problem(L, sq_id_problem(s, n));
}

static int p_filename_problem(lua_State *L) {
  size_t n;
  const char *s = bytes(L, 1, &n);
  return push_problem(L, sq_filename_problem(s, n));
}

static int p_text_is_plain(lua_State *L) {
  size_t n;
  const char *s = bytes(L, 1, &n);
  lua_pushboolean(L, sq_text_is_plain(s, n));
  return 1;
}

/* url_encode(s[, cap]): what was written (nil for cap 0), what was needed */
static int p_url_encode(lua_State *L) {
  lua_settop(L, 2);
  size_t n, cap, need;
  const char *s = bytes(L, 1, &n);
  char *dst;
  cap = opt_cap(L, 2, 3 * n + 1);
  dst = block(L, cap);
  need = sq_url_encode(cap > 0 ? dst : NULL, cap, s, n);
  lua_pushstring(L, cap > 0 ? dst : NULL);
  lua_pushinteger(L, (lua_Integer)need);
  return 2;
}

/* query_get(query, name[, cap]): the value or nil, what dst holds */
static int p_query_get(lua_State *L) {
  lua_settop(L, 3);
  size_t n, cap = opt_cap(L, 3, 256);
  const char *query = bytes(L, 1, &n);
  const char *name = string(L, 2);
  char *dst = block(L, cap);
  bool found = sq_query_get(query, n, name, dst, cap);
  lua_pushstring(L, found ? dst : NULL);
  lua_pushstring(L, cap > 0 ? dst : NULL);
  return 2;
}

static int p_query_expires(lua_State *L) {
  size_t n;
  const char *query = bytes(L, 1, &n);
  lua_pushinteger(L, sq_query_expires(query, n));
  return 1;
}

static int p_url_public(lua_State *L) {
  const char *url = string(L, 1);
  lua_pushlstring(L, url, sq_url_public_length(url));
  return 1;
}

static int p_url_query(lua_State *L) {
  lua_pushstring(L, sq_url_query(string(L, 1)));
  return 1;
}

static int p_name_from_url(lua_State *L) {
  const char *url = string(L, 1);
  char *dst = block(L, SQ_NAME_MAX + 1);
  sq_name_from_url(dst, url);
  lua_pushstring(L, dst);
  return 1;
}

static int p_name_tame(lua_State *L) {
  lua_settop(L, 2);
  size_t n, cap = opt_cap(L, 2, 256);
  const char *s = bytes(L, 1, &n);
  char *dst = block(L, cap);
  sq_name_tame(dst, cap, s, n);
  lua_pushstring(L, cap > 0 ? dst : NULL);
  return 1;
}

/* ==} */

/* {== isotime.h ========================================================== */

static int p_parse_iso(lua_State *L) {
  size_t n;
  const char *s = bytes(L, 1, &n);
  struct sq_time t;
  if (!sq_time_parse_iso(s, n, &t)) return 0;
  lua_pushinteger(L, t.seconds);
  lua_pushinteger(L, t.nanos);
  return 2;
}

static int p_parse_http(lua_State *L) {
  size_t n;
  const char *s = bytes(L, 1, &n);
  lua_pushinteger(L, sq_time_parse_http(s, n));
  return 1;
}

static int p_format_iso(lua_State *L) {
  lua_settop(L, 2);
  char *dst = block(L, 32);
  sq_time_format_iso(dst, luaL_checkinteger(L, 1),
                     (int)luaL_optinteger(L, 2, -1));
  lua_pushstring(L, dst);
  return 1;
}

static int p_format_compact(lua_State *L) {
  char *dst = block(L, 32);
  sq_time_format_compact(dst, luaL_checkinteger(L, 1));
  lua_pushstring(L, dst);
  return 1;
}

/* ==} */

/* {== response_codes.h =================================================== */

static int p_code_canonical(lua_State *L) {
  lua_pushstring(L, sq_code_canonical(string(L, 1)));
  return 1;
}

/* code_sentence(code, kind) */
static int p_code_sentence(lua_State *L) {
  enum sq_kind kind = check_kind(L, 2);
  lua_pushstring(L, sq_code_sentence(string(L, 1), kind));
  return 1;
}

static int p_status_kind(lua_State *L) {
  int status = (int)luaL_checkinteger(L, 1);
  lua_pushstring(L, sq_kind_name(sq_status_kind(status)));
  return 1;
}

/* response_kind(status, code, post) */
static int p_response_kind(lua_State *L) {
  int status = (int)luaL_checkinteger(L, 1);
  bool post = lua_toboolean(L, 3);
  lua_pushstring(L, sq_kind_name(sq_response_kind(status, string(L, 2), post)));
  return 1;
}

/* ==} */

/* {== answer.h =========================================================== */

static int p_envelope_scan(lua_State *L) {
  size_t n;
  const char *body = bytes(L, 1, &n);
  struct sq_envelope *e = lua_newuserdatauv(L, sizeof *e, 0);
  memset(e, 0x41, sizeof *e);
  sq_envelope_scan(body, n, e);
  lua_newtable(L);
  set_boolean(L, "is_object", e->is_object);
  set_string(L, "status", e->status);
  set_string(L, "code", e->code);
  set_string(L, "message", e->message);
  return 1;
}

/* judge(status, body, post) */
static int p_judge(lua_State *L) {
  size_t n;
  int status = (int)luaL_checkinteger(L, 1);
  bool post = lua_toboolean(L, 3);
  const char *body = bytes(L, 2, &n);
  struct sq_failure *f = dirty_failure(L);
  lua_pushboolean(L, sq_answer_judge(status, body, n, post, f));
  push_failure(L, f);
  return 2;
}

static int p_retry_after(lua_State *L) {
  lua_settop(L, 2);
  size_t n = 0;
  lua_Integer now = luaL_optinteger(L, 2, 0);
  const char *value = lua_isnil(L, 1) ? NULL : bytes(L, 1, &n);
  lua_pushnumber(L, sq_retry_after(value, n, now));
  return 1;
}

static lua_Number number_field(lua_State *L, const char *key,
                               lua_Number otherwise) {
  lua_Number value;
  lua_getfield(L, 1, key);
  value = luaL_optnumber(L, -1, otherwise);
  lua_pop(L, 1);
  return value;
}

static bool boolean_field(lua_State *L, const char *key) {
  bool value;
  lua_getfield(L, 1, key);
  value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

static int p_retry_decide(lua_State *L) {
  struct sq_retry_policy policy;
  struct sq_failure f;
  double wait = -7;
  bool again;
  policy.retries = (int)number_field(L, "retries", 3);
  policy.max_retry_wait = number_field(L, "max_retry_wait", 60);
  sq_failure_clear(&f);
  lua_getfield(L, 1, "kind");
  f.kind = check_kind(L, -1);
  f.sent = boolean_field(L, "sent");
  f.retry_after = number_field(L, "retry_after", -1);
  f.http_status = (int)number_field(L, "http_status", 0);
  again = sq_retry_decide(&policy, (int)number_field(L, "attempts", 1), &f,
                          boolean_field(L, "post"),
                          number_field(L, "random", 0.5), &wait);
  lua_pushboolean(L, again);
  lua_pushnumber(L, wait);
  return 2;
}

/* ==} */

/* {== limits.h =========================================================== */

/* A list of keys, whose clock the test says: limits() gives a function
 * (what, who) that stands for sq_limits_<what>; `who` has the fields key,
 * action, app, pace, most, now, gone (seconds), kind, code, http_status,
 * retry_after. */
#define LIMITS "spec.Limits"

static int64_t nanoseconds_field(lua_State *L, const char *key) {
  return (int64_t)(number_field(L, key, 0) * 1e9);
}

static const char *string_field(lua_State *L, const char *key,
                                const char *otherwise) {
  lua_getfield(L, 1, key); /* stays, and is kept by the table anyway */
  return luaL_optstring(L, -1, otherwise);
}

static void read_failure(lua_State *L, struct sq_failure *f) {
  sq_failure_clear(f);
  lua_getfield(L, 1, "kind");
  f->kind = lua_isnil(L, -1) ? SQ_OK : check_kind(L, -1);
  f->retry_after = number_field(L, "retry_after", -1);
  f->http_status = (int)number_field(L, "http_status", 0);
  strncpy(f->code, string_field(L, "code", ""), sizeof f->code - 1);
}

static int on_limits(lua_State *L) {
  static const char *const actions[] = {"asks", "creates", "restores", NULL};
  static const char *const whats[] = {"may_go", "gone", "note", NULL};
  struct sq_limits **all =
      (struct sq_limits **)lua_touserdata(L, lua_upvalueindex(1));
  int what = luaL_checkoption(L, 1, NULL, whats);
  lua_remove(L, 1);
  int64_t now = nanoseconds_field(L, "now");
  struct sq_limits *l = sq_limits_of(all, string_field(L, "key", "k"), now);
  lua_getfield(L, 1, "action");
  struct sq_limited who = {
      .action = (enum sq_action)luaL_checkoption(L, -1, "asks", actions),
      .app = string_field(L, "app", ""),
      .pace = number_field(L, "pace", 0),
      .most = number_field(L, "most", 300),
      .times = &sq_limit_times};
  const char *why = NULL;
  struct sq_failure f;
  switch (what) {
    case 0:
      now = sq_limits_may_go(l, &who, now, &why) - now;
      lua_pushnumber(L, (double)now / 1e9);
      lua_pushstring(L, why);
      return 2;
    case 1:
      sq_limits_gone(l, &who, now);
      return 0;
    default:
      read_failure(L, &f);
      lua_pushnumber(
          L, sq_limits_note(l, &who, nanoseconds_field(L, "gone"), now, &f));
      return 1;
  }
}

static int free_limits(lua_State *L) {
  sq_limits_free((struct sq_limits **)luaL_checkudata(L, 1, LIMITS));
  return 0;
}

static int p_limits(lua_State *L) {
  struct sq_limits **all =
      (struct sq_limits **)lua_newuserdatauv(L, sizeof *all, 0);
  *all = NULL;
  if (luaL_newmetatable(L, LIMITS)) {
    lua_pushcfunction(L, free_limits);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  lua_pushcclosure(L, on_limits, 1);
  return 1;
}

/* ==} */

/* {== buf.h ============================================================== */

/* buf(piece, ...): the bytes (nil while there are none), size, whether it was
 * terminated at every step, whether it is empty again when freed */
static int p_buf(lua_State *L) {
  struct sq_buf b = {NULL, 0, 0};
  bool terminated = true, empty;
  int pieces = lua_gettop(L);
  for (int i = 1; i <= pieces; i++) luaL_checkstring(L, i);
  for (int i = 1; i <= pieces; i++) {
    size_t n;
    const char *s = lua_tolstring(L, i, &n);
    if (!sq_buf_add(&b, s, n)) terminated = false;
    if (b.data != NULL && (b.data[b.size] != '\0' || b.capacity <= b.size))
      terminated = false;
  }
  if (b.data != NULL)
    lua_pushlstring(L, b.data, b.size);
  else
    lua_pushnil(L);
  lua_pushinteger(L, (lua_Integer)b.size);
  sq_buf_free(&b);
  sq_buf_free(&b);
  empty = b.data == NULL && b.size == 0 && b.capacity == 0;
  lua_pushboolean(L, terminated);
  lua_pushboolean(L, empty);
  return 4;
}

/* Whether adding more than memory can hold is refused and changes nothing. */
static int p_buf_refuses_too_much(lua_State *L) {
  struct sq_buf b = {NULL, 0, 0};
  bool kept = sq_buf_add(&b, "abc", 3) && !sq_buf_add(&b, "x", SIZE_MAX) &&
              !sq_buf_add(&b, "x", SIZE_MAX - 3) && b.size == 3 &&
              strcmp(b.data, "abc") == 0;
  sq_buf_free(&b);
  lua_pushboolean(L, kept);
  return 1;
}

static int p_strdup(lua_State *L) {
  const char *s = string(L, 1);
  char *copy = sq_strdup(s);
  lua_pushstring(L, copy);
  lua_pushboolean(L, copy != s || s == NULL);
  free(copy);
  return 2;
}

/* ==} */

static const luaL_Reg functions[] = {
    {"kind_name", p_kind_name},
    {"failure_clear", p_failure_clear},
    {"failure_set", p_failure_set},
    {"failure_wrap", p_failure_wrap},
    {"failure_errno", p_failure_errno},
    {"failure_hide", p_failure_hide},
    {"show", p_show},
    {"id_problem", p_id_problem},
    {"filename_problem", p_filename_problem},
    {"text_is_plain", p_text_is_plain},
    {"url_encode", p_url_encode},
    {"query_get", p_query_get},
    {"query_expires", p_query_expires},
    {"url_public", p_url_public},
    {"url_query", p_url_query},
    {"name_from_url", p_name_from_url},
    {"name_tame", p_name_tame},
    {"parse_iso", p_parse_iso},
    {"parse_http", p_parse_http},
    {"format_iso", p_format_iso},
    {"format_compact", p_format_compact},
    {"code_canonical", p_code_canonical},
    {"code_sentence", p_code_sentence},
    {"status_kind", p_status_kind},
    {"response_kind", p_response_kind},
    {"envelope_scan", p_envelope_scan},
    {"judge", p_judge},
    {"retry_after", p_retry_after},
    {"retry_decide", p_retry_decide},
    {"limits", p_limits},
    {"buf", p_buf},
    {"buf_refuses_too_much", p_buf_refuses_too_much},
    {"strdup", p_strdup},
    {NULL, NULL}};

int luaopen_base_probe(lua_State *L) {
  luaL_newlib(L, functions);
  lua_pushinteger(L, SQ_KIND_COUNT);
  lua_setfield(L, -2, "KIND_COUNT");
  lua_pushinteger(L, SQ_NAME_MAX);
  lua_setfield(L, -2, "NAME_MAX");
  return 1;
}
