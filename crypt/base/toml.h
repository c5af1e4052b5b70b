/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TOML 1.0.0 (toml.io) from untrusted text into JSON values: tables are objects, date-times text as it stands. For what somebody
 * wrote for other programs (init-data); our own configuration is conf.h.
 *
 * Refused besides what TOML refuses: inf and nan (JSON has no such numbers), the character U+0000 (our texts end with it), more than
 * TOML_TABLES_MAX tables, values nested deeper than TOML_DEPTH_MAX, more than `max` bytes. In multi-line strings CR LF becomes LF.
 * `what` names the input in errors, which say the line but quote nothing of it.
 */
#pragma once

#include "crypt/base/json.h"

#define TOML_DEPTH_MAX  16
#define TOML_TABLES_MAX 2048

bool toml_load(struct bytes text, size_t max, const char *what, json_t **ret_json, struct err *err)
    MUST_CHECK;
