/*
 * response_codes.h - what the platform's codes and HTTP statuses mean.
 *
 * The one table of codes is in response_codes.c; what a limit's code makes
 * wait is in limits.c.
 */
#ifndef SQ_RESPONSE_CODES_H
#define SQ_RESPONSE_CODES_H

#include "failure.h"

SQ_HIDDEN_BEGIN

/* The canonical spelling of a code (ID_INVALID -> INVALID_ID ...); a code
 * nobody knows is given back as it came. */
const char *sq_code_canonical(const char *code);

/* What to say when the platform sends a known code without a message; null
 * when `kind` is not what the code stands for, or nobody knows it. */
const char *sq_code_sentence(const char *code, enum sq_kind kind);

/* The kind of an HTTP status without a usable code; SQ_OK for 2xx. */
enum sq_kind sq_status_kind(int http_status);

/*
 * The kind of an answer that is no success, in this order:
 *   a POST's 5xx, and 502, 503, 504     server: the code decides nothing
 *   a code in the table                 its kind, whatever the status
 *   401, 402, 403, 404, 410, 429        theirs
 *   a code that looks like one          *_NOT_FOUND, *_FAILED, INVALID_*,
 *                                       MISSING_*
 *   any other status                    its kind; SQ_OK for 2xx
 */
enum sq_kind sq_response_kind(int http_status, const char *code, bool post);

SQ_HIDDEN_END

#endif
