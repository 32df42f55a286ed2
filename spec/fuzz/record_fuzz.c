/*
 * record_fuzz.c - the record of which bytes of a part are there, and the
 * arithmetic on its pieces: csrc/base/record.c, csrc/base/pieces.c.
 *
 *   1 byte: odd, a right checksum is put behind the text; how pieces are cut
 */
#include "fuzz.h"

#include <inttypes.h>

#include "../../csrc/base/part.h"

enum { TEXT_MAX = 8192, SUM_BYTES = 21 };

static size_t add_sum(char *text, size_t n) {
  uint64_t h = UINT64_C(14695981039346656037);
  for (size_t i = 0; i < n; i++)
    h = (h ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
  return n +
         (size_t)snprintf(text + n, SUM_BYTES + 1, "sum %016" PRIx64 "\n", h);
}

/* What was read can be written, and is then read as the same. */
static void check_round_trip(const struct sq_record *r) {
  char text[TEXT_MAX];
  struct sq_record back;
  size_t n = sq_record_format(r, text, sizeof text);
  CHECK(n > 0 && n < sizeof text);
  CHECK(sq_record_parse(text, n, &back));
  CHECK(strcmp(back.object, r->object) == 0);
  CHECK(strcmp(back.etag, r->etag) == 0);
  CHECK(back.pieces.total == r->pieces.total);
  CHECK(back.pieces.count == r->pieces.count);
  for (int i = 0; i < r->pieces.count; i++) {
    const struct sq_piece *a = &back.pieces.list[i], *b = &r->pieces.list[i];
    CHECK(a->first == b->first && a->next == b->next && a->end == b->end);
  }
}

/* A download goes on from there to its end, by whatever streams. */
static void check_pieces(struct sq_pieces p, unsigned cuts) {
  bool busy[SQ_PIECES_MAX] = {false};
  int64_t done = sq_pieces_done(&p);
  CHECK(done >= 0 && done <= p.total);
  sq_pieces_tidy(&p);
  CHECK(sq_pieces_are_sound(&p) && sq_pieces_done(&p) == done);
  CHECK(sq_pieces_set_total(&p, p.total));
  for (unsigned i = 0; i < 8; i++) {
    int piece = sq_pieces_pick(&p, busy, cuts >> 4);
    CHECK(sq_pieces_are_sound(&p) && sq_pieces_done(&p) == done);
    if (piece < 0) break;
    CHECK(piece < p.count && p.list[piece].next < p.list[piece].end);
    busy[piece] = true;
  }
  for (int i = 0; i < p.count; i++) p.list[i].next = p.list[i].end;
  CHECK(sq_pieces_whole(&p));
  sq_pieces_tidy(&p);
  CHECK(p.count == 1 && sq_pieces_whole(&p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  unsigned how = (unsigned)fuzz_take(&data, &size, 1);
  if (size > TEXT_MAX - SUM_BYTES - 1) return 0;
  char *text = malloc(size + SUM_BYTES + 1);
  CHECK(text != NULL);
  memcpy(text, data, size);
  size_t n = how & 1 ? add_sum(text, size) : size;
  struct sq_record r;
  if (sq_record_parse(text, n, &r)) {
    CHECK(r.object[0] && fuzz_line_is_plain(r.object));
    CHECK(fuzz_line_is_plain(r.etag));
    CHECK(sq_pieces_are_sound(&r.pieces));
    check_round_trip(&r);
    check_pieces(r.pieces, how);
  }
  free(text);
  return 0;
}
