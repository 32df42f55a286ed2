/*
 * profile.h - what the operations of one client share, inside the engine.
 *
 * A profile is counted: the client holds one reference, each of its
 * operations another; the last one frees it.  Its options never change;
 * `running` belongs to the network thread.
 */
#ifndef SQ_PROFILE_H
#define SQ_PROFILE_H

#include "engine.h"

#include <stdatomic.h>

SQ_HIDDEN_BEGIN

struct sq_profile {
  atomic_int refs;
  atomic_bool trace;
  int running;                       /* transfers under way */
  struct sq_profile_options options; /* its strings are ours */
};

void sq_profile_retain(struct sq_profile *p);

SQ_HIDDEN_END

#endif
