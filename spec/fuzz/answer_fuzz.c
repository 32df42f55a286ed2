/*
 * answer_fuzz.c - what an answer of the API means: csrc/base/answer.c.
 *
 *   2 bytes of status, the body
 */
#include "fuzz.h"

#include "../../csrc/base/answer.h"

static void check_retry(const struct sq_failure *f, bool post, int attempts) {
  struct sq_retry_policy policy = {3, 60};
  double wait;
  bool again = sq_retry_decide(&policy, attempts, f, post, 0.999, &wait);
  CHECK(wait >= 0 && wait <= 60);
  CHECK(again || wait == 0);
  if (again && post) CHECK(f->http_status == 429 || !f->sent);
}

static void check_judgement(int status, const char *body, size_t size,
                            const struct sq_envelope *e, bool post) {
  struct sq_failure f;
  if (sq_answer_judge(status, body, size, post, &f)) {
    CHECK(f.kind == SQ_OK && status / 100 == 2 && e->is_object);
    CHECK(strcmp(e->status, "success") == 0);
  } else {
    CHECK(f.kind != SQ_OK && f.kind < SQ_KIND_COUNT);
    CHECK(f.message[0] && fuzz_line_is_plain(f.message));
    CHECK(fuzz_line_is_plain(f.code) && f.http_status == status);
    if (post && status / 100 == 5) CHECK(f.kind == SQ_SERVER);
    check_retry(&f, post, size > 0 ? body[0] % 12 + 1 : 1);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int status = (int)(fuzz_take(&data, &size, 2) % 1000);
  const char *body = (const char *)data;
  struct sq_envelope e;
  sq_envelope_scan(body, size, &e);
  CHECK(strlen(e.status) < sizeof e.status && strlen(e.code) < sizeof e.code);
  CHECK(strlen(e.message) < sizeof e.message);
  if (!e.is_object)
    CHECK(!e.status[0] && !e.code[0] && !e.message[0]);
  else
    CHECK(memchr(body, '{', size) && memchr(body, '}', size));
  check_judgement(status, body, size, &e, false);
  check_judgement(status, body, size, &e, true);
  return 0;
}
