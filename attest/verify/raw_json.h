/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The very text of a part of a JSON document. Intel signs the text of a member, not its meaning, so
 * it must not pass through a parser and a printer. Only for text that json_load_strict() has taken:
 * these functions never leave the text, but they do not say what is wrong with it.
 */
#pragma once

#include "crypt/base/buf.h"

/* The text of the value of member `name` in the text of an object. A name that is written with
 * escapes is another name. False: not there, or no object. */
bool raw_json_member(struct bytes object, const char *name, struct bytes *ret_value);
/* The elements of an array, one after the other:
 *     for (struct bytes at = raw_json_elements(text), element; raw_json_next(&at, &element);)
 * Empty when the text is no array. */
struct bytes raw_json_elements(struct bytes array);
bool raw_json_next(struct bytes *rest, struct bytes *ret_element);
/* Appends the text without the blanks between tokens: what a tool that re-indented it started from.
 */
bool raw_json_compact(struct bytes text, struct buf *out, struct err *err) MUST_CHECK;
