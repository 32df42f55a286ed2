/*
 * limits.c - see limits.h: the table of the codes that pause, and the pauses
 * that a key is under.
 *
 * The owner of the list owns the struct sq_limits in it, each of which owns
 * its key and a record for each application that was refused.  What an hour
 * has passed over is forgotten, so that a host of many keys keeps few.
 *
 * A pause doubles when the first request behind it is refused again, and what
 * was under way when it began adds nothing to it.
 */
#include "limits.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "clock.h"

#define FORGOTTEN (3600 * SQ_SECOND)

const struct sq_limit_times sq_limit_times = {
    .calls = 60, .creates = 5, .application = 60, .pace = 5};

const char sq_limits_pace[] = "pace";

/* The limits that the platform has a code for; the last one is any other. */
static const struct rule {
  const char *code;
  enum { CALLS, CREATES } pauses;
  bool doubles;
  bool application; /* is paused, too, when it meets this twice in a row */
} rules[] = {
    {"KEEP_CALM", CREATES, false, true},
    {"RATE_LIMIT", CALLS, true, false},
    {"RATE_LIMIT_EXCEEDED", CALLS, true, false},
    {"", CALLS, true, false},
};

struct pause {
  int64_t since, until;
  double length; /* seconds; 0: nothing was refused behind it */
  const char *code;
};

struct application {
  struct application *next;
  char *id;
  int64_t refused_at;
  struct pause pause;
};

struct sq_limits {
  struct sq_limits *next;
  char *key;
  struct pause calls, creates;
  int64_t created_at; /* 0: never */
  struct application *applications;
};

static const struct rule *rule_of(const char *code) {
  size_t i = 0;
  while (rules[i].code[0] && strcmp(rules[i].code, code) != 0) i++;
  return &rules[i];
}

/* ---- keeping ---------------------------------------------------------- */

/* Takes the first one out of the list, and frees it. */
static void drop_application(struct application **list) {
  struct application *a = *list;
  *list = a->next;
  free(a->id);
  free(a);
}

static void drop_limits(struct sq_limits **list) {
  struct sq_limits *l = *list;
  *list = l->next;
  while (l->applications) drop_application(&l->applications);
  sq_wipe(l->key);
  free(l->key);
  free(l);
}

void sq_limits_free(struct sq_limits **all) {
  while (*all) drop_limits(all);
}

static bool is_past(int64_t at, int64_t now) { return now - at > FORGOTTEN; }

static void forget_applications(struct sq_limits *l, int64_t now) {
  struct application **at = &l->applications;
  while (*at) {
    if (is_past((*at)->refused_at, now) && is_past((*at)->pause.until, now))
      drop_application(at);
    else
      at = &(*at)->next;
  }
}

static bool is_forgotten(const struct sq_limits *l, int64_t now) {
  return !l->applications && is_past(l->calls.until, now) &&
         is_past(l->creates.until, now) && is_past(l->created_at, now);
}

static void forget_keys(struct sq_limits **all, int64_t now) {
  while (*all) {
    forget_applications(*all, now);
    if (is_forgotten(*all, now))
      drop_limits(all);
    else
      all = &(*all)->next;
  }
}

struct sq_limits *sq_limits_of(struct sq_limits **all, const char *key,
                               int64_t now) {
  for (struct sq_limits *l = *all; l; l = l->next)
    if (strcmp(l->key, key) == 0) return l;
  forget_keys(all, now);
  struct sq_limits *l = calloc(1, sizeof *l);
  char *copy = sq_strdup(key);
  if (!l || !copy) {
    free(l);
    free(copy);
    return NULL;
  }
  l->key = copy;
  l->next = *all;
  return *all = l;
}

/* Where the list leads to it; to null when it is not there. */
static struct application **find_application(struct application **list,
                                             const char *id) {
  while (*list && strcmp((*list)->id, id) != 0) list = &(*list)->next;
  return list;
}

/* Null when memory is short. */
static struct application *add_application(struct sq_limits *l,
                                           const char *id) {
  struct application *a = calloc(1, sizeof *a);
  char *copy = sq_strdup(id);
  if (!a || !copy) {
    free(a);
    free(copy);
    return NULL;
  }
  a->id = copy;
  a->next = l->applications;
  l->applications = a;
  return a;
}

/* ---- going ------------------------------------------------------------ */

/* Puts the time off to the pause's end; a request that is less patient than
 * the one that met it goes before. */
static void put_off(int64_t *at, const char **why, const struct pause *p,
                    double most) {
  int64_t end = p->since + sq_nanoseconds(most);
  if (p->until < end) end = p->until;
  if (end <= *at) return;
  *at = end;
  *why = p->code;
}

int64_t sq_limits_may_go(struct sq_limits *l, const struct sq_limited *who,
                         int64_t now, const char **why) {
  int64_t at = now;
  if (!l) return at;
  int64_t next = l->created_at + sq_nanoseconds(who->pace);
  if (who->action == SQ_CREATES && l->created_at && next > at) {
    at = next;
    *why = sq_limits_pace;
  }
  put_off(&at, why, &l->calls, who->most);
  if (who->action == SQ_CREATES) put_off(&at, why, &l->creates, who->most);
  if (who->action != SQ_ASKS) {
    const struct application *a = *find_application(&l->applications, who->app);
    if (a) put_off(&at, why, &a->pause, who->most);
  }
  return at;
}

void sq_limits_gone(struct sq_limits *l, const struct sq_limited *who,
                    int64_t now) {
  if (l && who->action == SQ_CREATES) l->created_at = now;
}

/* ---- answers ---------------------------------------------------------- */

/* What a refusal came to, and when. */
struct refusal {
  const struct rule *rule;
  double named; /* the seconds that the platform says; negative: none */
  double most;
  int64_t gone, now;
};

/* Begins the pause, unless the request is one of several that met it together.
 * Gives its end. */
static int64_t begin(struct pause *p, const struct refusal *r, double seconds,
                     bool doubles) {
  if (r->gone < p->since && r->now < p->until) return p->until;
  if (doubles && p->length > 0 && r->gone >= p->until) seconds = 2 * p->length;
  if (seconds > r->most) seconds = r->most;
  p->length = r->named < 0 ? seconds : 0;
  if (r->named >= 0) seconds = r->named;
  p->code = r->rule->code;
  p->since = r->now;
  p->until = r->now + sq_nanoseconds(seconds);
  return p->until;
}

/* The application, when this is its second refusal in a row; else null. */
static struct application *met_again(struct sq_limits *l, const char *id,
                                     const struct refusal *r) {
  forget_applications(l, r->now);
  struct application *a = *find_application(&l->applications, id);
  bool again = a && r->gone >= a->refused_at;
  if (!a) a = add_application(l, id);
  if (a) a->refused_at = r->now;
  return again ? a : NULL;
}

static double refused(struct sq_limits *l, const struct sq_limited *who,
                      const struct refusal *r) {
  const struct sq_limit_times *t = who->times;
  struct application *a = NULL;
  int64_t end = r->rule->pauses == CALLS
                    ? begin(&l->calls, r, t->calls, r->rule->doubles)
                    : begin(&l->creates, r, t->creates, r->rule->doubles);
  if (r->rule->application && who->action != SQ_ASKS)
    a = met_again(l, who->app, r);
  if (a) {
    int64_t later = begin(&a->pause, r, t->application, true);
    if (later > end) end = later;
  }
  return end > r->now ? (double)(end - r->now) / 1e9 : 0;
}

/* The platform answered, and not that there were too many. */
static void passed(struct sq_limits *l, const struct sq_limited *who,
                   int64_t gone) {
  if (gone >= l->calls.since) l->calls.length = 0;
  if (who->action == SQ_ASKS) return;
  struct application **a = find_application(&l->applications, who->app);
  if (*a && gone >= (*a)->refused_at) drop_application(a);
}

double sq_limits_note(struct sq_limits *l, const struct sq_limited *who,
                      int64_t gone, int64_t now, const struct sq_failure *f) {
  if (f->kind != SQ_RATE_LIMITED) {
    int class = f->http_status / 100;
    if (l && class >= 2 && class <= 4) passed(l, who, gone);
    return 0;
  }
  if (f->retry_after > who->most) return -1;
  if (f->retry_after < 0 && !(who->most > 0)) return -1;
  struct refusal r = {rule_of(f->code), f->retry_after, who->most, gone, now};
  return l ? refused(l, who, &r) : 0;
}
