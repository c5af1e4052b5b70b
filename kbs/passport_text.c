/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of a passport: an object of exactly two texts, read where nothing is left behind. */
#include <openssl/crypto.h>
#include <string.h>

#include "kbs/passport.h"

#define BLANKS " \t\r\n"

static const char *const names[] = {"token", "tee_keypair"};

struct scan {
    const uint8_t *at, *end;
};

static bool fail(const char *what, struct err *err)
{
    return err_set(err, ERR_FORMAT,
        "%s; the form is {\"token\":\"JWT\",\"tee_keypair\":\"PRIVATE KEY\"}", what);
}

static void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->end && *scan->at != '\0' && strchr(BLANKS, *scan->at))
        scan->at++;
}

static bool take(struct scan *scan, char wanted)
{
    skip_blanks(scan);
    if (scan->at == scan->end || *scan->at != (uint8_t)wanted)
        return false;
    scan->at++;
    return true;
}

/* What stands behind a backslash; 0 for what neither a PEM nor a JWT nor a JWK needs. */
static char unescape(char letter)
{
    static const char from[] = "nrt\"\\/", to[] = "\n\r\t\"\\/";
    const char *found = letter ? strchr(from, letter) : NULL;
    return found ? to[found - from] : '\0';
}

/* A text with its escapes resolved, and a NUL behind it. */
static bool take_text(struct scan *scan, struct secret **ret_text, struct err *err)
{
    auto_secret *text = NULL;
    size_t len = 0;
    if (!take(scan, '"'))
        return fail("no text where one must stand", err);
    if (!secret_new((size_t)(scan->end - scan->at) + 1, &text, err))
        return false;
    uint8_t *out = secret_data(text);
    while (scan->at < scan->end && *scan->at != '"') {
        uint8_t byte = *scan->at++;
        if (byte == '\\')
            byte = scan->at < scan->end ? (uint8_t)unescape((char)*scan->at++) : 0;
        else if (byte < ' ')
            byte = 0;
        if (byte == 0)
            return fail("a text with a control character or an escape that is not taken", err);
        out[len++] = byte;
    }
    if (!take(scan, '"'))
        return fail("a text without end", err);
    secret_truncate(text, len + 1);
    *ret_text = take_ptr(text);
    return true;
}

static bool find_name(const struct secret *name, size_t *ret_index, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp((const char *)secret_bytes(name).data, names[i]) == 0) {
            *ret_index = i;
            return true;
        }
    return fail("another member than token and tee_keypair", err);
}

static bool take_members(struct scan *scan, struct secret *values[], struct err *err)
{
    if (!take(scan, '{'))
        return fail("no JSON object", err);
    for (size_t count = 0; count < ARRAY_LEN(names); count++) {
        auto_secret *name = NULL;
        size_t index = 0;
        if (count > 0 && !take(scan, ','))
            return fail("a member is missing", err);
        if (!take_text(scan, &name, err) || !find_name(name, &index, err))
            return false;
        if (values[index])
            return fail("a member stands there twice", err);
        if (!take(scan, ':'))
            return fail("a name without a value", err);
        if (!take_text(scan, &values[index], err))
            return false;
    }
    if (!take(scan, '}'))
        return fail("more than two members", err);
    skip_blanks(scan);
    return scan->at == scan->end || fail("something behind the object", err);
}

static bool make(
    struct secret *const values[], char **ret_token, struct jwk **ret_key, struct err *err)
{
    auto_jwk *key = NULL;
    struct bytes token = secret_bytes(values[0]), pair = secret_bytes(values[1]);
    auto_secret *text = NULL;
    if (!secret_copy(bytes_slice(pair, 0, pair.len - 1), &text, err) ||
        !jwk_from_secret(text, &key, err))
        return err_wrap(err, "tee_keypair");
    if (!jwk_is_private(key) || jwk_kind(key) == JWK_OCT || jwk_kind(key) == JWK_OKP_ED25519)
        return err_set(err, ERR_FORMAT,
            "tee_keypair: resources are encrypted to a private EC or RSA key, which this is not");
    char *copy = strdup((const char *)token.data);
    if (!copy)
        return err_nomem(err);
    *ret_token = copy;
    *ret_key = take_ptr(key);
    return true;
}

bool passport_parse(struct bytes text, char **ret_token, struct jwk **ret_key, struct err *err)
{
    struct secret *values[ARRAY_LEN(names)] = {NULL};
    struct scan scan = {text.data, text.data ? text.data + text.len : NULL};
    bool done = take_members(&scan, values, err) && make(values, ret_token, ret_key, err);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        secret_unref(values[i]);
    return done;
}
