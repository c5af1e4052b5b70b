/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of access rules: paths of files and executables, control groups, ids. Not fnmatch(3), which depends on the locale, has no
 * sign for "all below", and can take exponential time on a text that a caller chose (the path of its executable, say).
 *
 *     ?        one byte but '/'               *       any number of bytes but '/'
 *     [a-f_]   one byte of a set, never '/'   [!a-f]  one byte that is not in it, never '/'
 *     **       any number of bytes            \x      the byte x itself
 *
 * A pattern stands for the whole text. Time: at most length of pattern times length of text. Constant once made; any thread.
 */
#pragma once

#include "crypt/base/err.h"

#define GLOB_TOKENS_MAX 255 /* of a pattern; a line of a configuration is shorter */

struct glob;

/* ERR_CONFIG: an open set, a range that runs backwards, a lone backslash at the end, too long. */
bool glob_new(const char *pattern, struct glob **ret_glob, struct err *err) MUST_CHECK;
void glob_free(struct glob *glob);
DEFINE_AUTO(struct glob, glob_free);
bool glob_matches(const struct glob *glob, const char *text);
