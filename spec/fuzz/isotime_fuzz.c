/*
 * isotime_fuzz.c - times as text: csrc/base/isotime.c.
 */
#include "fuzz.h"

#include "../../csrc/base/answer.h"
#include "../../csrc/base/isotime.h"

static const int64_t first = -INT64_C(62135596800);
static const int64_t last = INT64_C(253402300799);

/* Any number can be shown; what is shown can be read, and is that number. */
static void check_format(int64_t seconds, int32_t nanos) {
  char text[32], compact[32];
  struct sq_time back;
  int64_t want = seconds < first ? first : seconds > last ? last : seconds;
  sq_time_format_iso(text, seconds, -1);
  CHECK(strlen(text) == 20 && sq_time_parse_iso(text, 20, &back));
  CHECK(back.seconds == want && back.nanos == 0);
  sq_time_format_iso(text, seconds, nanos / 1000000);
  CHECK(strlen(text) == 24 && sq_time_parse_iso(text, 24, &back));
  CHECK(back.seconds == want && back.nanos == nanos / 1000000 * 1000000);
  sq_time_format_compact(compact, seconds);
  CHECK(strlen(compact) == 16 && memcmp(compact, text, 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *p = data;
  size_t n = size;
  char *text = fuzz_text(data, size);
  struct sq_time t;
  if (sq_time_parse_iso(text, size, &t)) {
    CHECK(t.nanos >= 0 && t.nanos < 1000000000);
    CHECK(t.seconds >= first - 86400 && t.seconds <= last + 86400);
    CHECK(fuzz_is_plain(text, size));
    check_format(t.seconds, t.nanos);
  }
  int64_t http = sq_time_parse_http(text, size);
  CHECK(http >= -1 && http <= last);
  check_format(http, 0);
  double wait = sq_retry_after(text, size, 1700000000);
  CHECK(wait == -1 || (wait >= 0 && wait <= 1e15));
  if (http >= 0) CHECK(wait >= 0);
  check_format((int64_t)fuzz_take(&p, &n, 8), 0);
  free(text);
  return 0;
}
