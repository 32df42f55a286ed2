/*
 * isotime.c - times as text.  It owns nothing and asks nobody: the calendar
 * is arithmetic on days (H. Hinnant's days-from-civil), so results are the
 * same under every locale and time zone, and on every thread.
 */
#include "isotime.h"

#include <stdio.h>
#include <string.h>

#define DAY 86400
#define YEAR_1 (-INT64_C(62135596800))      /* 0001-01-01T00:00:00Z */
#define YEAR_9999_END INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

struct civil {
  int year, month, day, hour, minute, second;
};

/* {== The calendar ======================================================= */

/* Days since 1970-01-01; years begin in March here, so that the leap day is
 * the last of its year. */
static int64_t days_from_civil(int year, int month, int day) {
  int64_t y = month <= 2 ? year - 1 : year;
  int64_t era = (y >= 0 ? y : y - 399) / 400;
  int64_t of_era = y - era * 400;
  int64_t shifted = month > 2 ? month - 3 : month + 9;
  int64_t of_year = (153 * shifted + 2) / 5 + day - 1;
  int64_t days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
  return era * 146097 + days - 719468;
}

static void civil_from_days(int64_t days, struct civil *c) {
  int64_t z = days + 719468;
  int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  int64_t day = z - era * 146097;
  int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
  int64_t of_year = day - (365 * year + year / 4 - year / 100);
  int64_t shifted = (5 * of_year + 2) / 153;
  c->day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
  c->month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
  c->year = (int)(year + era * 400 + (c->month <= 2 ? 1 : 0));
}

static int month_length(int year, int month) {
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : lengths[month - 1];
}

/* False for what no calendar or clock shows; a leap second, which ends an hour
 * (or, in some zones, a quarter of one), becomes 59.  As retention/time.lua. */
static bool seconds_from_civil(struct civil *c, int64_t *seconds) {
  if (c->year < 1 || c->year > 9999) return false;
  if (c->month < 1 || c->month > 12) return false;
  if (c->day < 1 || c->day > month_length(c->year, c->month)) return false;
  if (c->second == 60 && c->minute % 15 == 14) c->second = 59;
  if (c->hour > 23 || c->minute > 59 || c->second > 59) return false;
  *seconds = days_from_civil(c->year, c->month, c->day) * 24 + c->hour;
  *seconds = (*seconds * 60 + c->minute) * 60 + c->second;
  return true;
}

static void civil_from_seconds(int64_t seconds, struct civil *c) {
  int64_t days, rest;
  if (seconds < YEAR_1) seconds = YEAR_1;
  if (seconds > YEAR_9999_END) seconds = YEAR_9999_END;
  days = seconds / DAY;
  rest = seconds % DAY;
  if (rest < 0) {
    rest += DAY;
    days--;
  }
  civil_from_days(days, c);
  c->hour = (int)(rest / 3600);
  c->minute = (int)(rest / 60 % 60);
  c->second = (int)(rest % 60);
}

/* ==} */

/* {== Readers: each moves the cursor behind what it took ================= */

struct cursor {
  const char *p, *end;
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static char lower(char c) {
  return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* Exactly `width` digits. */
static bool take_digits(struct cursor *in, int width, int *value) {
  int v = 0;
  if (in->end - in->p < width) return false;
  for (int i = 0; i < width; i++) {
    if (!is_digit(in->p[i])) return false;
    v = v * 10 + (in->p[i] - '0');
  }
  in->p += width;
  *value = v;
  return true;
}

/* One character out of `set`. */
static bool take_one(struct cursor *in, const char *set) {
  if (in->p == in->end) return false;
  for (; *set != '\0'; set++) {
    if (*in->p != *set) continue;
    in->p++;
    return true;
  }
  return false;
}

/* A word, whatever its case. */
static bool take_word(struct cursor *in, const char *word) {
  if (in->p == in->end || lower(*in->p) != lower(*word)) return false;
  size_t n = strlen(word);
  if ((size_t)(in->end - in->p) < n) return false;
  for (size_t i = 0; i < n; i++)
    if (lower(in->p[i]) != lower(word[i])) return false;
  in->p += n;
  return true;
}

static bool take_clock(struct cursor *in, struct civil *c) {
  return take_digits(in, 2, &c->hour) && take_one(in, ":") &&
         take_digits(in, 2, &c->minute) && take_one(in, ":") &&
         take_digits(in, 2, &c->second);
}

/* ==} */

/* {== ISO 8601 =========================================================== */

static bool take_fraction(struct cursor *in, int32_t *nanos) {
  int32_t unit = 100000000;
  *nanos = 0;
  if (!take_one(in, ".,")) return true;
  if (in->p == in->end || !is_digit(*in->p)) return false;
  for (; in->p < in->end && is_digit(*in->p); in->p++) {
    *nanos += (*in->p - '0') * unit;
    unit /= 10;
  }
  return true;
}

/* Z, +hh:mm, +hhmm, +hh; the seconds that local time is ahead. */
static bool take_offset(struct cursor *in, int *offset) {
  int hours, minutes = 0;
  bool west;
  *offset = 0;
  if (take_one(in, "Zz")) return true;
  west = in->p < in->end && *in->p == '-';
  if (!take_one(in, "+-") || !take_digits(in, 2, &hours)) return false;
  if (in->p < in->end) {
    take_one(in, ":");
    if (!take_digits(in, 2, &minutes)) return false;
  }
  if (hours > 23 || minutes > 59) return false;
  *offset = (hours * 60 + minutes) * 60;
  if (west) *offset = -*offset;
  return true;
}

bool sq_time_parse_iso(const char *s, size_t n, struct sq_time *out) {
  struct cursor in;
  struct civil c;
  int32_t nanos;
  int64_t seconds;
  int offset;
  if (n == 0) return false;
  in.p = s;
  in.end = s + n;
  if (!take_digits(&in, 4, &c.year) || !take_one(&in, "-") ||
      !take_digits(&in, 2, &c.month) || !take_one(&in, "-") ||
      !take_digits(&in, 2, &c.day) || !take_one(&in, "Tt ") ||
      !take_clock(&in, &c) || !take_fraction(&in, &nanos) ||
      !take_offset(&in, &offset) || in.p != in.end)
    return false;
  if (!seconds_from_civil(&c, &seconds)) return false;
  out->seconds = seconds - offset;
  out->nanos = nanos;
  return true;
}

/* Of two digits, whatever the compiler thinks that it may be. */
static unsigned two(int n) { return (unsigned)n % 100; }

void sq_time_format_iso(char dst[32], int64_t seconds, int millis) {
  struct civil c;
  char fraction[8] = "";
  civil_from_seconds(seconds, &c);
  if (millis > 999) millis = 999;
  if (millis >= 0)
    snprintf(fraction, sizeof fraction, ".%03u", (unsigned)millis % 1000);
  snprintf(dst, 32, "%04d-%02u-%02uT%02u:%02u:%02u%sZ", c.year, two(c.month),
           two(c.day), two(c.hour), two(c.minute), two(c.second), fraction);
}

void sq_time_format_compact(char dst[32], int64_t seconds) {
  struct civil c;
  civil_from_seconds(seconds, &c);
  snprintf(dst, 32, "%04d%02u%02uT%02u%02u%02uZ", c.year, two(c.month),
           two(c.day), two(c.hour), two(c.minute), two(c.second));
}

/* ==} */

/* {== HTTP dates ========================================================= */

static bool take_month(struct cursor *in, int *month) {
  static const char *const names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  for (int i = 0; i < 12; i++) {
    if (take_word(in, names[i])) {
      *month = i + 1;
      return true;
    }
  }
  return false;
}

/* The day's name, long or short; whether it fits the date is not asked. */
static bool take_weekday(struct cursor *in) {
  static const char *const names[] = {
      "Monday",   "Tuesday", "Wednesday", "Thursday", "Friday",
      "Saturday", "Sunday",  "Mon",       "Tue",      "Wed",
      "Thu",      "Fri",     "Sat",       "Sun"};
  for (size_t i = 0; i < SQ_COUNT(names); i++)
    if (take_word(in, names[i])) return true;
  return false;
}

/* "06 Nov 1994 08:49:37 GMT" */
static bool take_fixdate(struct cursor *in, struct civil *c) {
  return take_digits(in, 2, &c->day) && take_one(in, " ") &&
         take_month(in, &c->month) && take_one(in, " ") &&
         take_digits(in, 4, &c->year) && take_one(in, " ") &&
         take_clock(in, c) && take_word(in, " GMT");
}

/* "06-Nov-94 08:49:37 GMT"; the century as POSIX has it: 69 is 1969.  The
 * RFC's rule would need to know what year it is now. */
static bool take_rfc850(struct cursor *in, struct civil *c) {
  if (!take_digits(in, 2, &c->day) || !take_one(in, "-") ||
      !take_month(in, &c->month) || !take_one(in, "-") ||
      !take_digits(in, 2, &c->year))
    return false;
  c->year += c->year >= 69 ? 1900 : 2000;
  return take_one(in, " ") && take_clock(in, c) && take_word(in, " GMT");
}

/* "Nov  6 08:49:37 1994" */
static bool take_asctime(struct cursor *in, struct civil *c) {
  if (!take_month(in, &c->month) || !take_one(in, " ")) return false;
  if (take_one(in, " ")) {
    if (!take_digits(in, 1, &c->day)) return false;
  } else if (!take_digits(in, 2, &c->day)) {
    return false;
  }
  return take_one(in, " ") && take_clock(in, c) && take_one(in, " ") &&
         take_digits(in, 4, &c->year);
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

int64_t sq_time_parse_http(const char *s, size_t n) {
  struct cursor in;
  struct civil c;
  int64_t seconds;
  if (n == 0) return -1;
  in.p = s;
  in.end = s + n;
  while (in.p < in.end && is_blank(*in.p)) in.p++;
  while (in.end > in.p && is_blank(in.end[-1])) in.end--;
  if (!take_weekday(&in)) return -1;
  if (take_word(&in, ", ")) {
    struct cursor start = in;
    if (!take_fixdate(&in, &c)) {
      in = start;
      if (!take_rfc850(&in, &c)) return -1;
    }
  } else if (!take_one(&in, " ") || !take_asctime(&in, &c)) {
    return -1;
  }
  if (in.p != in.end || !seconds_from_civil(&c, &seconds)) return -1;
  return seconds >= 0 ? seconds : -1; /* nothing was sent before 1970 */
}

/* ==} */
