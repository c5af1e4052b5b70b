/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init-data (protocol.md B): the TOML text that configured a guest, as it was measured.
 *
 *     version = "0.1.0"
 *     algorithm = "sha256"            or sha384, sha512: the hash over the raw bytes of the whole text
 *     [data]
 *     "aa.toml" = '''…'''             each member is text
 *
 * Claims are the members of [data]: aa.toml and cdh.toml are TOML themselves and become objects; a policy.rego that ends in
 * `policy_data := {JSON}` (as Kata's genpolicy writes it) is replaced by agent_policy_claims, that JSON. Other members stay text, and
 * other members of the top level are not looked at. Whether a guest really was started with this text is the evidence's to say.
 */
#pragma once

#include "crypt/base/json.h"
#include "crypt/hash.h"

#define INIT_DATA_MAX        524288        /* bytes of text */
#define INIT_DATA_CLAIMS_MAX (128u * 1024) /* bytes of JSON: a token holds them */
#define INIT_DATA_DEPTH_MAX  20

/* ERR_FORMAT says what is wrong with the text. Runs in the verifier process: the text is a guest's. */
bool init_data_read(const char *text, struct hash *ret_digest, json_t **ret_claims, struct err *err)
    MUST_CHECK;
