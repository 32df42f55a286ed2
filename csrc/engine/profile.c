/*
 * profile.c - makes, counts and frees profiles.  See profile.h.
 */
#include "profile.h"

#include <stdlib.h>
#include <string.h>

static void destroy(struct sq_profile *p) {
  struct sq_profile_options *o = &p->options;
  sq_wipe((char *)(uintptr_t)o->api_key);
  free((void *)(uintptr_t)o->api_key);
  free((void *)(uintptr_t)o->ca_file);
  free((void *)(uintptr_t)o->proxy);
  free((void *)(uintptr_t)o->no_proxy);
  free((void *)(uintptr_t)o->user_agent);
  free(p);
}

/* Copies one string; notes when memory is short. */
static const char *copy(const char *s, bool *short_of_memory) {
  char *mine = sq_strdup(s);
  if (s && !mine) *short_of_memory = true;
  return mine;
}

struct sq_profile *sq_profile_new(const struct sq_profile_options *options) {
  struct sq_profile *p = calloc(1, sizeof *p);
  bool failed = false;
  if (!p) return NULL;
  p->refs = 1;
  p->options = *options;
  p->trace = options->listener != 0;
  p->options.api_key = copy(options->api_key, &failed);
  p->options.ca_file = copy(options->ca_file, &failed);
  p->options.proxy = copy(options->proxy, &failed);
  p->options.no_proxy = copy(options->no_proxy, &failed);
  p->options.user_agent = copy(options->user_agent, &failed);
  if (!failed) return p;
  destroy(p);
  return NULL;
}

void sq_profile_retain(struct sq_profile *p) { atomic_fetch_add(&p->refs, 1); }

void sq_profile_release(struct sq_profile *p) {
  if (p && atomic_fetch_sub(&p->refs, 1) == 1) destroy(p);
}

void sq_profile_trace_off(struct sq_profile *p) {
  atomic_store(&p->trace, false);
}
