/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init-data (protocol.md B): TOML text whose top-level `algorithm` names the hash over its own raw
 * bytes. Only that line is read here, in a strict form: `algorithm = "sha256"` (or sha384, sha512),
 * once, before the first table, and no multi-line string there that could hide another.
 */
#pragma once

#include "crypt/hash.h"

bool init_data_digest(const char *text, struct hash *ret_digest, struct err *err) MUST_CHECK;
