/* SPDX-License-Identifier: Apache-2.0 */
/* One value of a configuration field: text -> member of the struct. For conf.c and its tests. */
#pragma once

#include "crypt/base/conf.h"

/* Replaces the member (with `append`, adds to a CONF_LIST). ERR_CONFIG "<where>: section.key: what
 * is wrong; what is accepted", and the member keeps its value. */
bool conf_value_set(const struct conf_field *field, void *out, const char *where, const char *text,
    bool append, struct err *err) MUST_CHECK;
/* Zeroes the member without freeing: for memory that holds nothing yet. */
void conf_value_clear(const struct conf_field *field, void *out);
/* Frees what the member owns and zeroes it. */
void conf_value_free(const struct conf_field *field, void *out);
/* What the field takes, for messages and samples. */
void conf_value_accepted(const struct conf_field *field, char *out, size_t size);
