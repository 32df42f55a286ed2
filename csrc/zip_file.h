/*
 * zip_file.h - the ZipFile: what a download gives, and square.open_zip.
 */
#ifndef SQ_ZIP_FILE_H
#define SQ_ZIP_FILE_H

#include "config.h"

#include <lua.h>

#include "engine/engine.h"

SQ_HIDDEN_BEGIN

void sq_zip_file_setup(lua_State *L);
int sq_zip_file_open(lua_State *L); /* square.open_zip(path) */

/* Pushes the ZipFile that a download gives. */
void sq_zip_file_push(lua_State *L, struct sq_op *download);

/* The file of the open ZipFile at `index`; raises for anything else. */
struct sq_zip *sq_zip_file_check(lua_State *L, int index);

SQ_HIDDEN_END

#endif
