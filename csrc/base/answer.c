/*
 * answer.c - what an answer of the API means: the scan of an envelope, the
 * judgement, and when to try again.  It owns nothing.
 *
 * The scan decodes no JSON but the three members it looks for.  It never
 * recurses and never reads behind the body, whatever the bytes are; whether
 * the whole is good JSON is for the decoder to say.
 */
#include "answer.h"

#include "isotime.h"
#include "response_codes.h"

#include <string.h>

/* {== Strings of the envelope ============================================ */

/* The closing quote of the string whose first byte is at p, or null.  Each
 * quote looks back at most to the one before it, so this is linear. */
static const char *string_end(const char *p, const char *end) {
  const char *start = p;
  while (p < end) {
    const char *quote = memchr(p, '"', (size_t)(end - p)), *back;
    if (quote == NULL) return NULL;
    for (back = quote; back > start && back[-1] == '\\'; back--) {
    }
    if ((quote - back) % 2 == 0) return quote;
    p = quote + 1;
  }
  return NULL;
}

/* A string being unescaped into a field; it is cut between characters. */
struct field {
  char *dst;
  size_t cap, size;
  bool cut;
};

static void field_add(struct field *to, const char *bytes, size_t n) {
  if (to->cut || to->cap - to->size <= n) {
    to->cut = true;
    return;
  }
  memcpy(to->dst + to->size, bytes, n);
  to->size += n;
}

static void field_add_code(struct field *to, uint32_t code) {
  unsigned char b[4];
  size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = n - 1; i > 0; i--) {
    b[i] = (unsigned char)(0x80 | (code & 0x3f));
    code >>= 6;
  }
  b[0] = (unsigned char)(first[n] | code);
  field_add(to, (const char *)b, n);
}

/* Four hex digits at p, or -1. */
static int32_t hex4(const char *p, const char *end) {
  int32_t value = 0;
  if (end - p < 4) return -1;
  for (int i = 0; i < 4; i++) {
    char c = p[i];
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

enum { REPLACEMENT = 0xfffd }; /* for what is no character, and for NUL */

/* The second half of a character, `\uDC00` to `\uDFFF` at p, or -1. */
static int32_t low_surrogate(const char *p, const char *end) {
  int32_t code;
  if (end - p < 6 || p[0] != '\\' || p[1] != 'u') return -1;
  code = hex4(p + 2, end);
  return code >= 0xdc00 && code <= 0xdfff ? code : -1;
}

/* The digits behind `\u` at p, with a second `\uXXXX` when the first is half
 * a character; gives where it ends. */
static const char *unescape_unicode(struct field *to, const char *p,
                                    const char *end) {
  int32_t code = hex4(p, end);
  if (code < 0) {
    field_add_code(to, REPLACEMENT);
    return p;
  }
  p += 4;
  if (code >= 0xd800 && code <= 0xdfff) {
    int32_t low = low_surrogate(p, end);
    if (code < 0xdc00 && low >= 0) {
      code = 0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00);
      p += 6;
    } else {
      code = REPLACEMENT;
    }
  }
  field_add_code(to, code == 0 ? REPLACEMENT : (uint32_t)code);
  return p;
}

/* What stands behind a backslash at p < end; gives where it ends. */
static const char *unescape_one(struct field *to, const char *p,
                                const char *end) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  const char *at;
  if (*p == 'u') return unescape_unicode(to, p + 1, end);
  at = *p != '\0' ? strchr(names, *p) : NULL;
  if (at != NULL)
    field_add(to, &values[at - names], 1);
  else
    field_add_code(to, REPLACEMENT);
  return p + 1;
}

/* The end of the UTF-8 character at p as far as its bytes go on; what is no
 * UTF-8 is passed on, and escaped where it is shown. */
static const char *char_end(const char *p, const char *end) {
  if ((unsigned char)*p++ >= 0xc0)
    for (int i = 0; i < 3 && p < end && ((unsigned char)*p & 0xc0) == 0x80; i++)
      p++;
  return p;
}

/* The string between its quotes into dst; true when all of it was room for. */
static bool unescape(char *dst, size_t cap, const char *p, const char *end) {
  struct field to = {.dst = dst, .cap = cap};
  while (p < end && !to.cut) {
    if (*p == '\\' && end - p > 1) {
      p = unescape_one(&to, p + 1, end);
    } else if (*p == '\0') {
      field_add_code(&to, REPLACEMENT);
      p++;
    } else {
      const char *next = char_end(p, end);
      field_add(&to, p, (size_t)(next - p));
      p = next;
    }
  }
  dst[to.size] = '\0';
  return !to.cut;
}

/* ==} */

/* {== The envelope ======================================================= */

static const char *skip_space(const char *p, const char *end) {
  while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
  return p;
}

/* Behind the bracket that matches the one at p, or null. */
static const char *skip_nested(const char *p, const char *end) {
  char closing = *p == '{' ? '}' : ']';
  size_t depth = 0;
  for (; p < end; p++) {
    switch (*p) {
      case '{':
      case '[':
        depth++;
        break;
      case '}':
      case ']':
        if (--depth == 0) return *p == closing ? p + 1 : NULL;
        break;
      case '"':
        p = string_end(p + 1, end);
        if (p == NULL) return NULL;
        break;
      default:
        break;
    }
  }
  return NULL;
}

/* Behind a number or a literal at p, or null when there is none. */
static const char *skip_word(const char *p, const char *end) {
  const char *start = p;
  while (p < end &&
         ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
          (*p >= 'A' && *p <= 'Z') || *p == '-' || *p == '+' || *p == '.'))
    p++;
  return p > start ? p : NULL;
}

/* The field for a key between its quotes, emptied: the last member of a name
 * wins, even when it is no string.  Null when nobody wants it. */
static char *field_for(struct sq_envelope *out, const char *key,
                       const char *key_end, size_t *cap) {
  char name[16], *field = NULL;
  if (!unescape(name, sizeof name, key, key_end)) return NULL;
  if (strcmp(name, "status") == 0) {
    field = out->status;
    *cap = sizeof out->status;
  } else if (strcmp(name, "code") == 0) {
    field = out->code;
    *cap = sizeof out->code;
  } else if (strcmp(name, "message") == 0) {
    field = out->message;
    *cap = sizeof out->message;
  }
  if (field != NULL) *field = '\0';
  return field;
}

/* Behind the value at p, which goes to `field` when it is a string and there
 * is one; null when it does not end.  *cut: there was no room for all of it. */
static const char *take_value(const char *p, const char *end, char *field,
                              size_t cap, bool *cut) {
  const char *quote;
  if (p == end) return NULL;
  if (*p == '{' || *p == '[') return skip_nested(p, end);
  if (*p != '"') return skip_word(p, end);
  quote = string_end(p + 1, end);
  if (quote == NULL) return NULL;
  if (field != NULL) *cut = !unescape(field, cap, p + 1, quote);
  return quote + 1;
}

/* Behind one `"key": value` at p, or null. */
static const char *take_member(const char *p, const char *end,
                               struct sq_envelope *out) {
  const char *key = p + 1, *key_end;
  char *field;
  size_t cap = 0;
  bool cut = false;
  if (p == end || *p != '"') return NULL;
  key_end = string_end(key, end);
  if (key_end == NULL) return NULL;
  p = skip_space(key_end + 1, end);
  if (p == end || *p != ':') return NULL;
  field = field_for(out, key, key_end, &cap);
  p = take_value(skip_space(p + 1, end), end, field, cap, &cut);
  if (field == out->message) out->message_cut = cut;
  return p;
}

static bool scan_object(const char *p, const char *end,
                        struct sq_envelope *out) {
  p = skip_space(p, end);
  if (p == end || *p != '{') return false;
  p = skip_space(p + 1, end);
  if (p < end && *p == '}') return skip_space(p + 1, end) == end;
  for (;;) {
    p = take_member(p, end, out);
    if (p == NULL) return false;
    p = skip_space(p, end);
    if (p == end) return false;
    if (*p == '}') return skip_space(p + 1, end) == end;
    if (*p != ',') return false;
    p = skip_space(p + 1, end);
  }
}

void sq_envelope_scan(const char *body, size_t n, struct sq_envelope *out) {
  memset(out, 0, sizeof *out);
  if (n == 0) return;
  out->is_object = scan_object(body, body + n, out);
  if (!out->is_object) memset(out, 0, sizeof *out);
}

/* ==} */

/* {== The judgement ====================================================== */

/* What a gateway answers instead of the API: nothing, or a page. */
static bool is_empty(const char *body, size_t n) {
  return n == 0 || skip_space(body, body + n) == body + n;
}

static bool is_html(const char *body, size_t n) {
  if (n >= 3 && memcmp(body, "\xef\xbb\xbf", 3) == 0) {
    body += 3;
    n -= 3;
  }
  return !is_empty(body, n) && *skip_space(body, body + n) == '<';
}

/* The kind of an answer that is no success. */
static enum sq_kind answer_kind(int http_status, const char *body, size_t n,
                                const struct sq_envelope *e, bool post) {
  enum sq_kind kind = sq_response_kind(http_status, e->code, post);
  if (kind != SQ_OK) return kind;
  return is_empty(body, n) || is_html(body, n) ? SQ_SERVER : SQ_PROTOCOL;
}

/* What to say when the platform says nothing. */
static const char *plain_sentence(const char *body, size_t n,
                                  const struct sq_envelope *e) {
  if (is_empty(body, n)) return "with an empty body";
  if (is_html(body, n)) return "with a page instead of JSON";
  if (!e->is_object) return "without JSON";
  if (e->code[0] == '\0' && strcmp(e->status, "error") != 0)
    return "with JSON that is not an API answer";
  return "without a message";
}

/* The platform's own words, or what there is to say without them. */
static void describe(struct sq_failure *f, enum sq_kind kind, int http_status,
                     const char *body, size_t n, const struct sq_envelope *e) {
  const char *sentence = sq_code_sentence(e->code, kind);
  if (e->message[0] != '\0')
    /* the dots tell sq_failure_hide that a secret may be cut, too */
    sq_failure_set(f, kind, "%s%s", e->message, e->message_cut ? "..." : "");
  else if (sentence != NULL)
    sq_failure_set(f, kind, "%s", sentence);
  else
    sq_failure_set(f, kind, "the platform answered HTTP %d %s", http_status,
                   plain_sentence(body, n, e));
}

bool sq_answer_judge(int http_status, const char *body, size_t n, bool post,
                     struct sq_failure *f) {
  struct sq_envelope e;
  const char *code;
  sq_failure_clear(f);
  f->http_status = http_status;
  if (http_status >= 300 && http_status <= 399) {
    sq_failure_set(f, SQ_PROTOCOL, "the API answered with a redirect (HTTP %d)",
                   http_status);
    f->http_status = http_status;
    return false;
  }
  sq_envelope_scan(body, n, &e);
  code = sq_code_canonical(e.code);
  if (http_status >= 200 && http_status <= 299 &&
      strcmp(e.status, "success") == 0 &&
      strcmp(code, "SNAPSHOT_PROCESSING") != 0)
    return true;
  describe(f, answer_kind(http_status, body, n, &e, post), http_status, body, n,
           &e);
  f->http_status = http_status;
  sq_show(f->code, sizeof f->code, code, strlen(code));
  return false;
}

/* ==} */

/* {== Trying again ======================================================= */

double sq_retry_after(const char *value, size_t n, int64_t now) {
  const double most = 1e15; /* still whole as a double */
  const char *p = value, *end;
  double seconds = 0;
  int64_t date;
  if (value == NULL) return -1;
  end = value + n;
  while (p < end && (*p == ' ' || *p == '\t')) p++;
  while (end > p && (end[-1] == ' ' || end[-1] == '\t')) end--;
  if (p == end) return -1;
  date = sq_time_parse_http(p, (size_t)(end - p));
  if (date >= 0) return date > now ? (double)date - (double)now : 0;
  for (; p < end; p++) {
    if (*p < '0' || *p > '9') return -1;
    seconds = seconds * 10 + (*p - '0');
    if (seconds > most) seconds = most;
  }
  return seconds;
}

static bool may_repeat(const struct sq_failure *f, bool post) {
  switch (f->kind) {
    case SQ_RATE_LIMITED:
      return !post || f->http_status == 429;
    case SQ_NETWORK:
    case SQ_TIMEOUT:
      return !post || !f->sent;
    case SQ_SERVER:
      return !post;
    default:
      return false;
  }
}

bool sq_retry_decide(const struct sq_retry_policy *policy, int attempts,
                     const struct sq_failure *f, bool post, double random,
                     double *wait) {
  const double first = 0.5, most = 30;
  double ceiling = first;
  *wait = 0;
  if (attempts > policy->retries || !may_repeat(f, post)) return false;
  if (f->retry_after > policy->max_retry_wait) return false;
  for (int i = 1; i < attempts && ceiling < most; i++) ceiling *= 2;
  if (ceiling > most) ceiling = most;
  *wait = random * ceiling;
  if (f->retry_after > *wait) *wait = f->retry_after;
  return true;
}

/* ==} */
