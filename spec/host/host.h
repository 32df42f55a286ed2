/*
 * host.h - the Lua files that are part of the program: what embed.lua makes.
 */
#ifndef HOST_H
#define HOST_H

#include <stddef.h>

struct embedded {
  const char *name;  /* of the module; null ends the list */
  const char *chunk; /* its name in messages and tracebacks */
  const char *text;
  size_t size;
};

extern const struct embedded embedded[];

#endif
