/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/policy/rego.h"

#include <string.h>

#include "crypt/base/b64.h"
#include "crypt/hash.h"

#define KEYWORD "package"
#define NAME    "policy"

/* Behind the text, so that lines in OPA's errors are those of the text. */
static const char added[] = "\n" REGO_MARK " := true\n"
                            "query_reference_value(sealed_kbs_id) := "
                            "object.get(data." REGO_VALUES ", sealed_kbs_id, null)\n";

bool rego_id(struct bytes text, char ret_id[REGO_ID_SIZE], struct err *err)
{
    struct hash digest;
    if (!hash_bytes(HASH_SHA256, text, &digest, err))
        return false;
    memcpy(ret_id, "p_", 2);
    hex_encode(bytes_slice(hash_view(&digest), 0, 16), ret_id + 2);
    return true;
}

static size_t skip_blanks(struct bytes text, size_t at)
{
    while (at < text.len && (text.data[at] == ' ' || text.data[at] == '\t'))
        at++;
    return at;
}

/* Before the package there can be nothing but blanks, newlines and comments. */
static size_t skip_to_statement(struct bytes text)
{
    size_t at = 0;
    while (at < text.len) {
        if (text.data[at] == '#')
            while (at < text.len && text.data[at] != '\n')
                at++;
        else if (bytes_is_blank(text.data[at]))
            at++;
        else
            break;
    }
    return at;
}

static bool is_word(struct bytes text, size_t at, const char *word)
{
    return bytes_equal(bytes_slice(text, at, strlen(word)), bytes_str(word));
}

static size_t line_of(struct bytes text, size_t at)
{
    size_t line = 1;
    for (size_t i = 0; i < at && i < text.len; i++)
        line += text.data[i] == '\n';
    return line;
}

/* Where the name of the package stands; the text's length when it is another one. */
static size_t find_name(struct bytes text, size_t start)
{
    size_t at = start + strlen(KEYWORD);
    if (!is_word(text, start, KEYWORD))
        return text.len;
    size_t name = skip_blanks(text, at);
    size_t end = name + strlen(NAME);
    if (name == at || !is_word(text, name, NAME))
        return text.len;
    /* What goes on with a dot, a bracket or a letter is another package. */
    at = skip_blanks(text, end);
    if (at < text.len && text.data[at] != '\n' && text.data[at] != '\r' && text.data[at] != '#')
        return text.len;
    return name;
}

bool rego_module(
    struct bytes text, const char *id, struct buf *out, size_t *ret_added, struct err *err)
{
    size_t start = skip_to_statement(text);
    size_t name = find_name(text, start);
    if (memchr(text.data, '\0', text.len))
        return err_set(err, ERR_FORMAT, "the policy has a NUL character");
    if (name >= text.len)
        return err_set(err, ERR_FORMAT,
            "line %zu: a Rego policy must begin with \"package policy\" on a line of its own",
            line_of(text, start));
    size_t before = out->len;
    if (!buf_append(out, bytes_slice(text, 0, name), err) ||
        !buf_printf(out, err, REGO_PACKAGE ".%s", id) ||
        !buf_append(out, bytes_slice(text, name + strlen(NAME), SIZE_MAX), err))
        return false;
    *ret_added = out->len - before;
    return buf_append(out, bytes_of(added, sizeof added - 1), err);
}
