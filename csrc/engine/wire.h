/*
 * wire.h - the engine's one multi handle, with its kept connections: what
 * moves every transfer.  It belongs to the network thread, which makes
 * every call here but sq_wire_wakeup.
 */
#ifndef SQ_WIRE_H
#define SQ_WIRE_H

#include "../config.h"

#include <stdbool.h>

SQ_HIDDEN_BEGIN

struct sq_wire;

/* Once per process, before sq_wire_global; quick. */
void sq_wire_prepare(void);

/* Once per process; false when libcurl cannot be set up.  Takes milliseconds:
 * its TLS library reads its configuration. */
bool sq_wire_global(void);

struct sq_wire *sq_wire_new(void);
void sq_wire_free(struct sq_wire *w);   /* after its last transfer */
void sq_wire_wakeup(struct sq_wire *w); /* any thread */
void sq_wire_poll(struct sq_wire *w, int milliseconds);
/* Moves every transfer as far as it goes, then reports the ended ones. */
void sq_wire_run(struct sq_wire *w);

SQ_HIDDEN_END

#endif
