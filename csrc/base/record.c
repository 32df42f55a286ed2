/*
 * record.c - `<name>.part.meta`: a few lines of text that say which bytes of
 * a part are there, believed only when whole.
 *
 *   squarecloud part 1
 *   object /applications/ab12/a1.zip v=45ec
 *   etag "9c1e"
 *   total 1048576
 *   piece 0 262144 1048576          first, next, end; one line or more
 *   sum 00f1a2b3c4d5e6f7            FNV-1a of all before it
 */
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "head.h"
#include "url.h"

static const char heading[] = "squarecloud part 1";

enum {
  TEXT_BYTES = 8192,
  SUM_BYTES = 21 /* "sum ", 16 digits, a line end */
};

static uint64_t checksum(const char *s, size_t n) {
  uint64_t h = UINT64_C(14695981039346656037);
  for (size_t i = 0; i < n; i++)
    h = (h ^ (unsigned char)s[i]) * UINT64_C(1099511628211);
  return h;
}

static const char *after(const char *line, const char *word) {
  size_t n = strlen(word);
  return strncmp(line, word, n) == 0 && line[n] == ' ' ? line + n + 1 : NULL;
}

/* Nothing is taken that `format` would not write. */
static bool copy_line(char *dst, size_t cap, const char *text) {
  size_t n = strlen(text);
  if (n >= cap || !sq_text_is_plain(text, n)) return false;
  memcpy(dst, text, n + 1);
  return true;
}

/* `count` numbers with a blank between them, and nothing else. */
static bool take_numbers(const char *text, int64_t *numbers, int count) {
  for (int i = 0; i < count; i++) {
    size_t n = strcspn(text, " ");
    numbers[i] = sq_decimal(text, n);
    if (numbers[i] < 0 || text[n] != (i + 1 < count ? ' ' : '\0')) return false;
    text += n + 1;
  }
  return true;
}

static bool take_piece(struct sq_pieces *p, const char *text) {
  int64_t n[3];
  if (p->count == SQ_PIECES_MAX || !take_numbers(text, n, 3)) return false;
  p->list[p->count++] = (struct sq_piece){n[0], n[1], n[2]};
  return true;
}

static bool take_line(struct sq_record *r, const char *line) {
  const char *text;
  if ((text = after(line, "object")))
    return copy_line(r->object, sizeof r->object, text);
  if ((text = after(line, "etag")))
    return copy_line(r->etag, sizeof r->etag, text);
  if ((text = after(line, "total")))
    return take_numbers(text, &r->pieces.total, 1);
  if ((text = after(line, "piece"))) return take_piece(&r->pieces, text);
  return strcmp(line, heading) == 0;
}

static void format_sum(const char *text, size_t n, char dst[SUM_BYTES + 1]) {
  snprintf(dst, SUM_BYTES + 1, "sum %016" PRIx64 "\n", checksum(text, n));
}

/* The last line is the checksum of the others; *body is their length. */
static bool is_whole(const char *text, size_t n, size_t *body) {
  char sum[SUM_BYTES + 1];
  if (n < sizeof heading + SUM_BYTES || memchr(text, '\0', n)) return false;
  *body = n - SUM_BYTES;
  format_sum(text, *body, sum);
  return memcmp(text + *body, sum, SUM_BYTES) == 0;
}

bool sq_record_parse(char *text, size_t n, struct sq_record *out) {
  size_t body;
  memset(out, 0, sizeof *out);
  out->pieces.total = -1;
  if (!is_whole(text, n, &body)) return false;
  if (memcmp(text, heading, sizeof heading - 1) != 0) return false;
  text[body] = '\0';
  for (char *line = text, *end; *line; line = end + 1) {
    end = strchr(line, '\n');
    if (!end) return false;
    *end = '\0';
    if (!take_line(out, line)) return false;
  }
  return out->object[0] && sq_pieces_are_sound(&out->pieces);
}

static bool is_line(const char *s) { return sq_text_is_plain(s, strlen(s)); }

size_t sq_record_format(const struct sq_record *r, char *dst, size_t cap) {
  char sum[SUM_BYTES + 1];
  if (!is_line(r->object) || !is_line(r->etag)) return 0;
  size_t n =
      (size_t)snprintf(dst, cap, "%s\nobject %s\netag %s\ntotal %" PRId64 "\n",
                       heading, r->object, r->etag, r->pieces.total);
  for (int i = 0; i < r->pieces.count && n < cap; i++) {
    const struct sq_piece *piece = &r->pieces.list[i];
    n += (size_t)snprintf(dst + n, cap - n,
                          "piece %" PRId64 " %" PRId64 " %" PRId64 "\n",
                          piece->first, piece->next, piece->end);
  }
  if (n + SUM_BYTES >= cap) return 0;
  format_sum(dst, n, sum);
  memcpy(dst + n, sum, sizeof sum);
  return n + SUM_BYTES;
}

bool sq_record_read(struct sq_part *p, struct sq_record *out) {
  char name[SQ_PART_NAME_BYTES], text[TEXT_BYTES];
  int fd = openat(p->folder, sq_part_name(p, ".part.meta", name),
                  O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return false;
  size_t n = 0;
  ssize_t got;
  while ((got = read(fd, text + n, sizeof text - n)) != 0) {
    if (got > 0)
      n += (size_t)got;
    else if (errno != EINTR)
      break;
  }
  close(fd);
  p->recorded = got == 0 && n < sizeof text && sq_record_parse(text, n, out);
  return p->recorded;
}

/* 0, or the errno. */
static int write_all(int fd, const char *text, size_t n) {
  while (n > 0) {
    ssize_t w = write(fd, text, n);
    if (w < 0 && errno == EINTR) continue;
    if (w <= 0) return w < 0 ? errno : EIO;
    text += w;
    n -= (size_t)w;
  }
  return 0;
}

/* Whatever lies at the temporary name goes first: it may be another file's
 * second name, or something that would be waited for. */
static int write_file(struct sq_part *p, const char *name, const char *text,
                      size_t n) {
  unlinkat(p->folder, name, 0);
  int fd = openat(p->folder, name,
                  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return errno;
  int err_no = write_all(fd, text, n);
  if (close(fd) != 0 && !err_no && errno != EINTR) err_no = errno;
  return err_no;
}

bool sq_record_write(struct sq_part *p, const struct sq_record *record,
                     struct sq_failure *f) {
  char name[SQ_PART_NAME_BYTES], fresh[SQ_PART_NAME_BYTES], text[TEXT_BYTES];
  size_t n = sq_record_format(record, text, sizeof text);
  sq_part_name(p, ".part.meta", name);
  sq_part_name(p, ".part.meta.new", fresh);
  int err_no = n > 0 ? write_file(p, fresh, text, n) : EINVAL;
  if (!err_no && renameat(p->folder, fresh, p->folder, name) == 0) {
    p->recorded = true;
    return true;
  }
  if (!err_no) err_no = errno;
  unlinkat(p->folder, fresh, 0);
  return sq_part_fail(p, err_no, "cannot write", ".part.meta", f);
}
