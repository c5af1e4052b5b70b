/* SPDX-License-Identifier: Apache-2.0 */
/* The signer that tests and the fuzz target of tokens share (the P-256 key of RFC 7515, appendix A.3), and the time of their tokens. */
#pragma once

#include "attest/verify/ear.h"

#define EAR_TEST_NOW 1800000100 /* payloads in tests/bad/ear are issued at 1800000000 */

static inline bool ear_test_key(struct jwk **ret_key, struct err *err)
{
    static const char text[] = "{\"kty\":\"EC\",\"crv\":\"P-256\","
                               "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                               "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\","
                               "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}";
    auto_secret *secret = NULL;
    return secret_copy(bytes_str(text), &secret, err) && jwk_from_secret(secret, ret_key, err);
}
