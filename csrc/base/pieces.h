/*
 * pieces.h - which bytes of a download are there: a partition of it into
 * pieces, each filled from its start.
 *
 * A piece is [first, end); [first, next) is there.  Pieces cover [0, total)
 * without gap or overlap, in no order; one stream is one piece.  While the
 * total is unknown there is one piece and its end is INT64_MAX.
 */
#ifndef SQ_PIECES_H
#define SQ_PIECES_H

#include "../config.h"

#include <stdbool.h>
#include <stddef.h>

SQ_HIDDEN_BEGIN

enum { SQ_PIECES_MAX = 64 };

struct sq_piece {
  int64_t first, next, end;
};

struct sq_pieces {
  int64_t total; /* -1: not known */
  int count;
  struct sq_piece list[SQ_PIECES_MAX];
};

/* One empty piece. */
void sq_pieces_reset(struct sq_pieces *p, int64_t total);
/* The total became known; false when bytes beyond it are there already. */
bool sq_pieces_set_total(struct sq_pieces *p, int64_t total);
int64_t sq_pieces_done(const struct sq_pieces *p);
bool sq_pieces_whole(const struct sq_pieces *p);

/*
 * A piece with bytes missing whose index is not set in `busy`; -1 when there
 * is none.  When every unfinished piece is busy, the one with the most left
 * is cut in two, its second half given, if both halves get `least` bytes; a
 * busy piece's reader then ends at its new, earlier end.
 */
int sq_pieces_pick(struct sq_pieces *p, const bool busy[SQ_PIECES_MAX],
                   int64_t least);

/* True when the pieces cover [0, total) once and their marks lie inside:
 * what was read from a file is checked before it is believed. */
bool sq_pieces_are_sound(const struct sq_pieces *p);

/* Sorts the pieces and joins those that are complete with what follows them,
 * so that the list stays short.  Indexes change: only while none is busy. */
void sq_pieces_tidy(struct sq_pieces *p);

SQ_HIDDEN_END

#endif
