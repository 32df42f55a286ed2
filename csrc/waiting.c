/*
 * waiting.c - see waiting.h.  Owns nothing; what it remembers is in the call.
 *
 *   create    202 -> pause -> list -> a newer entry? -> Snapshot
 *                      ^               not yet |
 *                      +-----------------------+
 *   restore   done -> pause -> status -> running? -> Response
 *             409  -> pause -> status -> running? -> ask to restore again
 *
 * When the time is up the error is `pending`, as without waiting.
 */
#include "waiting.h"

#include <time.h>

#include "base/clock.h"
#include "endpoints.h"
#include "json.h"
#include "object.h"
#include "response.h"
#include "snapshot.h"
#include "snapshot_info.h"

#define INTERVAL_FIRST (SQ_SECOND / 4)
#define INTERVAL_MOST (5 * SQ_SECOND) /* the platform's pace for creating */

enum { CLOCKS_DIFFER = 5 }; /* seconds, between the API and the store */

void sq_wait_set(struct sq_call *call, double seconds) {
  if (!(seconds > 0)) return;
  call->deadline = sq_now() + sq_nanoseconds(seconds);
  call->interval = INTERVAL_FIRST;
}

/* Goes on with `finish` after a while, or gives up. */
static int pause_call(lua_State *L, struct sq_call *call, sq_finish finish) {
  int64_t left = call->deadline - sq_now();
  if (left <= 0)
    return sq_call_error(L, call, SQ_PENDING,
                         "still not done when the time to wait ran out");
  if (left > call->interval) left = call->interval;
  call->interval *= 2;
  if (call->interval > INTERVAL_MOST) call->interval = INTERVAL_MOST;
  return sq_call_next(L, call, sq_timer_new((double)left / 1e9), finish);
}

/* An answer that failed, but may not the next time. */
static bool is_passing(const struct sq_call *call) {
  const struct sq_failure *f = sq_op_failure(call->op);
  return f->kind != SQ_OK && f->retryable;
}

/* ---- create ----------------------------------------------------------- */

static int finish_list(lua_State *L, struct sq_call *call, int index);

static int ask_list(lua_State *L, struct sq_call *call, int index) {
  (void)index;
  return sq_endpoint_ask(
      L, call,
      call->database ? "/databases/%s/snapshots" : "/apps/%s/snapshots",
      finish_list);
}

/* Pushes the newest entry of the list on the top, when it is new enough. */
static bool push_newest(lua_State *L, struct sq_call *call) {
  int list = lua_gettop(L), newest = 0;
  lua_Number best = (lua_Number)(call->since - CLOCKS_DIFFER);
  int count = (int)lua_rawlen(L, list);
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, list, i);
    lua_getfield(L, -1, "timestamp");
    if (lua_tonumber(L, -1) >= best) {
      best = lua_tonumber(L, -1);
      newest = i;
    }
    lua_settop(L, list);
  }
  if (newest == 0) return false;
  lua_rawgeti(L, list, newest);
  return true;
}

static int finish_list(lua_State *L, struct sq_call *call, int index) {
  if (is_passing(call)) return pause_call(L, call, ask_list);
  int top = lua_gettop(L);
  int n = sq_snapshot_infos_finish(L, call, index);
  if (n != 1) return n;
  if (push_newest(L, call)) {
    sq_snapshot_from_info(L, index, lua_gettop(L));
    return 1;
  }
  lua_settop(L, top);
  return pause_call(L, call, ask_list);
}

int sq_create_finish(lua_State *L, struct sq_call *call, int index) {
  if (sq_op_failure(call->op)->kind != SQ_PENDING || !call->deadline)
    return sq_snapshot_finish(L, call, index);
  call->since = sq_request_head(call->op)->date;
  if (call->since < 0) call->since = (int64_t)time(NULL);
  return pause_call(L, call, ask_list);
}

/* ---- restore ---------------------------------------------------------- */

static int finish_status(lua_State *L, struct sq_call *call, int index);

static int ask_status(lua_State *L, struct sq_call *call, int index) {
  (void)index;
  return sq_endpoint_ask(
      L, call, call->database ? "/databases/%s/status" : "/apps/%s/status",
      finish_status);
}

static int finish_status(lua_State *L, struct sq_call *call, int index) {
  if (is_passing(call)) return pause_call(L, call, ask_status);
  int top = lua_gettop(L);
  int n = sq_answer_push(L, call);
  if (n > 0) return n;
  if (lua_getfield(L, -1, "response") != LUA_TTABLE ||
      lua_getfield(L, -1, "running") != LUA_TBOOLEAN)
    return sq_call_error(L, call, SQ_PROTOCOL,
                         "the answer does not say whether it is running");
  bool running = lua_toboolean(L, -1);
  lua_settop(L, top);
  if (!running) return pause_call(L, call, ask_status);
  if (lua_getiuservalue(L, index, SQ_CALL_RESULT) == LUA_TUSERDATA) return 1;
  lua_settop(L, top);
  return sq_endpoint_repeat(L, call); /* it was refused: now it can be done */
}

int sq_restore_finish(lua_State *L, struct sq_call *call, int index) {
  bool refused = sq_op_failure(call->op)->kind == SQ_PENDING;
  if (!call->deadline) return sq_response_finish(L, call, index);
  if (!refused) {
    int n = sq_response_finish(L, call, index);
    if (n != 1) return n;
    lua_setiuservalue(L, index, SQ_CALL_RESULT);
  }
  return pause_call(L, call, ask_status);
}
