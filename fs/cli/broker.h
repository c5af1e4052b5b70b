/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key broker as its administrator sees it (protocol.md A.5): our own sealed-kbs or a Trustee KBS. Every call carries a token made
 * on the spot with the administrator's private key (ES256; claims iss, sub, aud when configured, role, iat, exp five minutes later).
 * Where the broker is and which key signs comes from options, else from the administrator's profile (/etc/sealedfs/admin.conf,
 * written by `sealed kbs init`):
 *
 *     [client]
 *     url = https://localhost:8443
 *     ca_file = /etc/sealedfs/kbs-ca.pem
 *     admin_key = /etc/sealedfs/admin.jwk
 */
#pragma once

#include "crypt/jwk.h"
#include "fs/cli/tool.h"
#include "kbs/http.h"

#define BROKER_PROFILE_DEFAULT "/etc/sealedfs/admin.conf"
#define BROKER_URL_DEFAULT     "https://localhost:8443"
#define BROKER_ANSWER_MAX      (4u * 1024 * 1024)
#define BROKER_TOKEN_LIFE_S    300

/* First member of every administrator's command, so that BROKER_OPTIONS fits them all. */
struct broker_args {
    const char *url, *ca_file, *pinned_key, *admin_key, *profile;
    bool allow_plain;
};

#define BROKER_OPTIONS                                                                      \
    {"kbs", 0, CLI_TEXT, offsetof(struct broker_args, url), "URL",                          \
        "key broker; default: url of the profile, else " BROKER_URL_DEFAULT},               \
        {"ca-file", 0, CLI_TEXT, offsetof(struct broker_args, ca_file), "FILE",             \
            "certificate authority of the key broker, PEM"},                                \
        {"pinned-key", 0, CLI_TEXT, offsetof(struct broker_args, pinned_key), "PIN",        \
            "sha256//... of the key broker's public key"},                                  \
        {"admin-key", 0, CLI_TEXT, offsetof(struct broker_args, admin_key), "FILE",         \
            "the administrator's private key (JWK or PEM)"},                                \
        {"profile", 0, CLI_TEXT, offsetof(struct broker_args, profile), "FILE",             \
            "where the other four come from; default: " BROKER_PROFILE_DEFAULT},            \
    {                                                                                       \
        "allow-plain", 0, CLI_FLAG, offsetof(struct broker_args, allow_plain), NULL,        \
            "allow http:// to another machine: the administrator's token is then readable " \
            "on the way"                                                                    \
    }

struct broker;

/* The key and the profile are read here; nothing goes over the network yet. */
bool broker_open(const struct broker_args *args, struct broker **ret_broker, struct err *err)
    MUST_CHECK;
void broker_free(struct broker *broker);
DEFINE_AUTO(struct broker, broker_free);
#define auto_broker AUTO(broker_free) struct broker

/* One call on BROKER/kbs/v0PATH. `body` empty: none. The answer's body is appended to `answer`. Any status but 200 is an error that
 * says what the broker said and what to do about it. */
bool broker_call(const struct broker *broker, const char *method, const char *path,
    struct bytes body, struct buf *answer, struct err *err) MUST_CHECK;
/* POST of plaintext, which stays in locked memory on our side until TLS takes it. */
bool broker_upload(const struct broker *broker, const char *path, const struct secret *body,
    struct err *err) MUST_CHECK;
/* GET of any JSON value, a bare one too. */
bool broker_get_json(
    const struct broker *broker, const char *path, json_t **ret_json, struct err *err) MUST_CHECK;
/* POST of a JSON object; an empty answer is as good as {}. */
bool broker_post_json(const struct broker *broker, const char *path, const json_t *body,
    json_t **ret_json, struct err *err) MUST_CHECK;

/* The administrator's token. NULL issuer or audience: the default issuer, no audience. malloc'd; it is a credential: wipe it. */
struct broker_identity {
    const char *issuer, *subject, *audience, *role;
};
bool broker_token(const struct jwk *key, const struct broker_identity *identity, int64_t now,
    char **ret_token, struct err *err) MUST_CHECK;
/* What an answer that is not 200 means: sets err, returns false. `stores`: the request brought something to be kept; otherwise a
 * failure that the broker does not explain by its name means that there is no such thing. */
bool broker_refusal(const char *method, const char *where, long status, struct bytes body,
    const char *key_path, bool stores, struct err *err);
