/*
 * pieces.c - see pieces.h.  Owns nothing; no allocation.
 */
#include "pieces.h"

#include <string.h>

void sq_pieces_reset(struct sq_pieces *p, int64_t total) {
  memset(p, 0, sizeof *p);
  p->total = total;
  p->count = 1;
  p->list[0].end = total < 0 ? INT64_MAX : total;
}

bool sq_pieces_set_total(struct sq_pieces *p, int64_t total) {
  struct sq_piece *last = &p->list[p->count - 1];
  if (p->total >= 0) return p->total == total;
  if (last->next > total) return false;
  p->total = last->end = total;
  return true;
}

int64_t sq_pieces_done(const struct sq_pieces *p) {
  int64_t done = 0;
  for (int i = 0; i < p->count; i++) done += p->list[i].next - p->list[i].first;
  return done;
}

bool sq_pieces_whole(const struct sq_pieces *p) {
  return p->total >= 0 && sq_pieces_done(p) == p->total;
}

static int64_t left(const struct sq_piece *piece) {
  return piece->end - piece->next;
}

static int cut(struct sq_pieces *p, int i, int64_t least) {
  struct sq_piece *piece = &p->list[i];
  int64_t half = left(piece) / 2;
  if (half < least || half < 1) return -1;
  if (p->total < 0 || p->count == SQ_PIECES_MAX) return -1;
  /* the new piece goes last: indexes of busy ones must not move */
  struct sq_piece *other = &p->list[p->count];
  other->end = piece->end;
  other->first = other->next = piece->end = piece->end - half;
  return p->count++;
}

int sq_pieces_pick(struct sq_pieces *p, const bool busy[SQ_PIECES_MAX],
                   int64_t least) {
  int most = -1;
  for (int i = 0; i < p->count; i++) {
    if (left(&p->list[i]) <= 0) continue;
    if (!busy[i]) return i;
    if (most < 0 || left(&p->list[i]) > left(&p->list[most])) most = i;
  }
  return most < 0 ? -1 : cut(p, most, least);
}

static void sort(struct sq_pieces *p) {
  for (int i = 1; i < p->count; i++) {
    struct sq_piece piece = p->list[i];
    int j = i;
    for (; j > 0 && p->list[j - 1].first > piece.first; j--)
      p->list[j] = p->list[j - 1];
    p->list[j] = piece;
  }
}

bool sq_pieces_are_sound(const struct sq_pieces *given) {
  struct sq_pieces p = *given;
  int64_t at = 0;
  if (p.total < 0 || p.count < 1 || p.count > SQ_PIECES_MAX) return false;
  sort(&p);
  for (int i = 0; i < p.count; i++) {
    const struct sq_piece *piece = &p.list[i];
    if (piece->first != at || piece->next < piece->first ||
        piece->end < piece->next || (piece->end == at && p.total > 0))
      return false;
    at = piece->end;
  }
  return at == p.total;
}

void sq_pieces_tidy(struct sq_pieces *p) {
  int kept = 0;
  sort(p);
  for (int i = 1; i < p->count; i++) {
    struct sq_piece *a = &p->list[kept], *b = &p->list[i];
    if (left(a) == 0) {
      a->next = b->next;
      a->end = b->end;
    } else {
      p->list[++kept] = *b;
    }
  }
  p->count = kept + 1;
}
