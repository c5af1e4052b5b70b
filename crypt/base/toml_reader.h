/* SPDX-License-Identifier: Apache-2.0 */
/* The cursor that toml.c (tables and keys) and toml_value.c (strings, numbers, times) share. */
#pragma once

#include "crypt/base/toml.h"

/* How a table came to be decides who may add to it. */
enum toml_kind {
    TOML_IMPLIED, /* on the way to a header: its own header may still come */
    TOML_HEADER,  /* [a] */
    TOML_DOTTED,  /* on the way to a dotted key */
    TOML_INLINE,  /* {…}: closed */
    TOML_ROW_LIST /* the array of [[a]] */
};

struct toml_reader {
    const char *begin, *at; /* ends with a NUL */
    const char *what;
    struct {
        const json_t *value;
        enum toml_kind kind;
    } marks[TOML_TABLES_MAX];
    size_t mark_count;
    struct err *err;
};

/* ERR_FORMAT with `what` and the line; false. */
bool toml_fail(struct toml_reader *reader, const char *problem);
/* Past blanks; past blanks, comments and ends of lines. */
void toml_skip_blanks(struct toml_reader *reader);
bool toml_skip_lines(struct toml_reader *reader);
/* A string on one line, basic or literal, as a key may be. `out` is appended to. */
bool toml_line_string(struct toml_reader *reader, struct buf *out);
/* Any string, number, boolean or time. */
bool toml_scalar(struct toml_reader *reader, json_t **ret_value);
