/*
 * isotime.h - times as text, by days-from-civil arithmetic: no time zone
 * database, no locale, no libc time functions.
 */
#ifndef SQ_ISOTIME_H
#define SQ_ISOTIME_H

#include "../config.h"

#include <stdbool.h>
#include <stddef.h>

SQ_HIDDEN_BEGIN

struct sq_time {
  int64_t seconds; /* since 1970-01-01T00:00:00Z */
  int32_t nanos;   /* 0 to 999 999 999 */
};

/*
 * ISO 8601 / RFC 3339: YYYY-MM-DD, `T`, `t` or a space, hh:mm:ss, optionally
 * a fraction ('.' or ',', 1 to 9 digits kept, more ignored), then `Z`, `z`,
 * or an offset +hh:mm, +hhmm, +hh.  Dates that do not exist, hour 24, and a
 * missing offset are refused; second 60 is taken as 59.  All `n` bytes must
 * be used.  Years 0001 to 9999.
 */
bool sq_time_parse_iso(const char *s, size_t n, struct sq_time *out);

/* An HTTP date (RFC 9110): IMF-fixdate, and the obsolete RFC 850 and asctime
 * forms (whose two-digit years 69 to 99 are 19xx).  Leading and trailing
 * blanks allowed; names in any case.  -1 when it is none or before 1970. */
int64_t sq_time_parse_http(const char *s, size_t n);

/* "2024-06-27T06:23:42.326Z" (milliseconds) or, with millis < 0,
 * "2024-06-27T06:23:42Z".  Both formats stop at the years 0001 and 9999. */
void sq_time_format_iso(char dst[32], int64_t seconds, int millis);

/* "20240627T062342Z", for file names. */
void sq_time_format_compact(char dst[32], int64_t seconds);

SQ_HIDDEN_END

#endif
