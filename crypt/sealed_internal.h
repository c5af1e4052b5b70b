/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by crypt/sealed*.c: the sections of the string and its decoded payload. */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/jws.h"
#include "crypt/sealed.h"

/* What a sealed secret may be signed with. */
#define SEALED_SIGNER_ALGS (JWS_ALLOW(JWS_ES256) | JWS_ALLOW(JWS_ES512) | JWS_ALLOW(JWS_EDDSA))

/* What stands between the blanks, split at the dots; borrowed from the text. */
struct sealed_sections {
    struct bytes jws; /* everything after the prefix */
    struct bytes header, payload, signature;
};
bool sealed_split(struct bytes text, struct sealed_sections *ret_sections, struct err *err)
    MUST_CHECK;

/* The header as JSON; false (without an error: it may well be "fakejwsheader") when it is no JSON object. */
bool sealed_read_header(struct bytes section, json_t **ret_header) MUST_CHECK;
/* The payload section of an unsigned form; old documents print it with padding. */
bool sealed_decode_section(struct bytes section, struct buf *out, struct err *err) MUST_CHECK;

/* A decoded payload that owns what its view points to. */
struct sealed_content {
    json_t *json;
    struct buf encrypted_key, encrypted_data, iv;
    struct sealed_payload payload;
};
bool sealed_content_read(struct bytes json, struct sealed_content *ret_content, struct err *err)
    MUST_CHECK;
void sealed_content_done(struct sealed_content *content);
#define auto_sealed_content AUTO_DONE(sealed_content_done) struct sealed_content

/* Provider and URI of a payload, checked. */
bool sealed_content_uri(const struct sealed_payload *payload, const char **ret_uri, struct err *err)
    MUST_CHECK;
