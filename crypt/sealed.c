/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/sealed.h"

#include "crypt/aead.h"
#include "crypt/base/b64.h"
#include "crypt/jws.h"
#include "crypt/sealed_internal.h"

#define PREFIX_LEN (sizeof SEALED_PREFIX - 1)
#define HEADER_MAX (64u * 1024)

struct sealed {
    struct jws *jws;               /* NULL for an unsigned form */
    struct buf unsigned_payload;   /* only then */
    bool readable;                 /* verified, or accepted without a signature */
    struct sealed_content content; /* once readable */
};

static bool has_prefix(struct bytes text)
{
    return bytes_equal(bytes_slice(text, 0, PREFIX_LEN), bytes_str(SEALED_PREFIX));
}

bool sealed_is_claimed(struct bytes text)
{
    return has_prefix(bytes_trim(text));
}

static bool is_section_char(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '=' || c == '.';
}

bool sealed_split(struct bytes text, struct sealed_sections *ret_sections, struct err *err)
{
    if (text.len > SEALED_TEXT_MAX)
        return err_set(
            err, ERR_FORMAT, "text of %zu bytes; at most %u are taken", text.len, SEALED_TEXT_MAX);
    text = bytes_trim(text);
    if (!has_prefix(text))
        return err_set(err, ERR_FORMAT, "the text does not begin with \"" SEALED_PREFIX "\"");
    struct bytes jws = bytes_of(text.data + PREFIX_LEN, text.len - PREFIX_LEN);
    if (has_prefix(jws))
        return err_set(err, ERR_FORMAT, "the prefix \"" SEALED_PREFIX "\" is given twice");
    struct bytes parts[3];
    size_t count = 0;
    for (size_t i = 0; i < jws.len; i++)
        if (!is_section_char(jws.data[i]))
            return err_set(err, ERR_FORMAT,
                "a character at position %zu after the prefix that is no base64url (a line break "
                "or "
                "blank from copying?)",
                i);
    for (size_t from = 0, i = 0; i <= jws.len; i++) {
        if (i < jws.len && jws.data[i] != '.')
            continue;
        if (count < 3)
            parts[count] = bytes_of(jws.data + from, i - from);
        count++;
        from = i + 1;
    }
    if (count != 3)
        return err_set(err, ERR_FORMAT,
            "%zu sections after the prefix; there are three: header.payload.signature", count);
    *ret_sections = (struct sealed_sections){jws, parts[0], parts[1], parts[2]};
    return true;
}

bool sealed_read_header(struct bytes section, json_t **ret_header)
{
    struct err ignored = ERR_INIT;
    auto_buf text = BUF_INIT(HEADER_MAX);
    auto_json *header = NULL;
    if (!sealed_decode_section(section, &text, &ignored) ||
        !json_load_strict(buf_bytes(&text), HEADER_MAX, "header", &header, &ignored) ||
        !json_is_object(header))
        return false;
    *ret_header = take_ptr(header);
    return true;
}

bool sealed_decode_section(struct bytes section, struct buf *out, struct err *err)
{
    bool padded = section.len > 0 && section.data[section.len - 1] == '=';
    return b64_decode(padded ? B64_URL_PAD : B64_URL, section, "payload", out, err);
}

/* A header that is the beginning of a JSON object means to be a JWS, and must then be a whole one: a damaged or
 * repeated member must not turn a signed secret into an unsigned one. Seen in the base64 ("{" is "e" and a character
 * of the last quarter of the alphabet), so that a cut or a wrong character makes no difference, or after blanks. */
static bool means_to_be_signed(struct bytes header)
{
    static const char after_e[] = "wxyz0123456789-_";
    if (header.len >= 2 && header.data[0] == 'e' && memchr(after_e, header.data[1], 16))
        return true;
    auto_buf text = BUF_INIT(SEALED_TEXT_MAX);
    struct err ignored = ERR_INIT;
    if (!sealed_decode_section(header, &text, &ignored))
        return false;
    struct bytes json = bytes_trim(buf_bytes(&text));
    return json.len > 0 && json.data[0] == '{';
}

static bool parse_signed(struct bytes text, struct jws **ret_jws, struct err *err)
{
    auto_jws *jws = NULL;
    if (!jws_parse(text, &jws, err))
        return false;
    if (!(SEALED_SIGNER_ALGS & JWS_ALLOW(jws_alg(jws))))
        return err_set(err, ERR_FORMAT,
            "header: alg %s; sealed secrets are signed with ES256 (a P-256 key), ES512 (P-521) or "
            "EdDSA (Ed25519)",
            jws_alg_name(jws_alg(jws)));
    if (!jws_kid(jws) || jws_kid(jws)[0] == '\0')
        return err_set(
            err, ERR_FORMAT, "header: member \"kid\", which names the signer, is missing");
    *ret_jws = take_ptr(jws);
    return true;
}

static bool parse(struct bytes text, struct sealed *sealed, struct err *err)
{
    struct sealed_sections sections;
    if (!sealed_split(text, &sections, err))
        return false;
    if (means_to_be_signed(sections.header))
        return parse_signed(sections.jws, &sealed->jws, err);
    sealed->unsigned_payload = (struct buf)BUF_INIT(SEALED_TEXT_MAX);
    return sealed_decode_section(sections.payload, &sealed->unsigned_payload, err);
}

bool sealed_parse(struct bytes text, struct sealed **ret_sealed, struct err *err)
{
    auto_sealed *sealed = calloc(1, sizeof *sealed);
    if (!sealed)
        return err_nomem(err);
    if (!parse(text, sealed, err))
        return err_wrap(err, "sealed secret");
    *ret_sealed = take_ptr(sealed);
    return true;
}

void sealed_free(struct sealed *sealed)
{
    if (!sealed)
        return;
    jws_free(sealed->jws);
    buf_done(&sealed->unsigned_payload);
    sealed_content_done(&sealed->content);
    free(sealed);
}

bool sealed_is_signed(const struct sealed *sealed)
{
    return sealed->jws != NULL;
}

const char *sealed_kid(const struct sealed *sealed)
{
    return sealed->jws ? jws_kid(sealed->jws) : NULL;
}

static bool read_payload(struct sealed *sealed, struct bytes payload, struct err *err)
{
    if (sealed->readable)
        return true;
    if (!sealed_content_read(payload, &sealed->content, err))
        return err_wrap(err, "sealed secret");
    sealed->readable = true;
    return true;
}

bool sealed_verify(struct sealed *sealed, const struct jwk *signer, struct err *err)
{
    struct bytes payload;
    if (!sealed->jws)
        return err_set(err, ERR_CRYPTO,
            "sealed secret: it is not signed; sign it, or set signature = optional for this mount");
    if (!jws_verify(sealed->jws, signer, SEALED_SIGNER_ALGS, &payload, err))
        return err_wrap(err, "sealed secret, kid \"%.200s\"", jws_kid(sealed->jws));
    return read_payload(sealed, payload, err);
}

bool sealed_accept_unsigned(struct sealed *sealed, struct err *err)
{
    if (sealed->jws)
        return err_set(err, ERR_CRYPTO,
            "sealed secret: it is signed (kid \"%.200s\"), so that signature must hold; "
            "signature = optional is for secrets without any",
            jws_kid(sealed->jws));
    return read_payload(sealed, buf_bytes(&sealed->unsigned_payload), err);
}

static bool need_readable(const struct sealed *sealed, struct err *err)
{
    return sealed->readable ||
           err_set(err, ERR_INTERNAL, "sealed secret: used before its signature was checked");
}

bool sealed_check_context(
    const struct sealed *sealed, enum sealed_context rule, const char *expected, struct err *err)
{
    if (!need_readable(sealed, err))
        return false;
    const char *own = sealed->content.payload.context;
    if (!own && rule == SEALED_CONTEXT_WHEN_PRESENT)
        return true;
    /* Whoever can write an unsigned secret can write its context: that binds it to nothing. */
    if (!sealed->jws && rule == SEALED_CONTEXT_REQUIRED)
        return err_set(err, ERR_CRYPTO,
            "sealed secret: it is not signed, so a context in it proves nothing, and this mount "
            "requires one (context = required); sign it");
    if (!own)
        return err_set(err, ERR_CRYPTO,
            "sealed secret: it names no context, and this mount requires one (context = required); "
            "seal it again with its context");
    if (!expected)
        return err_set(err, ERR_CRYPTO,
            "sealed secret: it belongs to context \"%.100s\", and this reader has none; set the "
            "mount's context",
            own);
    if (strcmp(own, expected) != 0)
        return err_set(err, ERR_CRYPTO,
            "sealed secret: it belongs to context \"%.100s\", not to \"%.100s\"", own, expected);
    return true;
}

const struct sealed_payload *sealed_payload(const struct sealed *sealed)
{
    return sealed->readable ? &sealed->content.payload : NULL;
}

bool sealed_uri(const struct sealed *sealed, const char **ret_uri, struct err *err)
{
    return need_readable(sealed, err) &&
           (sealed_content_uri(&sealed->content.payload, ret_uri, err) ||
               err_wrap(err, "sealed secret"));
}

static bool open_envelope(const struct sealed_payload *payload, const struct secret *fetched,
    struct secret **ret_plaintext, struct err *err)
{
    const struct provider *provider;
    auto_secret *data_key = NULL;
    if (!provider_find(payload->provider, &provider, err) ||
        !provider->envelope_unwrap(payload, fetched, &data_key, err))
        return false;
    size_t len = payload->encrypted_data.len - AEAD_TAG_SIZE;
    return aead_open(secret_bytes(data_key), payload->iv, BYTES_EMPTY,
               bytes_slice(payload->encrypted_data, 0, len),
               bytes_slice(payload->encrypted_data, len, AEAD_TAG_SIZE), ret_plaintext, err) ||
           err_wrap(err, "encrypted_data");
}

bool sealed_open(const struct sealed *sealed, struct secret *fetched, struct secret **ret_plaintext,
    struct err *err)
{
    const char *uri;
    if (!sealed_uri(sealed, &uri, err))
        return false;
    if (sealed->content.payload.type == SEALED_VAULT) {
        *ret_plaintext = secret_ref(fetched);
        return true;
    }
    return open_envelope(&sealed->content.payload, fetched, ret_plaintext, err) ||
           err_wrap(err, "sealed secret");
}
