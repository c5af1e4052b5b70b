/* SPDX-License-Identifier: Apache-2.0 */
/* What a sealed string says about itself, without any key or check: for `sealed inspect` and for st_size. */
#include "crypt/aead.h"
#include "crypt/base/b64.h"
#include "crypt/sealed_internal.h"

static bool load_payload(struct bytes section, json_t **ret_payload, struct err *err)
{
    auto_buf text = BUF_INIT(SEALED_TEXT_MAX);
    return sealed_decode_section(section, &text, err) &&
           json_load_strict(buf_bytes(&text), SEALED_TEXT_MAX, "payload", ret_payload, err);
}

/* The number of bytes that padded base64 of this length and ending stands for. */
static size_t decoded_len(struct bytes text)
{
    size_t padding = 0;
    if (text.len % 4 != 0)
        return 0;
    while (padding < 2 && padding < text.len && text.data[text.len - 1 - padding] == '=')
        padding++;
    return text.len / 4 * 3 - padding;
}

static size_t plaintext_len(const json_t *payload)
{
    const char *type = json_member_text(payload, "type");
    const char *data = json_member_text(payload, "encrypted_data");
    if (!type || strcmp(type, "envelope") != 0 || !data)
        return 0;
    size_t len = decoded_len(bytes_str(data));
    return len > AEAD_TAG_SIZE ? len - AEAD_TAG_SIZE : 0;
}

size_t sealed_length_hint(struct bytes text)
{
    struct err ignored = ERR_INIT;
    struct sealed_sections sections;
    auto_json *payload = NULL;
    if (!sealed_split(text, &sections, &ignored) ||
        !load_payload(sections.payload, &payload, &ignored))
        return 0;
    return plaintext_len(payload);
}

static bool describe(struct bytes text, json_t **ret_json, struct err *err)
{
    struct sealed_sections sections;
    auto_json *header = NULL, *payload = NULL, *json = NULL;
    if (!sealed_split(text, &sections, err) || !load_payload(sections.payload, &payload, err))
        return false;
    bool is_signed = sealed_read_header(sections.header, &header);
    if (!json_build(&json, err, "{s:b,s:b,s:O?,s:O,s:I}", "signed", is_signed, "verified", 0,
            "header", header, "payload", payload, "signature_characters",
            (json_int_t)sections.signature.len))
        return false;
    size_t len = plaintext_len(payload);
    if (len > 0 && json_object_set_new(json, "plaintext_bytes", json_integer((json_int_t)len)) != 0)
        return err_nomem(err);
    *ret_json = take_ptr(json);
    return true;
}

bool sealed_describe(struct bytes text, json_t **ret_json, struct err *err)
{
    return describe(text, ret_json, err) || err_wrap(err, "sealed secret");
}
