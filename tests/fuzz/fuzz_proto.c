/* SPDX-License-Identifier: Apache-2.0 */
/* Every decoder of the RCAR messages over the same bytes; what decodes encodes again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kbs/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A peer's text may end in a terminal or a log. */
static void no_control_characters(const char *text)
{
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            abort();
}

static void fuzz_handshake(struct bytes body)
{
    struct err err = ERR_INIT;
    struct proto_auth auth;
    struct proto_challenge challenge, again;
    auto_free char *auth_text = NULL;
    auto_free char *challenge_text = NULL;
    if (proto_auth_decode(body, &auth, &err) && !proto_auth_encode(&auth, &auth_text, &err))
        abort();
    if (!proto_challenge_decode(body, &challenge, &err))
        return;
    if (!proto_challenge_encode(&challenge, &challenge_text, &err) ||
        !proto_challenge_decode(bytes_str(challenge_text), &again, &err) ||
        strcmp(challenge.nonce, again.nonce) != 0 || challenge.hash != again.hash)
        abort();
}

static void fuzz_attest(struct bytes body)
{
    struct err err = ERR_INIT;
    AUTO_DONE(proto_attest_done) struct proto_attest attest = {0};
    auto_free char *text = NULL;
    if (!proto_attest_decode(body, &attest, &err))
        return;
    auto_free char *evidence = json_text(attest.evidence);
    if (evidence &&
        !proto_attest_encode(attest.nonce, attest.tee_pubkey, bytes_str(evidence), &text, &err))
        abort();
}

static void fuzz_token(struct bytes body)
{
    struct err err = ERR_INIT;
    struct proto_token_claims claims;
    int64_t next_s = 0;
    auto_free char *token = NULL;
    auto_free char *text = calloc(1, body.len + 1);
    if (proto_token_decode(body, &token, &next_s, &err) &&
        proto_token_claims(token, &claims, &err) && claims.expires_at < 0)
        abort();
    if (!text)
        return;
    if (body.len > 0)
        memcpy(text, body.data, body.len);
    if (proto_token_claims(text, &claims, &err) && claims.issued_at < 0)
        abort();
}

static void fuzz_error(struct bytes body)
{
    struct proto_error error;
    char ref[ERR_REF_SIZE];
    proto_error_decode(body, &error);
    no_control_characters(error.name);
    no_control_characters(error.detail);
    proto_error_ref(&error, ref);
    no_control_characters(ref);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes body = bytes_of(data, size);
    fuzz_handshake(body);
    fuzz_attest(body);
    fuzz_token(body);
    fuzz_error(body);
    return 0;
}
