/*
 * address.h - which addresses may be asked at all.  libcurl's own parser
 * reads them, so that what is judged is what will be connected to.
 */
#ifndef SQ_ADDRESS_H
#define SQ_ADDRESS_H

#include "../config.h"

#include <stdbool.h>

SQ_HIDDEN_BEGIN

/* True when the url's scheme is http (judged before: loopback). */
bool sq_address_is_http(const char *url);

SQ_HIDDEN_END

#endif
