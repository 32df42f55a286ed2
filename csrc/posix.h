/*
 * posix.h - core.posix: what Lua's own libraries cannot do.
 */
#ifndef SQ_POSIX_H
#define SQ_POSIX_H

#include "config.h"

#include <lua.h>

SQ_HIDDEN_BEGIN

/*
 * Pushes the table of functions; those that fail give nil, a message and an
 * errno, as io's do:
 *   make_folder(path)         one folder, 0700; true
 *   write_file(path, bytes)   through `<path>.new`, 0600, its name never
 *                             standing for half of it; true
 *   lock_file(path)           a lock on a file, made 0600 if missing; false
 *                             when another has it; ends by __close, __gc or
 *                             with the process
 *   terminal_size(fd)         rows, columns (0: not known); nothing when it
 *                             is no terminal
 *   read_some(fd, ms)         what there is to read ("" at the end); false
 *                             when nothing came in that time, or a signal did
 */
void sq_posix_push(lua_State *L);

SQ_HIDDEN_END

#endif
