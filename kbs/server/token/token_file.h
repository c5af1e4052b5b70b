/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of the token signing key ([token] key): a private P-256 key, JWK or PEM, for root alone. `sealed kbs init` makes it; where
 * nobody did, the first start does, and keeps it there. A start that finds a state directory with something in it but no key makes none:
 * then a disk is not mounted, or a replica was given no copy, and a new key would refuse every token of the old one without a word.
 */
#pragma once

#include "crypt/jwk.h"

/* ERR_CONFIG, with what to do. Never writes. */
bool token_file_read(const char *path, struct jwk **ret_key, struct err *err) MUST_CHECK;
/* Is there no key, and is this a first start (state_dir absent or empty)? */
bool token_file_is_first(const char *path, const char *state_dir);
/* Makes key and file (mode 0600, never over another); says so in the log. */
bool token_file_make(const char *path, struct jwk **ret_key, struct err *err) MUST_CHECK;
