/*
 * config.h - what every C file of the module sees first.
 *
 * Feature macros, symbol visibility, and the promises about the platform
 * that are checked when compiling.  A rock's builtin build can pass no
 * -fvisibility flag, so each header of ours hides what it declares, between
 * SQ_HIDDEN_BEGIN and SQ_HIDDEN_END; luaopen_* alone is SQ_EXPORT.
 */
#ifndef SQ_CONFIG_H
#define SQ_CONFIG_H

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* renameat2, pipe2, dladdr, fallocate where there are */
#endif
#define _FILE_OFFSET_BITS 64

/* What a system lacks; `make builds` says it of this one, too. */
#if defined(__APPLE__)
#define SQ_NO_COND_CLOCK /* pthread_condattr_setclock */
#define SQ_NO_FDATASYNC
#endif

#include <limits.h>
#include <stdint.h>

#define SQ_VERSION "0.1.0"

_Static_assert(sizeof(long long) >= 8, "64-bit integers are needed");
_Static_assert(CHAR_BIT == 8, "bytes of 8 bits are needed");

#if defined(__GNUC__)
#define SQ_HIDDEN_BEGIN _Pragma("GCC visibility push(hidden)")
#define SQ_HIDDEN_END _Pragma("GCC visibility pop")
#define SQ_EXPORT __attribute__((visibility("default")))
#define SQ_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SQ_HIDDEN_BEGIN
#define SQ_HIDDEN_END
#define SQ_EXPORT
#define SQ_PRINTF(f, a)
#endif

#define SQ_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
