/*
 * answer_fuzz.c - what an answer of the API means: csrc/base/answer.c.
 *
 *   2 bytes of status, the body
 */
#include "fuzz.h"

#include "../../csrc/base/answer.h"

static void check_retry(const struct sq_failure *f, int attempts) {
  struct sq_retry_policy policy = {3, 60};
  double wait;
  bool again = sq_retry_decide(&policy, attempts, f, false, 0.999, &wait);
  CHECK(wait >= 0 && wait <= 60);
  CHECK(again || wait == 0);
  if (sq_retry_decide(&policy, attempts, f, true, 0.5, &wait))
    CHECK(again && (f->http_status == 429 || !f->sent));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int status = (int)(fuzz_take(&data, &size, 2) % 1000);
  const char *body = (const char *)data;
  struct sq_envelope e;
  struct sq_failure f;
  sq_envelope_scan(body, size, &e);
  CHECK(strlen(e.status) < sizeof e.status && strlen(e.code) < sizeof e.code);
  CHECK(strlen(e.message) < sizeof e.message);
  if (!e.is_object)
    CHECK(!e.status[0] && !e.code[0] && !e.message[0]);
  else
    CHECK(memchr(body, '{', size) && memchr(body, '}', size));
  if (sq_answer_judge(status, body, size, &f)) {
    CHECK(f.kind == SQ_OK && status / 100 == 2 && e.is_object);
    CHECK(strcmp(e.status, "success") == 0);
  } else {
    CHECK(f.kind != SQ_OK && f.kind < SQ_KIND_COUNT);
    CHECK(f.message[0] && fuzz_line_is_plain(f.message));
    CHECK(fuzz_line_is_plain(f.code) && f.http_status == status);
    check_retry(&f, size > 0 ? data[0] % 12 + 1 : 1);
  }
  return 0;
}
