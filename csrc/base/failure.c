/*
 * failure.c - failures as plain data, and the one place where outside text
 * is made fit to be shown.  It owns nothing; all text lives in the caller's
 * struct or buffer.
 */
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HIDDEN "[hidden]"
#define DOTS "..."

enum {
  RAW_MAX = 4096,   /* bytes of a message before it is made fit */
  PATH_SHOWN = 700, /* bytes of a path, so that the reason has room, too */
  HIDDEN_LENGTH = sizeof(HIDDEN) - 1,
  DOTS_LENGTH = sizeof(DOTS) - 1,
  SECRET_MIN = 4
};

/* {== Kinds ============================================================== */

const char *sq_kind_name(enum sq_kind kind) {
  static const char *const names[SQ_KIND_COUNT] = {
      [SQ_OK] = "ok",
      [SQ_AUTHENTICATION] = "authentication",
      [SQ_PERMISSION] = "permission",
      [SQ_NOT_FOUND] = "not_found",
      [SQ_BAD_REQUEST] = "bad_request",
      [SQ_RATE_LIMITED] = "rate_limited",
      [SQ_QUOTA] = "quota",
      [SQ_PENDING] = "pending",
      [SQ_SERVER] = "server",
      [SQ_NETWORK] = "network",
      [SQ_TLS] = "tls",
      [SQ_TIMEOUT] = "timeout",
      [SQ_PROTOCOL] = "protocol",
      [SQ_EXPIRED] = "expired",
      [SQ_INTEGRITY] = "integrity",
      [SQ_FILESYSTEM] = "filesystem",
      [SQ_EXISTS] = "exists",
      [SQ_CANCELLED] = "cancelled",
      [SQ_CLOSED] = "closed",
  };
  size_t i = (size_t)kind;
  return i < SQ_KIND_COUNT ? names[i] : "unknown";
}

static bool is_retryable(enum sq_kind kind) {
  return kind == SQ_NETWORK || kind == SQ_TIMEOUT || kind == SQ_SERVER ||
         kind == SQ_RATE_LIMITED || kind == SQ_PENDING;
}

/* ==} */

/* {== A writer that cuts between units, never inside one ================= */

struct shown {
  char *dst;
  size_t cap, size;
  size_t mark; /* the last end of a unit that leaves room for the dots */
  bool cut;
};

/* A unit is a character, an escape, or HIDDEN. */
static void put(struct shown *out, const char *unit, size_t n) {
  if (out->cut) return;
  if (out->cap - out->size <= n) {
    out->cut = true;
    return;
  }
  memcpy(out->dst + out->size, unit, n);
  out->size += n;
  if (out->size + DOTS_LENGTH < out->cap) out->mark = out->size;
}

static void put_end(struct shown *out) {
  if (out->cut && out->cap > DOTS_LENGTH) {
    memcpy(out->dst + out->mark, DOTS, DOTS_LENGTH);
    out->size = out->mark + DOTS_LENGTH;
  }
  out->dst[out->size] = '\0';
}

/* ==} */

/* {== Characters ========================================================= */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool is_one_of(char c, const char *set) {
  return c != '\0' && strchr(set, c) != NULL;
}

static bool is_quote(char c) { return is_one_of(c, "\"'`"); }

static bool is_closing(char c) { return is_quote(c) || is_one_of(c, ")]}>"); }

static char lower(char c) {
  return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool is_continuation(unsigned char c) { return (c & 0xc0) == 0x80; }

/* The length that a first byte promises; 0 when it cannot be one. */
static size_t utf8_width(unsigned char c) {
  if (c < 0x80) return 1;
  if (c < 0xc2 || c > 0xf4) return 0;
  return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* The length of the UTF-8 character at s, 0 when it is none (overlong forms,
 * surrogates and what lies behind U+10FFFF are none). */
static size_t utf8_length(const char *s, size_t n, uint32_t *code) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  unsigned char c = (unsigned char)s[0];
  size_t length = utf8_width(c);
  uint32_t value = length < 2 ? c : c & (0x7fu >> length);
  if (length == 0 || length > n) return 0;
  for (size_t i = 1; i < length; i++) {
    unsigned char next = (unsigned char)s[i];
    if (!is_continuation(next)) return 0;
    value = value << 6 | (next & 0x3fu);
  }
  if (value < least[length] || value > 0x10ffff) return 0;
  if (value >= 0xd800 && value <= 0xdfff) return 0;
  *code = value;
  return length;
}

/* What moves a terminal's cursor, breaks a line, or turns the direction of
 * writing round. */
static bool is_control(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e ||
         code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069);
}

static void put_escaped(struct shown *out, const char *s, size_t n) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    char unit[4] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
    put(out, unit, sizeof unit);
  }
}

/* Shows the character at s; gives its length. */
static size_t put_char(struct shown *out, const char *s, size_t n) {
  uint32_t code = 0;
  if (*s >= ' ' && *s <= '~') { /* most of what is ever shown */
    put(out, s, 1);
    return 1;
  }
  size_t length = utf8_length(s, n, &code);
  if (length == 0) {
    put_escaped(out, s, 1);
    return 1;
  }
  if (is_control(code))
    put_escaped(out, s, length);
  else
    put(out, s, length);
  return length;
}

/* ==} */

/* {== Secrets ============================================================ */

/* Text that is being shown: [p, end). */
struct text {
  const char *p, *end;
  bool open;         /* more of it was cut off */
  const char *plain; /* no query begins before here; null: not known */
};

static bool starts_with(const char *p, const char *end, const char *word) {
  for (; *word != '\0'; p++, word++)
    if (p == end || lower(*p) != *word) return false;
  return true;
}

/* Shows HIDDEN instead of [p, stop), if that is anything, and moves on. */
static void hide_until(struct text *in, struct shown *out, const char *stop) {
  if (stop > in->p) put(out, HIDDEN, HIDDEN_LENGTH);
  in->p = stop;
}

/* Text that has been through here before is not to gain brackets: where a
 * secret is expected, HIDDEN itself is passed over. */
static const char *behind_hidden(const char *p, const char *end) {
  return starts_with(p, end, HIDDEN) ? p + HIDDEN_LENGTH : p;
}

/* A query behind a `?`, which is shown.  It ends at a blank, or at a closing
 * quote or bracket that is not part of a parameter's name. */
static void hide_query(struct text *in, struct shown *out) {
  const char *stop, *p;
  bool is_query = false;
  if (in->plain != NULL && in->p <= in->plain) return;
  for (p = in->p; p < in->end && !is_space(*p); p++)
    if (*p == '=') is_query = true;
  if (p == in->end && in->open) is_query = true;
  if (!is_query) {
    in->plain = p;
    return;
  }
  for (stop = behind_hidden(in->p, in->end); stop < p; stop++) {
    bool last = stop + 1 == p;
    if (is_closing(*stop) && (last || (stop[1] != '&' && stop[1] != '=')))
      break;
  }
  hide_until(in, out, stop);
}

/* The length of the name at p behind which a secret stands; 0: none. */
static size_t secret_name(const char *p, const char *end) {
  static const char *const names[] = {
      "awsaccesskeyid=",      "awsaccesskeyid>",    "signature=",
      "signature>",           "signatureprovided>", "x-amz-credential=",
      "x-amz-security-token="};
  for (size_t i = 0; i < SQ_COUNT(names); i++)
    if (starts_with(p, end, names[i])) return strlen(names[i]);
  return 0;
}

/* The length of `Authorization: ` at p with what stands before the value
 * (JSON's quotes, too); 0: none. */
static size_t authorization_name(const char *p, const char *end) {
  static const char name[] = "authorization";
  const char *at = p;
  if (!starts_with(p, end, name)) return 0;
  at += sizeof name - 1;
  if (at < end && is_closing(*at)) at++;
  while (at < end && is_space(*at)) at++;
  if (at == end || (*at != ':' && *at != '=')) return 0;
  at++;
  while (at < end && (*at == ' ' || *at == '\t')) at++;
  return (size_t)(at - p);
}

/* The ASCII text up to `stop`, as it is. */
static void put_until(struct text *in, struct shown *out, const char *stop) {
  while (in->p < stop) in->p += put_char(out, in->p, 1);
}

/* Where the value at p ends; with `line`, blanks are part of it. */
static const char *value_end(const char *p, const char *end, bool line) {
  for (; p < end; p++) {
    if (line ? *p == '\n' || *p == '\r' || is_quote(*p)
             : is_space(*p) || is_closing(*p) || is_one_of(*p, "&<;,"))
      break;
  }
  return p;
}

/* The value behind a name of `length` bytes: a secret. */
static void hide_value(struct text *in, struct shown *out, size_t length,
                       bool line) {
  put_until(in, out, in->p + length);
  if (in->p < in->end && is_quote(*in->p)) put_until(in, out, in->p + 1);
  hide_until(in, out, value_end(behind_hidden(in->p, in->end), in->end, line));
}

/* ==} */

/* Whether a secret's name may begin with `c`. */
static bool is_telling(char c) {
  c = lower(c);
  return c == 'a' || c == 's' || c == 'x';
}

static void show(struct text in, struct shown *out) {
  while (in.p < in.end && !out->cut) {
    bool telling = is_telling(*in.p);
    size_t named = telling ? secret_name(in.p, in.end) : 0;
    size_t header = telling ? authorization_name(in.p, in.end) : 0;
    bool query = *in.p == '?';
    if (named > 0)
      hide_value(&in, out, named, false);
    else if (header > 0)
      hide_value(&in, out, header, true);
    else
      in.p += put_char(out, in.p, (size_t)(in.end - in.p));
    if (query) hide_query(&in, out);
  }
  if (in.open) out->cut = true;
  put_end(out);
}

char *sq_show(char *dst, size_t cap, const char *text, size_t n) {
  struct shown out = {.dst = dst, .cap = cap};
  struct text in = {.p = text, .end = text};
  if (cap == 0) return dst;
  if (n > 0) in.end = text + n;
  show(in, &out);
  return dst;
}

/* {== Failures =========================================================== */

void sq_failure_clear(struct sq_failure *f) {
  memset(f, 0, sizeof *f);
  f->retry_after = -1;
}

/* The text is made before anything is cleared: it may come from `f`. */
bool sq_failure_set(struct sq_failure *f, enum sq_kind kind, const char *format,
                    ...) {
  char raw[RAW_MAX];
  struct shown out = {.dst = f->message, .cap = sizeof f->message};
  struct text in = {.p = raw, .end = raw};
  va_list arguments;
  int length;
  va_start(arguments, format);
  length = vsnprintf(raw, sizeof raw, format, arguments);
  va_end(arguments);
  sq_failure_clear(f);
  f->kind = kind;
  f->retryable = is_retryable(kind);
  if (length > 0) {
    in.open = (size_t)length >= sizeof raw;
    in.end = raw + (in.open ? sizeof raw - 1 : (size_t)length);
  }
  show(in, &out);
  return false;
}

/* strerror_r comes in two kinds, told apart by what it gives back. */
static inline const char *gnu_said(const char *given, const char *filled) {
  (void)filled;
  return given;
}

static inline const char *posix_said(int given, const char *filled) {
  return given == 0 ? filled : "unknown error";
}

/* clang-format off */ /* each version lays _Generic out another way */
#define STRERROR(err_no, buffer)                       \
  _Generic(strerror_r(err_no, buffer, sizeof(buffer)), \
           int: posix_said, default: gnu_said)(        \
      strerror_r(err_no, buffer, sizeof(buffer)), buffer)
/* clang-format on */

bool sq_failure_errno(struct sq_failure *f, int err_no, const char *what,
                      const char *path) {
  char reason[256] = "";
  const char *said = STRERROR(err_no, reason);
  if (path == NULL) {
    sq_failure_set(f, SQ_FILESYSTEM, "%s: %s", what, said);
  } else {
    char shown[PATH_SHOWN] = "";
    sq_show(shown, sizeof shown, path, strlen(path));
    sq_failure_set(f, SQ_FILESYSTEM, "%s %s: %s", what, shown, said);
  }
  f->err_no = err_no;
  return false;
}

/* How much of the end of `text` (its last dots left out) is the beginning of
 * a secret that was cut off there. */
static size_t cut_secret(const char *text, size_t n, const char *secret,
                         size_t secret_length) {
  size_t length = secret_length - 1 < n ? secret_length - 1 : n;
  for (; length >= SECRET_MIN; length--)
    if (memcmp(text + n - length, secret, length) == 0) return length;
  return 0;
}

/* Rewrites the string in `text` by way of a copy: it may grow. */
static void hide(char *text, size_t cap, const char *secret) {
  char copy[sizeof((struct sq_failure *)0)->message];
  size_t length = strlen(secret), n = strlen(text), body = n;
  struct shown out = {.dst = text, .cap = cap};
  const char *p = copy, *end = copy + n, *tail;
  memcpy(copy, text, n + 1);
  if (n >= DOTS_LENGTH && strcmp(text + n - DOTS_LENGTH, DOTS) == 0)
    body -= DOTS_LENGTH;
  else if (n + 1 < cap)
    body = 0; /* nothing was cut */
  tail = copy + body - cut_secret(copy, body, secret, length);
  while (p < end) {
    bool in_tail = p >= tail && p < copy + body;
    if (in_tail || strncmp(p, secret, length) == 0) {
      put(&out, HIDDEN, HIDDEN_LENGTH);
      p = in_tail ? copy + body : p + length;
    } else {
      uint32_t code;
      size_t width = utf8_length(p, (size_t)(end - p), &code);
      if (width == 0) width = 1;
      put(&out, p, width);
      p += width;
    }
  }
  put_end(&out);
}

void sq_failure_hide(struct sq_failure *f, const char *secret) {
  if (secret == NULL || strlen(secret) < SECRET_MIN) return;
  hide(f->message, sizeof f->message, secret);
  hide(f->code, sizeof f->code, secret);
}

/* ==} */
