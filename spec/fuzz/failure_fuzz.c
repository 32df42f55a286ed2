/*
 * failure_fuzz.c - outside text as it is shown: csrc/base/failure.c.
 *
 *   1 byte of the buffer's size, the text; in it a byte 0xff becomes the key,
 *   0xfe a signature as an address has it
 */
#include "fuzz.h"

#include "../../csrc/base/failure.h"

/* No escape ends with what they begin with. */
#define KEY "Zkey-is-w"
#define SIGNATURE "Zq-sign-w"

/* A secret that stands alone: what is before it could not be told from it. */
static char *plant(const uint8_t *data, size_t size, size_t *n) {
  char *text = malloc(size * 32 + 1), *p = text;
  CHECK(text != NULL);
  for (size_t i = 0; i < size; i++) {
    const char *unit = data[i] == 0xff   ? KEY
                       : data[i] == 0xfe ? "Signature=" SIGNATURE
                                         : NULL;
    if (unit)
      p = (char *)memcpy(p, unit, strlen(unit)) + strlen(unit);
    else
      *p++ = (char)data[i];
  }
  *p = '\0';
  *n = (size_t)(p - text);
  return text;
}

static void check_shown(const char *shown, size_t cap) {
  CHECK(strlen(shown) < cap && fuzz_line_is_plain(shown));
  CHECK(strstr(shown, SIGNATURE) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t small = (size_t)fuzz_take(&data, &size, 1) + 1, n;
  /* a secret that the fuzzer has guessed is not one that was planted */
  if (memmem(data, size, SIGNATURE, strlen(SIGNATURE))) return 0;
  char *text = plant(data, size, &n);
  char *shown = malloc(small), *whole = malloc(n * 8 + 64), *again;
  CHECK(shown != NULL && whole != NULL);
  check_shown(sq_show(shown, small, text, n), small);
  check_shown(sq_show(whole, n * 8 + 64, text, n), n * 8 + 64);
  size_t length = strlen(whole);
  again = malloc(2 * length + 9);
  CHECK(again != NULL);
  check_shown(sq_show(again, 2 * length + 9, whole, length), 2 * length + 9);
  /* shown before, shown again: the same, unless a value ended at a line's
   * end or a blank that is escaped now: then more is hidden */
  CHECK(strcmp(again, whole) == 0 || !fuzz_is_plain(text, n) ||
        strcasestr(whole, "authorization"));

  struct sq_failure f;
  sq_failure_set(&f, SQ_SERVER, "%s", text);
  check_shown(f.message, sizeof f.message);
  sq_failure_hide(&f, KEY);
  check_shown(f.message, sizeof f.message);
  CHECK(strstr(f.message, KEY) == NULL);
  sq_failure_errno(&f, 2, "cannot open", text);
  check_shown(f.message, sizeof f.message);
  free(text);
  free(shown);
  free(whole);
  free(again);
  return 0;
}
