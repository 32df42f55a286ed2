/*
 * url.h - ids, keys, addresses and file names as text; no libcurl, no
 * allocation, nothing kept.  Lengths and formats of ids are the platform's
 * business; only what would change a request's meaning is refused.
 */
#ifndef SQ_URL_H
#define SQ_URL_H

#include "../config.h"

#include <stdbool.h>
#include <stddef.h>

SQ_HIDDEN_BEGIN

enum { SQ_NAME_MAX = 200 }; /* bytes of a file name we make up, at most */

/* Null when `s` may stand as one path segment of the API (an id), else what
 * is wrong with it: "is empty", "is '.' or '..'" , "contains a control
 * character" (0x00-0x1f, 0x7f). */
const char *sq_id_problem(const char *s, size_t n);

/* True when `s` has no control character (0x00-0x1f, 0x7f). */
bool sq_text_is_plain(const char *s, size_t n);

/*
 * Percent-encodes `n` bytes as one path segment: RFC 3986 unreserved
 * characters stay, everything else becomes %HH (upper case).  Writes at most
 * `cap` bytes with the terminator and gives the length that the whole needs,
 * as snprintf does.
 */
size_t sq_url_encode(char *dst, size_t cap, const char *s, size_t n);

/*
 * The value of the first parameter `name` in a query string (without its
 * `?`; a leading one is skipped; ends at `#` or `n`), percent-decoded.
 * False when absent, malformed, holding a control character, or longer than
 * cap - 1; dst is "" then.  An empty value is found, and empty (without its
 * `=`, too).  Names are compared decoded; a `+` is a `+`.
 */
bool sq_query_get(const char *query, size_t n, const char *name, char *dst,
                  size_t cap);

/* The epoch seconds of `Expires` in a query string, or -1. */
int64_t sq_query_expires(const char *query, size_t n);

/* The length of `url` up to its `?` or `#`: what may be shown. */
size_t sq_url_public_length(const char *url);

/* The query of `url` behind its first `?`, with the fragment if there is one
 * ("" when there is no `?` before the fragment). */
const char *sq_url_query(const char *url);

/*
 * The last path segment of `url`, percent-decoded, as a file name that is
 * safe anywhere: only [A-Za-z0-9._-] is kept, leading dots go, at most
 * SQ_NAME_MAX bytes (the ".zip" ending is kept when cut), never empty
 * ("snapshot.zip" then); a name without ".zip" at its end gets it.
 */
void sq_name_from_url(char dst[SQ_NAME_MAX + 1], const char *url);

/* The last path segment of `url`, percent-decoded, up to cap - 1 bytes or to
 * what cannot be in a name; gives its length. */
size_t sq_url_last_segment(char *dst, size_t cap, const char *url);

/* The same taming for text that is no url (an id): nothing is decoded, no
 * ending is added; "snapshot" when nothing of `s` is left.  At most cap - 1
 * bytes, and never more than SQ_NAME_MAX. */
void sq_name_tame(char *dst, size_t cap, const char *s, size_t n);

/* Null when `s` is a plain file name (one path segment that can be created:
 * not empty, not "." or "..", no `/`, no backslash, no control character, at
 * most 255 - strlen(".part.meta.new") bytes), else what is wrong with it. */
const char *sq_filename_problem(const char *s, size_t n);

SQ_HIDDEN_END

#endif
