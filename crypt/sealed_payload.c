/* SPDX-License-Identifier: Apache-2.0 */
/* The payload of a sealed secret: JSON to struct sealed_payload, every mandatory member checked. */
#include "crypt/aead.h"
#include "crypt/base/b64.h"
#include "crypt/sealed_internal.h"

#define VERSION_TEXT "0.1.0"
#define WRAP_TYPE    "A256GCM"

void sealed_content_done(struct sealed_content *content)
{
    json_unref(content->json);
    buf_done(&content->encrypted_key);
    buf_done(&content->encrypted_data);
    buf_done(&content->iv);
    *content = (struct sealed_content){0};
}

/* Members of both types; provider_settings and annotations are mandatory in CoCo's code (protocol.md E). */
struct head {
    const char *version, *type, *provider;
    json_t *provider_settings, *annotations;
};

static const struct json_field head_fields[] = {
    {"version", JSON_FIELD_TEXT, offsetof(struct head, version), .max = 64, .required = true},
    {"type", JSON_FIELD_TEXT, offsetof(struct head, type), .max = 64, .required = true},
    {"provider", JSON_FIELD_TEXT, offsetof(struct head, provider), .max = 64, .required = true},
    {"provider_settings", JSON_FIELD_OBJECT, offsetof(struct head, provider_settings),
        .required = true},
    {"annotations", JSON_FIELD_OBJECT, offsetof(struct head, annotations), .required = true},
};

struct envelope {
    const char *key_id, *encrypted_key, *encrypted_data, *wrap_type, *iv;
};

static const struct json_field envelope_fields[] = {
    {"key_id", JSON_FIELD_TEXT, offsetof(struct envelope, key_id), .required = true},
    {"encrypted_key", JSON_FIELD_TEXT, offsetof(struct envelope, encrypted_key), .required = true},
    {"encrypted_data", JSON_FIELD_TEXT, offsetof(struct envelope, encrypted_data),
        .required = true},
    {"wrap_type", JSON_FIELD_TEXT, offsetof(struct envelope, wrap_type), .max = 64,
        .required = true},
    {"iv", JSON_FIELD_TEXT, offsetof(struct envelope, iv), .required = true},
};

static const struct json_field vault_fields[] = {
    {"name", JSON_FIELD_TEXT, 0, .required = true},
};

static bool read_context(const json_t *annotations, const char **ret_context, struct err *err)
{
    const json_t *context = json_object_get(annotations, "context");
    if (!context)
        return true;
    if (!json_is_string(context) || json_string_length(context) == 0 ||
        json_string_length(context) > SEALED_CONTEXT_MAX)
        return err_set(err, ERR_FORMAT,
            "payload: annotations.context must be a text of 1 to %d bytes", SEALED_CONTEXT_MAX);
    *ret_context = json_string_value(context);
    return true;
}

static bool read_head(struct sealed_content *content, struct err *err)
{
    struct head head = {0};
    struct sealed_payload *payload = &content->payload;
    if (!json_decode(
            content->json, head_fields, ARRAY_LEN(head_fields), true, "payload", &head, err))
        return false;
    if (strcmp(head.version, VERSION_TEXT) != 0)
        return err_set(err, ERR_FORMAT,
            "payload: version \"%.16s\"; only " VERSION_TEXT " is taken", head.version);
    if (strcmp(head.type, "vault") == 0)
        payload->type = SEALED_VAULT;
    else if (strcmp(head.type, "envelope") == 0)
        payload->type = SEALED_ENVELOPE;
    else
        return err_set(
            err, ERR_FORMAT, "payload: type \"%.16s\" is neither vault nor envelope", head.type);
    payload->provider = head.provider;
    payload->provider_settings = head.provider_settings;
    payload->annotations = head.annotations;
    return read_context(head.annotations, &payload->context, err);
}

static bool decode_member(const char *text, const char *what, size_t max, struct buf *buf,
    struct bytes *ret_bytes, struct err *err)
{
    *buf = (struct buf)BUF_INIT(max);
    if (!b64_decode(B64_STD, bytes_str(text), what, buf, err))
        return false;
    *ret_bytes = buf_bytes(buf);
    return true;
}

static bool check_wrap_type(const char *wrap_type, struct err *err)
{
    if (strcmp(wrap_type, WRAP_TYPE) == 0)
        return true;
    return err_set(err, ERR_FORMAT,
        strcmp(wrap_type, "A256CTR") == 0
            ? "payload: wrap_type \"%.16s\" lets anybody alter the secret unnoticed; seal it again "
              "with " WRAP_TYPE
            : "payload: wrap_type \"%.16s\"; only " WRAP_TYPE " is taken",
        wrap_type);
}

static bool read_envelope(struct sealed_content *content, struct err *err)
{
    struct envelope text = {0};
    struct sealed_payload *payload = &content->payload;
    if (!json_decode(content->json, envelope_fields, ARRAY_LEN(envelope_fields), true, "payload",
            &text, err) ||
        !check_wrap_type(text.wrap_type, err) ||
        !decode_member(text.encrypted_key, "payload: encrypted_key", SEALED_TEXT_MAX,
            &content->encrypted_key, &payload->encrypted_key, err) ||
        !decode_member(text.encrypted_data, "payload: encrypted_data", SEALED_TEXT_MAX,
            &content->encrypted_data, &payload->encrypted_data, err) ||
        !decode_member(text.iv, "payload: iv", SEALED_TEXT_MAX, &content->iv, &payload->iv, err))
        return false;
    if (payload->iv.len != AEAD_NONCE_SIZE)
        return err_set(err, ERR_FORMAT, "payload: \"iv\" has %zu bytes; " WRAP_TYPE " takes %d",
            payload->iv.len, AEAD_NONCE_SIZE);
    if (payload->encrypted_data.len < AEAD_TAG_SIZE)
        return err_set(err, ERR_FORMAT,
            "payload: \"encrypted_data\" has %zu bytes; the " WRAP_TYPE " tag alone has %d",
            payload->encrypted_data.len, AEAD_TAG_SIZE);
    payload->key_id = text.key_id;
    payload->wrap_type = text.wrap_type;
    return true;
}

bool sealed_content_read(struct bytes json, struct sealed_content *ret_content, struct err *err)
{
    auto_sealed_content content = {0};
    if (!json_load_strict(json, SEALED_TEXT_MAX, "payload", &content.json, err) ||
        !read_head(&content, err))
        return false;
    if (content.payload.type == SEALED_ENVELOPE
            ? !read_envelope(&content, err)
            : !json_decode(content.json, vault_fields, ARRAY_LEN(vault_fields), true, "payload",
                  &content.payload.name, err))
        return false;
    *ret_content = content;
    content = (struct sealed_content){0};
    return true;
}

bool sealed_content_uri(const struct sealed_payload *payload, const char **ret_uri, struct err *err)
{
    const struct provider *provider;
    if (!provider_find(payload->provider, &provider, err))
        return err_wrap(err, "payload");
    bool is_vault = payload->type == SEALED_VAULT;
    bool (*uri)(const struct sealed_payload *, const char **, struct err *) =
        is_vault ? provider->vault_uri : provider->envelope_uri;
    if (!uri)
        return err_set(err, ERR_FORMAT, "payload: provider \"%s\" has no secrets of type %s",
            provider->name, is_vault ? "vault" : "envelope");
    return uri(payload, ret_uri, err);
}
