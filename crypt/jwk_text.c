/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JWKs as they come in: from a JSON value (public keys) and from text in locked memory (private
 * keys), which this scanner walks in place, so that no JSON library ever copies the private
 * numbers.
 *
 * The scanner takes one JSON object (RFC 8259); refused: a member given twice, escapes in
 * a name or in a member that is base64url, nesting over SCAN_DEPTH, more than SCAN_MEMBERS members,
 * anything after the object.
 */
#include "crypt/base/utf8.h"
#include "crypt/jwk_internal.h"

#define SCAN_DEPTH   8
#define SCAN_MEMBERS 64

struct scan {
    const uint8_t *begin, *at, *end;
};

static bool scan_fail(const struct scan *scan, const char *what, struct err *err)
{
    return err_set(err, ERR_FORMAT, "%s at byte %zu", what, (size_t)(scan->at - scan->begin));
}

static void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || (*scan->at >= '\t' && *scan->at <= '\n') || *scan->at == '\r'))
        scan->at++;
}

static bool take_char(struct scan *scan, char wanted)
{
    skip_blanks(scan);
    if (scan->at == scan->end || *scan->at != (uint8_t)wanted)
        return false;
    scan->at++;
    return true;
}

/* The content between the quotes; *ret_escaped when it holds a backslash. Escapes are only skipped
 * here: where a text with escapes is wanted, the JSON loader decodes and checks it. */
static bool scan_string(
    struct scan *scan, struct bytes *ret_text, bool *ret_escaped, struct err *err)
{
    if (!take_char(scan, '"'))
        return scan_fail(scan, "a quoted text is missing", err);
    const uint8_t *from = scan->at;
    *ret_escaped = false;
    for (; scan->at < scan->end && *scan->at != '"'; scan->at++) {
        if (*scan->at < ' ')
            return scan_fail(scan, "a control character", err);
        if (*scan->at == '\\') {
            *ret_escaped = true;
            if (++scan->at == scan->end)
                break;
            if (!strchr("\"\\/bfnrtu", *scan->at) || *scan->at == '\0')
                return scan_fail(scan, "an unknown escape", err);
        }
    }
    if (scan->at >= scan->end)
        return scan_fail(scan, "a quoted text does not end", err);
    *ret_text = bytes_of(from, (size_t)(scan->at - from));
    scan->at++;
    return true;
}

static bool take_digits(struct scan *scan)
{
    const uint8_t *from = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return scan->at > from;
}

static bool take_any(struct scan *scan, const char *set)
{
    if (scan->at == scan->end || *scan->at == '\0' || !strchr(set, *scan->at))
        return false;
    scan->at++;
    return true;
}

/* RFC 8259 section 6: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
static bool scan_number(struct scan *scan, struct err *err)
{
    take_any(scan, "-");
    bool good = take_any(scan, "0") || take_digits(scan);
    if (good && take_any(scan, "."))
        good = take_digits(scan);
    if (good && take_any(scan, "eE")) {
        take_any(scan, "+-");
        good = take_digits(scan);
    }
    return good || scan_fail(scan, "no JSON value", err);
}

static bool scan_word(struct scan *scan, struct err *err)
{
    static const char *const words[] = {"true", "false", "null"};
    size_t left = (size_t)(scan->end - scan->at);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i]);
        if (left >= len && memcmp(scan->at, words[i], len) == 0) {
            scan->at += len;
            return true;
        }
    }
    return scan_number(scan, err);
}

/* A value whose content means nothing to us. */
static bool scan_value(struct scan *scan, int depth, struct err *err)
{
    struct bytes text;
    bool escaped;
    skip_blanks(scan);
    if (scan->at == scan->end)
        return scan_fail(scan, "the text ends too early", err);
    if (*scan->at == '"')
        return scan_string(scan, &text, &escaped, err);
    if (*scan->at != '{' && *scan->at != '[')
        return scan_word(scan, err);
    if (depth == 0)
        return scan_fail(scan, "nested too deeply", err);
    bool is_object = *scan->at++ == '{';
    char close = is_object ? '}' : ']';
    if (take_char(scan, close))
        return true;
    do {
        if (is_object && (!scan_string(scan, &text, &escaped, err) ||
                             (!take_char(scan, ':') && !scan_fail(scan, "\":\" is missing", err))))
            return false;
        if (!scan_value(scan, depth - 1, err))
            return false;
    } while (take_char(scan, ','));
    return take_char(scan, close) || scan_fail(scan, "\",\" or a closing bracket is missing", err);
}

/* kid, alg and use are public: with escapes they are decoded by the JSON loader, as the one text of
 * an array. */
static bool copy_label(struct bytes text, const char *name, char **ret_label, struct err *err)
{
    auto_buf quoted = BUF_INIT(JWK_TEXT_MAX + 8);
    auto_json *array = NULL;
    if (!buf_append_str(&quoted, "[\"", err) || !buf_append(&quoted, text, err) ||
        !buf_append_str(&quoted, "\"]", err) ||
        !json_load_strict(buf_bytes(&quoted), JWK_TEXT_MAX + 8, name, &array, err))
        return false;
    char *label = strdup(json_string_value(json_array_get(array, 0)));
    if (!label)
        return err_nomem(err);
    *ret_label = label;
    return true;
}

static char **label_slot(struct jwk_members *members, enum jwk_member which)
{
    return which == JWK_KID   ? &members->kid
           : which == JWK_ALG ? &members->alg
           : which == JWK_USE ? &members->use
                              : NULL;
}

static bool scan_known(
    struct scan *scan, enum jwk_member which, struct jwk_members *members, struct err *err)
{
    struct bytes text;
    bool escaped;
    const char *name = jwk_member_name(which);
    skip_blanks(scan);
    if (which == JWK_OTH) {
        members->text[which] = bytes_of(scan->at, 0);
        return scan_value(scan, SCAN_DEPTH, err);
    }
    if (scan->at == scan->end || *scan->at != '"')
        return err_set(err, ERR_FORMAT, "member \"%s\" is no text", name);
    if (!scan_string(scan, &text, &escaped, err))
        return false;
    char **label = label_slot(members, which);
    if (escaped && !label)
        return err_set(
            err, ERR_FORMAT, "member \"%s\" holds an escape; base64url needs none", name);
    members->text[which] = text;
    return !label || copy_label(text, name, label, err);
}

bool jwk_scan(struct bytes text, struct jwk_members *ret_members, struct err *err)
{
    struct scan scan = {text.data, text.data, text.data + text.len};
    struct bytes names[SCAN_MEMBERS];
    size_t count = 0;
    auto_jwk_members members = {0};
    if (!utf8_valid(text))
        return err_set(err, ERR_FORMAT, "the text is no UTF-8");
    if (!take_char(&scan, '{'))
        return scan_fail(&scan, "neither a JSON object nor PEM", err);
    bool empty = take_char(&scan, '}');
    while (!empty) {
        bool escaped;
        if (count == SCAN_MEMBERS)
            return scan_fail(&scan, "too many members", err);
        struct bytes *name = &names[count];
        if (!scan_string(&scan, name, &escaped, err))
            return false;
        if (escaped)
            return scan_fail(&scan, "an escape in a member name", err);
        for (size_t i = 0; i < count; i++)
            if (bytes_equal(names[i], *name))
                return scan_fail(&scan, "a member is given twice", err);
        count++;
        if (!take_char(&scan, ':'))
            return scan_fail(&scan, "\":\" is missing", err);
        enum jwk_member which = jwk_member_find(*name);
        if (which == JWK_MEMBER_COUNT ? !scan_value(&scan, SCAN_DEPTH, err)
                                      : !scan_known(&scan, which, &members, err))
            return false;
        if (take_char(&scan, '}'))
            break;
        if (!take_char(&scan, ','))
            return scan_fail(&scan, "\",\" or \"}\" is missing", err);
    }
    skip_blanks(&scan);
    if (scan.at != scan.end)
        return scan_fail(&scan, "something follows the JWK", err);
    *ret_members = members;
    members = (struct jwk_members){0};
    return true;
}

bool jwk_from_secret(const struct secret *text, struct jwk **ret_jwk, struct err *err)
{
    struct bytes bytes = secret_bytes(text);
    if (bytes.len > JWK_TEXT_MAX)
        return err_set(err, ERR_FORMAT, "key text of %zu bytes; at most %d are taken", bytes.len,
            JWK_TEXT_MAX);
    static const char pem[] = "-----BEGIN ";
    if (bytes.len >= sizeof pem - 1 && memcmp(bytes.data, pem, sizeof pem - 1) == 0)
        return jwk_from_pem(bytes, ret_jwk, err) || err_wrap(err, "PEM key");
    auto_jwk_members members = {0};
    if (!jwk_scan(bytes, &members, err))
        return err_wrap(err, "JWK");
    bool with_private = members.text[JWK_D].data || members.text[JWK_K].data ||
                        bytes_equal(members.text[JWK_KTY], bytes_str("oct"));
    return jwk_build(&members, with_private, ret_jwk, err) || err_wrap(err, "JWK");
}

static bool members_from_json(
    const json_t *json, bool private_ok, struct jwk_members *members, struct err *err)
{
    if (!json_is_object(json))
        return err_set(err, ERR_FORMAT, "no JSON object");
    for (int i = 0; i < JWK_MEMBER_COUNT; i++) {
        const char *name = jwk_member_name((enum jwk_member)i);
        const json_t *value = json_object_get(json, name);
        if (!value)
            continue;
        if (i >= JWK_FIRST_PRIVATE && i <= JWK_LAST_PRIVATE) {
            if (!private_ok)
                return err_set(err, ERR_FORMAT,
                    "member \"%s\" belongs to a private key; give the public part only", name);
            continue;
        }
        if (!json_is_string(value))
            return err_set(err, ERR_FORMAT, "member \"%s\" is no text", name);
        members->text[i] = bytes_of(json_string_value(value), json_string_length(value));
        char **label = label_slot(members, (enum jwk_member)i);
        if (label && !(*label = strdup(json_string_value(value))))
            return err_nomem(err);
    }
    return true;
}

bool jwk_from_json(const json_t *json, bool private_ok, struct jwk **ret_jwk, struct err *err)
{
    auto_jwk_members members = {0};
    return (members_from_json(json, private_ok, &members, err) &&
               jwk_build(&members, false, ret_jwk, err)) ||
           err_wrap(err, "JWK");
}
