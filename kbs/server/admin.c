/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/admin.h"

#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <strings.h>

#include "crypt/base/file.h"
#include "crypt/jws.h"

#define KEYS_MAX  16
#define ACLS_MAX  64
#define ROLE_MAX  64
#define TOKEN_MAX 16384
#define LEEWAY_S  60
/* EdDSA is what the administrators of a Trustee KBS have (protocol.md A.5); taken here and nowhere else. */
#define ALLOWED \
    (JWS_ALLOW(JWS_ES256) | JWS_ALLOW(JWS_ES384) | JWS_ALLOW(JWS_RS256) | JWS_ALLOW(JWS_EDDSA))
#define DEFAULT_ACL "admin=^/kbs/.*$"

struct acl {
    char role[ROLE_MAX + 1];
    regex_t regex;
    bool compiled;
};

struct admin {
    enum kbs_admin_mode mode;
    const char *issuer, *audience; /* borrowed from the configuration */
    struct jwk *keys[KEYS_MAX];
    size_t key_count;
    struct acl acls[ACLS_MAX];
    size_t acl_count;
};

static bool load_key(const char *path, struct jwk **ret_key, struct err *err)
{
    auto_buf text = BUF_INIT(JWK_TEXT_MAX);
    auto_secret *copy = NULL;
    auto_jwk *key = NULL;
    if (!file_read(path, JWK_TEXT_MAX, &text, err) || !secret_copy(buf_bytes(&text), &copy, err) ||
        !jwk_from_secret(copy, &key, err))
        return err_wrap(err, "administrator's key %s", path);
    if (jwk_is_private(key))
        return err_set(err, ERR_CONFIG,
            "administrator's key %s is a private key; the server needs only its public half: keep "
            "the "
            "private one with the administrator",
            path);
    if (jwk_kind(key) == JWK_OCT)
        return err_set(err, ERR_CONFIG, "administrator's key %s is no public key", path);
    if (jwk_kind(key) == JWK_EC_P521)
        return err_set(err, ERR_CONFIG,
            "administrator's key %s is on P-521; P-256, P-384, Ed25519 and RSA keys sign here",
            path);
    *ret_key = take_ptr(key);
    return true;
}

/* "ROLE=^/kbs…$" */
static bool load_acl(const char *word, struct acl *ret_acl, struct err *err)
{
    const char *equals = strchr(word, '=');
    size_t role_len = equals ? (size_t)(equals - word) : 0;
    const char *pattern = equals ? equals + 1 : "";
    size_t len = strlen(pattern);
    if (role_len == 0 || role_len > ROLE_MAX)
        return err_set(err, ERR_CONFIG, "[admin] acl: \"%s\" is not ROLE=REGEX", word);
    if (strncmp(pattern, "^/kbs", strlen("^/kbs")) != 0 || pattern[len - 1] != '$')
        return err_set(err, ERR_CONFIG,
            "[admin] acl: the pattern \"%s\" must begin with \"^/kbs\" and end with \"$\"",
            pattern);
    /* With a group, so that an alternative is anchored as well: ^/kbs/a|/kbs/b$. */
    char anchored[1024];
    int used = snprintf(anchored, sizeof anchored, "^(%.*s)$", (int)len - 2, pattern + 1);
    if (used < 0 || (size_t)used >= sizeof anchored)
        return err_set(err, ERR_CONFIG, "[admin] acl: the pattern \"%.64s…\" is too long", pattern);
    int code = regcomp(&ret_acl->regex, anchored, REG_EXTENDED | REG_NOSUB);
    if (code != 0) {
        char why[128];
        regerror(code, &ret_acl->regex, why, sizeof why);
        return err_set(err, ERR_CONFIG, "[admin] acl: \"%s\": %s", pattern, why);
    }
    ret_acl->compiled = true;
    snprintf(ret_acl->role, sizeof ret_acl->role, "%.*s", (int)role_len, word);
    return true;
}

static bool load_acls(const struct kbs_conf *conf, struct admin *admin, struct err *err)
{
    if (conf->admin.acl.count > ACLS_MAX)
        return err_set(err, ERR_CONFIG, "[admin] acl: at most %d rules", ACLS_MAX);
    for (size_t i = 0; i < conf->admin.acl.count; i++) {
        if (!load_acl(conf->admin.acl.items[i], &admin->acls[i], err))
            return false;
        admin->acl_count++;
    }
    if (admin->acl_count > 0)
        return true;
    admin->acl_count = 1;
    return load_acl(DEFAULT_ACL, &admin->acls[0], err);
}

bool admin_new(const struct kbs_conf *conf, struct admin **ret_admin, struct err *err)
{
    AUTO(admin_free) struct admin *admin = calloc(1, sizeof *admin);
    if (!admin)
        return err_nomem(err);
    admin->mode = (enum kbs_admin_mode)conf->admin.mode;
    admin->issuer = conf->admin.issuer;
    admin->audience = conf->admin.audience;
    if (admin->mode == KBS_ADMIN_JWT) {
        if (conf->admin.keys.count == 0 || conf->admin.keys.count > KEYS_MAX)
            return err_set(err, ERR_CONFIG,
                "[admin] mode = jwt needs 1 to %d public key files in `keys`; `sealed kbs init` "
                "makes "
                "a pair",
                KEYS_MAX);
        for (size_t i = 0; i < conf->admin.keys.count; i++) {
            if (!load_key(conf->admin.keys.items[i], &admin->keys[i], err))
                return false;
            admin->key_count++;
        }
        if (!load_acls(conf, admin, err))
            return false;
    }
    *ret_admin = take_ptr(admin);
    return true;
}

void admin_free(struct admin *admin)
{
    if (!admin)
        return;
    for (size_t i = 0; i < admin->key_count; i++)
        jwk_unref(admin->keys[i]);
    for (size_t i = 0; i < ACLS_MAX; i++)
        if (admin->acls[i].compiled)
            regfree(&admin->acls[i].regex);
    free(admin);
}

static bool denied(struct err *err, const char *why)
{
    return err_set(err, ERR_DENIED_LOCAL, "%s", why);
}

/* The text after "Bearer" (RFC 6750 section 2.1; the scheme's case does not matter). */
static const char *bearer(const char *authorization)
{
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return NULL;
    return authorization + 7 + strspn(authorization + 7, " ");
}

static bool verify(
    const struct admin *admin, const struct jws *jws, struct bytes *ret_payload, struct err *err)
{
    const char *kid = jws_kid(jws);
    for (size_t i = 0; i < admin->key_count; i++) {
        struct err ignored = ERR_INIT;
        const char *key_kid = jwk_kid(admin->keys[i]);
        if (kid && key_kid && strcmp(kid, key_kid) != 0)
            continue;
        if (jws_verify(jws, admin->keys[i], ALLOWED, ret_payload, &ignored))
            return true;
    }
    return denied(err, "the token is not signed by any of the configured administrators' keys");
}

static bool check_times(const json_t *claims, int64_t now, struct err *err)
{
    const json_t *exp = json_object_get(claims, "exp");
    const json_t *nbf = json_object_get(claims, "nbf");
    if (!json_is_integer(exp))
        return denied(err, "the token has no `exp`, or it is no integer");
    if (json_integer_value(exp) < now - LEEWAY_S)
        return denied(err, "the token has expired; make a new one");
    if (nbf && !json_is_integer(nbf))
        return denied(err, "the token's `nbf` is no integer");
    if (nbf && json_integer_value(nbf) > now + LEEWAY_S)
        return denied(err, "the token is not valid yet; compare the clocks");
    return true;
}

/* `aud` is a text or an array of texts (RFC 7519 section 4.1.3). */
static bool has_audience(const json_t *claims, const char *audience)
{
    const json_t *aud = json_object_get(claims, "aud");
    if (json_is_string(aud))
        return strcmp(json_string_value(aud), audience) == 0;
    for (size_t i = 0; i < json_array_size(aud); i++) {
        const char *item = json_string_value(json_array_get(aud, i));
        if (item && strcmp(item, audience) == 0)
            return true;
    }
    return false;
}

static bool check_parties(const struct admin *admin, const json_t *claims, struct err *err)
{
    const char *issuer = json_member_text(claims, "iss");
    if (admin->issuer && (!issuer || strcmp(issuer, admin->issuer) != 0))
        return denied(err, "the token's `iss` is not the configured issuer");
    if (admin->audience && !has_audience(claims, admin->audience))
        return denied(err, "the token's `aud` does not name this server");
    return true;
}

static bool printable(const char *text)
{
    for (; *text != '\0'; text++)
        if (!isgraph((unsigned char)*text))
            return false;
    return true;
}

/* That the target begins with /kbs is asked once more, whatever a regular expression may come to
 * mean. */
static bool check_role(
    const struct admin *admin, const char *role, const char *target, struct err *err)
{
    if (strncmp(target, "/kbs", strlen("/kbs")) != 0)
        return denied(err, "no administrator's endpoint");
    if (!role || *role == '\0' || strlen(role) > ROLE_MAX || !printable(role))
        return denied(err, "the token has no text claim `role`");
    for (size_t i = 0; i < admin->acl_count; i++)
        if (strcmp(admin->acls[i].role, role) == 0 &&
            regexec(&admin->acls[i].regex, target, 0, NULL, 0) == 0)
            return true;
    return err_set(err, ERR_DENIED_LOCAL, "the role \"%s\" may not use this endpoint", role);
}

static void name_admin(const json_t *claims, const char *role, char *out)
{
    const char *subject = json_member_text(claims, "sub");
    if (subject && printable(subject))
        snprintf(out, REQUEST_ADMIN_MAX, "%s/%.60s", role, subject);
    else
        snprintf(out, REQUEST_ADMIN_MAX, "%s", role);
}

/* The claims of a token that one of the keys signed, within its dates, for this server. */
static bool read_token(const struct admin *admin, const char *authorization, int64_t now,
    json_t **ret_claims, struct err *err)
{
    if (admin->mode != KBS_ADMIN_JWT)
        return denied(err, "this server takes no administrator ([admin] mode = deny)");
    const char *token = bearer(authorization);
    auto_jws *jws = NULL;
    auto_json *claims = NULL;
    struct bytes payload;
    if (!token)
        return denied(err, "no bearer token");
    if (strlen(token) > TOKEN_MAX)
        return denied(err, "the token is too long");
    if (!jws_parse(bytes_str(token), &jws, err) || !verify(admin, jws, &payload, err) ||
        !json_load_strict(payload, TOKEN_MAX, "administrator's token", &claims, err)) {
        err->code = ERR_DENIED_LOCAL;
        return false;
    }
    if (!json_is_object(claims))
        return denied(err, "the token's payload is no object");
    if (!check_times(claims, now, err) || !check_parties(admin, claims, err))
        return false;
    *ret_claims = take_ptr(claims);
    return true;
}

bool admin_check(const struct admin *admin, const char *authorization, const char *target,
    int64_t now, char ret_name[REQUEST_ADMIN_MAX], struct err *err)
{
    auto_json *claims = NULL;
    if (!read_token(admin, authorization, now, &claims, err))
        return false;
    const char *role = json_member_text(claims, "role");
    if (!check_role(admin, role, target, err))
        return false;
    name_admin(claims, role, ret_name);
    return true;
}

bool admin_authentic(const struct admin *admin, const char *authorization, int64_t now)
{
    auto_json *claims = NULL;
    struct err ignored = ERR_INIT;
    return read_token(admin, authorization, now, &claims, &ignored);
}
