/*
 * zip_plan.c - what extracting an archive would write, judged before any of
 * it is written: names, types, collisions, limits.
 *
 * It touches no file system and owns nothing but the plan's own two blocks.
 */
#include "zip_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *part_problem(const char *part, size_t n) {
  if (n == 2 && part[0] == '.' && part[1] == '.')
    return "its name leads outside through '..'";
  if (n > SQ_ZIP_PART_MAX) return "a part of its name is longer than 255 bytes";
  return NULL;
}

/* Null when the name may be used; it is then at dst without its "." and empty
 * parts, which takes no more room than before. */
static const char *name_clean(const char *name, char *dst) {
  char *out = dst;
  size_t n;

  for (; *name; name += n + (name[n] == '/')) {
    const char *problem;
    n = strcspn(name, "/");
    problem = part_problem(name, n);
    if (problem) return problem;
    if (n == 0 || (n == 1 && name[0] == '.')) continue;
    if (out > dst) *out++ = '/';
    memcpy(out, name, n);
    out += n;
  }
  *out = '\0';
  return NULL;
}

/* The first byte that no name may hold, or null. */
static const char *byte_problem(const char *name) {
  for (; *name; name++) {
    unsigned char c = (unsigned char)*name;
    if (c < 0x20 || c == 0x7f) return "its name contains a control character";
    if (c == '\\') return "its name contains a backslash";
  }
  return NULL;
}

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static const char *name_problem(const struct sq_zip_item *item, char *dst) {
  const char *name = item->entry.name;
  const char *problem = byte_problem(name);

  if (item->control) return "its name contains a control character";
  if (problem) return problem;
  if (!*name) return "it has no name";
  if (*name == '/') return "its name is absolute";
  if (is_letter(name[0]) && name[1] == ':')
    return "its name begins with a drive letter";
  if (strlen(name) > SQ_ZIP_PATH_MAX)
    return "its name is longer than 4096 bytes";
  problem = name_clean(name, dst);
  if (problem) return problem;
  if (!*dst && !item->entry.directory) return "its name is not a file name";
  return NULL;
}

/* Judges by the Unix mode, whatever system the record says made it: the
 * others leave these bits zero. */
static const char *type_problem(const struct sq_zip_item *item,
                                bool *directory) {
  mode_t type = item->attributes >> 16 & S_IFMT;

  *directory = item->entry.directory || type == S_IFDIR;
  if (type == S_IFLNK) return "is a symbolic link";
  if (type == S_IFCHR || type == S_IFBLK || type == S_IFIFO || type == S_IFSOCK)
    return "is a device, a pipe or a socket";
  if (*directory && item->entry.bytes > 0) return "is a directory with content";
  return *directory ? NULL : sq_zip_unreadable(item);
}

static bool plan_judge(struct sq_zip_plan *p, struct sq_failure *f) {
  char *free_path = p->paths;
  size_t i;

  for (i = 0; i < p->z->layout.entries; i++) {
    const struct sq_zip_item *item = &p->z->items[i];
    struct sq_zip_step *e = &p->steps[p->count];
    const char *problem = name_problem(item, free_path);
    if (!problem) problem = type_problem(item, &e->directory);
    if (problem) return sq_zip_fail(f, p->z, item, SQ_INTEGRITY, problem);
    if (!*free_path) continue; /* "./", the target itself */
    e->index = i;
    e->path = free_path;
    free_path += strlen(free_path) + 1;
    p->count++;
  }
  return true;
}

static int by_index(const void *a, const void *b) {
  const struct sq_zip_step *x = a, *y = b;
  return (x->index > y->index) - (x->index < y->index);
}

/* Order by path, `/` before all else, so that what lies beneath a path
 * follows it at once; the same path in the archive's order. */
static int by_path(const void *a, const void *b) {
  const struct sq_zip_step *x = a, *y = b;
  const char *s = x->path, *t = y->path;

  while (*s && *s == *t) s++, t++;
  if (!*s && !*t) return by_index(a, b);
  if (*s == '/' || *t == '/') {
    if (!*s || !*t) return *s ? 1 : -1;
    return *s == '/' ? -1 : 1;
  }
  return (unsigned char)*s < (unsigned char)*t ? -1 : 1;
}

/* What follows a path in that order: drops an earlier file of the same name;
 * a file that is needed as a directory, too, is refused. */
static bool pair_judge(struct sq_zip_plan *p, struct sq_zip_step *e,
                       const struct sq_zip_step *next, struct sq_failure *f) {
  size_t n = strlen(e->path);
  bool same = strcmp(e->path, next->path) == 0;
  bool beneath = strncmp(e->path, next->path, n) == 0 && next->path[n] == '/';

  if (same && e->directory == next->directory) {
    e->dropped = true;
    return true;
  }
  if (!same && (!beneath || e->directory)) return true;
  return sq_zip_fail(f, p->z, &p->z->items[next->index], SQ_INTEGRITY,
                     "its name needs to be a file and a directory at once");
}

static bool plan_pair(struct sq_zip_plan *p, struct sq_failure *f) {
  bool ok = true;
  size_t i;

  qsort(p->steps, p->count, sizeof *p->steps, by_path);
  for (i = 1; ok && i < p->count; i++)
    ok = pair_judge(p, &p->steps[i - 1], &p->steps[i], f);
  qsort(p->steps, p->count, sizeof *p->steps, by_index);
  return ok;
}

static bool plan_limit(const struct sq_zip_plan *p,
                       const struct sq_zip_limits *limits,
                       struct sq_failure *f) {
  uint64_t bytes = 0;
  char what[120];
  size_t i;

  if (limits->max_entries && p->z->layout.entries > limits->max_entries) {
    snprintf(what, sizeof what, "%" PRIu64 " entries, %" PRIu64 " are allowed",
             p->z->layout.entries, limits->max_entries);
    return sq_zip_fail(f, p->z, NULL, SQ_INTEGRITY, what);
  }
  for (i = 0; i < p->count; i++)
    if (!p->steps[i].dropped)
      bytes += p->z->items[p->steps[i].index].entry.bytes;
  if (limits->max_bytes && bytes > limits->max_bytes) {
    snprintf(what, sizeof what,
             "unpacks to %" PRIu64 " bytes, %" PRIu64 " are allowed", bytes,
             limits->max_bytes);
    return sq_zip_fail(f, p->z, NULL, SQ_INTEGRITY, what);
  }
  return true;
}

void sq_zip_plan_free(struct sq_zip_plan *p) {
  free(p->steps);
  free(p->paths);
}

bool sq_zip_plan_make(struct sq_zip_plan *p, const struct sq_zip *z,
                      const struct sq_zip_limits *limits,
                      struct sq_failure *f) {
  size_t i, room = SQ_ZIP_PATH_MAX + 1;

  memset(p, 0, sizeof *p);
  p->z = z;
  for (i = 0; i < z->layout.entries; i++)
    room += strlen(z->items[i].entry.name) + 1;
  p->steps = calloc((size_t)z->layout.entries + 1, sizeof *p->steps);
  p->paths = malloc(room);
  if (!p->steps || !p->paths) return sq_zip_no_memory(f);
  return plan_judge(p, f) && plan_pair(p, f) && plan_limit(p, limits, f);
}
