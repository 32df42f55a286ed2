/*
 * options.h - typed readers for a method's one options table.  Each raises
 * with the function and the option named; none of them keeps anything.
 *
 * A struct sq_options says where the table is and what it is for.  It is a
 * copy of the caller's, so that strings read from it stay valid while it is
 * on the stack.
 */
#ifndef SQ_OPTIONS_H
#define SQ_OPTIONS_H

#include "config.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

SQ_HIDDEN_BEGIN

struct sq_options {
  lua_State *L;
  int index;            /* of the table, absolute */
  const char *function; /* "snapshot" */
};

/*
 * Takes argument `arg` as a method's options: a table, or the value of
 * `main` alone (a string), or nothing when `main` is null or `optional`.
 * Puts a table at `arg`; refuses names that are not in `known` (ended by
 * null) first of all.
 */
struct sq_options sq_options_take(lua_State *L, int arg, const char *function,
                                  const char *main, bool optional,
                                  const char *const known[]);

/* Raises "<function>: <text>". */
int sq_options_error(const struct sq_options *o, const char *format, ...)
    SQ_PRINTF(2, 3);

/* Null when absent.  Raises for anything but a string; never a number. */
const char *sq_options_string(const struct sq_options *o, const char *name,
                              size_t *size);
/* The same, and refuses "", ".", "..", control characters; raises "missing"
 * when absent and required. */
const char *sq_options_id(const struct sq_options *o, const char *name,
                          bool required);
double sq_options_number(const struct sq_options *o, const char *name,
                         double otherwise, double least, double most);
lua_Integer sq_options_integer(const struct sq_options *o, const char *name,
                               lua_Integer otherwise, lua_Integer least,
                               lua_Integer most);
bool sq_options_boolean(const struct sq_options *o, const char *name,
                        bool otherwise);
/* The index in `choices` (ended by null). */
int sq_options_choice(const struct sq_options *o, const char *name,
                      const char *const choices[], int otherwise);
/* Pushes the function (an object with __call becomes one), or nil. */
bool sq_options_function(const struct sq_options *o, const char *name);

/* Pushes `path` made absolute by the current directory, without slashes at
 * its end; raises when the current directory cannot be had. */
const char *sq_push_absolute(lua_State *L, const char *path);

SQ_HIDDEN_END

#endif
