/* SPDX-License-Identifier: Apache-2.0 */
/* The body of every refusal (protocol.md A.4). */
#include "kbs/proto.h"

#include <stdio.h>
#include <string.h>

#define TYPE_PREFIX "https://github.com/confidential-containers/kbs/errors/"
#define GLIMPSE_MAX 96
#define REF_OPEN    " [id "

bool proto_error_encode(const struct proto_error *error, char **ret_text, struct err *err)
{
    auto_json *json = NULL;
    char type[sizeof TYPE_PREFIX + sizeof error->name];
    snprintf(type, sizeof type, TYPE_PREFIX "%s", error->name);
    if (!json_build(&json, err, "{s:s,s:s}", "type", type, "detail", error->detail))
        return false;
    char *text = json_text(json);
    if (!text)
        return err_nomem(err);
    *ret_text = text;
    return true;
}

/* Copies what fits; the texts of a peer end in logs and terminals, so control characters become
 * blanks. A UTF-8 character is copied whole or not at all. */
static void copy_clean(char *out, size_t size, struct bytes text)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    while (len < text.len && len > 0 && (text.data[len] & 0xc0) == 0x80)
        len--;
    for (size_t i = 0; i < len; i++)
        out[i] = text.data[i] < ' ' || text.data[i] == 0x7f ? ' ' : (char)text.data[i];
    out[len] = '\0';
}

static void copy_name(const char *type, struct proto_error *error)
{
    const char *slash = strrchr(type, '/');
    const char *name = slash ? slash + 1 : type;
    if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
        strlen(name))
        copy_clean(error->name, sizeof error->name, bytes_str(name));
}

/* What a body that is no KBS error begins with: a proxy's page, most often. */
static void glimpse(struct bytes body, struct proto_error *error)
{
    char start[GLIMPSE_MAX + 1];
    size_t len = 0;
    for (size_t i = 0; i < body.len && len < GLIMPSE_MAX; i++)
        if (body.data[i] >= ' ' && body.data[i] <= '~')
            start[len++] = (char)body.data[i];
    start[len] = '\0';
    *error = (struct proto_error){0};
    if (body.len == 0)
        snprintf(
            error->detail, sizeof error->detail, "an empty answer, not an error message of a KBS");
    else
        snprintf(error->detail, sizeof error->detail, "not an error message of a KBS: \"%s\"%s",
            start, body.len > len ? "..." : "");
}

void proto_error_decode(struct bytes body, struct proto_error *ret_error)
{
    struct message {
        const char *type;
        const char *detail;
    } in = {0};
    static const struct json_field fields[] = {
        {"type", JSON_FIELD_TEXT, offsetof(struct message, type), .required = true},
        {"detail", JSON_FIELD_TEXT, offsetof(struct message, detail), .required = true},
    };
    auto_json *json = NULL;
    struct err ignored = ERR_INIT;
    if (!json_load_strict(body, PROTO_BODY_MAX, "error answer", &json, &ignored) ||
        !json_decode(json, fields, ARRAY_LEN(fields), true, "error answer", &in, &ignored)) {
        glimpse(body, ret_error);
        return;
    }
    *ret_error = (struct proto_error){0};
    copy_name(in.type, ret_error);
    copy_clean(ret_error->detail, sizeof ret_error->detail, bytes_str(in.detail));
}

void proto_error_ref(const struct proto_error *error, char ret_ref[ERR_REF_SIZE])
{
    const char *open = NULL;
    ret_ref[0] = '\0';
    for (const char *at = strstr(error->detail, REF_OPEN); at; at = strstr(at + 1, REF_OPEN))
        open = at;
    if (!open)
        return;
    const char *id = open + strlen(REF_OPEN);
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-");
    if (len == 0 || len >= ERR_REF_SIZE || strcmp(id + len, "]") != 0)
        return;
    memcpy(ret_ref, id, len);
    ret_ref[len] = '\0';
}
