/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/eventlog_details.h"

#include "attest/verify/eventlog_paths.h"
#include "attest/verify/eventlog_text.h"
#include "crypt/base/b64.h"
#include "crypt/base/pack.h"
#include "crypt/base/utf8.h"

#define TEXT_MAX  (3u * EVENTLOG_MAX)
#define GUID_SIZE 16
#define AAEL_TAG  0x4141454cu /* "AAEL", so "LEAA" in the log */
#define PATH_END  4           /* bytes of the end node */

/* Adds what it can read of the data to `details`. False only for trouble of our own. */
typedef bool details_fn(struct bytes data, json_t *details, struct err *err);

static bool set(json_t *details, const char *name, json_t *value, struct err *err)
{
    return json_object_set_new(details, name, value) == 0 || err_nomem(err);
}

static bool set_text(json_t *details, const char *name, const struct buf *text, struct err *err)
{
    return set(details, name, json_string(buf_text(text)), err);
}

static bool set_std64(json_t *details, const char *name, struct bytes data, struct err *err)
{
    auto_free char *text = b64_encode(B64_STD, data);
    return text ? set(details, name, json_string(text), err) : err_nomem(err);
}

static bool plain_text(struct bytes data, json_t *details, struct err *err)
{
    auto_buf text = BUF_INIT(TEXT_MAX);
    return !utf8_valid(data) ||
           (eventlog_text_utf8(data, &text, err) && set_text(details, "string", &text, err));
}

static bool flags_text(struct bytes data, json_t *details, struct err *err)
{
    auto_buf text = BUF_INIT(TEXT_MAX);
    return eventlog_text_printable(data, &text, err) && set_text(details, "string", &text, err);
}

/* UEFI_PLATFORM_FIRMWARE_BLOB2, UEFI_HANDOFF_TABLE_POINTERS2: u8 size, and a text whose NUL is counted. */
static bool counted_text(struct bytes data, json_t *details, struct err *err)
{
    struct pack_reader in = pack_reader(data);
    uint8_t size = pack_get_u8(&in);
    struct bytes text = pack_get_fixed(&in, size > 0 ? size - 1u : 0);
    return in.failed || plain_text(text, details, err);
}

/* EV_IPL: what the loader wrote, text of GRUB up to its NUL, or with the mark 2e00 UTF-16. What is no text is shown in hex. */
static bool ipl_text(struct bytes data, json_t *details, struct err *err)
{
    auto_buf text = BUF_INIT(TEXT_MAX);
    if (data.len < 2)
        return true;
    if (data.data[0] == 0x2e && data.data[1] == 0) {
        if (data.len < 4 || data.len % 2 != 0)
            return true;
        return eventlog_text_utf16(bytes_slice(data, 2, data.len - 4), &text, err) &&
               set_text(details, "string", &text, err);
    }
    const uint8_t *end = memchr(data.data, 0, data.len);
    struct bytes line = bytes_slice(data, 0, end ? (size_t)(end - data.data) : data.len);
    if (utf8_valid(line))
        return eventlog_text_utf8(line, &text, err) && set_text(details, "string", &text, err);
    auto_free char *hex = hex_encode_dup(data);
    return hex ? set(details, "string", json_string(hex), err) : err_nomem(err);
}

/* -- EV_EVENT_TAG ------------------------------------------------------------------------------ */

static bool is_shallow(const json_t *json, int levels)
{
    size_t index;
    const char *name;
    const json_t *value;
    if (levels == 0 && (json_is_object(json) || json_is_array(json)))
        return false;
    json_array_foreach((json_t *)(uintptr_t)json, index, value)
    {
        if (!is_shallow(value, levels - 1))
            return false;
    }
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        if (!is_shallow(value, levels - 1))
            return false;
    }
    return true;
}

/* Its JSON value, if it is one (any kind: so it is read as the only item of a list), else the text itself. */
static bool content_value(struct bytes content, json_t **ret_value, struct err *err)
{
    struct err cause = ERR_INIT;
    auto_buf text = BUF_INIT(TEXT_MAX);
    auto_json *list = NULL;
    if (content.len <= EVENTLOG_CONTENT_MAX) {
        if (!buf_append_str(&text, "[", err) || !buf_append(&text, content, err) ||
            !buf_append_str(&text, "]", err))
            return false;
        if (!json_load_strict(buf_bytes(&text), text.len, "content", &list, &cause) &&
            cause.code == ERR_NOMEM)
            return err_nomem(err);
    }
    if (json_array_size(list) == 1 && is_shallow(json_array_get(list, 0), EVENTLOG_CONTENT_DEPTH)) {
        *ret_value = json_incref(json_array_get(list, 0));
        return true;
    }
    buf_truncate(&text, 0);
    if (!eventlog_text_utf8(content, &text, err))
        return false;
    *ret_value = json_string(buf_text(&text));
    return *ret_value || err_nomem(err);
}

/* Up to the next blank, which is taken, too. *ret_found false: there is none. */
static struct bytes next_word(struct bytes *rest, bool *ret_found)
{
    const uint8_t *blank = rest->len > 0 ? memchr(rest->data, ' ', rest->len) : NULL;
    *ret_found = blank != NULL;
    if (!blank)
        return BYTES_EMPTY;
    struct bytes word = bytes_of(rest->data, (size_t)(blank - rest->data));
    *rest = bytes_slice(*rest, word.len + 1, rest->len);
    return word;
}

/* An entry of the attestation agent's log: domain, operation, content. */
static bool aael_data(struct bytes text, json_t *details, struct err *err)
{
    bool found = false;
    auto_buf domain_text = BUF_INIT(TEXT_MAX), operation_text = BUF_INIT(TEXT_MAX);
    auto_json *data = NULL, *content = NULL;
    struct bytes domain = next_word(&text, &found);
    struct bytes operation = found ? next_word(&text, &found) : BYTES_EMPTY;
    if (!found)
        return true;
    if (!content_value(text, &content, err) || !eventlog_text_utf8(domain, &domain_text, err) ||
        !eventlog_text_utf8(operation, &operation_text, err) ||
        !json_build(&data, err, "{s:O,s:s,s:s}", "content", content, "domain",
            buf_text(&domain_text), "operation", buf_text(&operation_text)))
        return false;
    return set(details, "data", json_incref(data), err) &&
           set(details, "unicode_name", json_string("AAEL"), err);
}

/* TCG_PCClientTaggedEvent */
static bool tagged(struct bytes data, json_t *details, struct err *err)
{
    struct pack_reader in = pack_reader(data);
    auto_buf text = BUF_INIT(TEXT_MAX);
    uint32_t tag = pack_get_le32(&in);
    struct bytes content = pack_get_fixed(&in, pack_get_le32(&in));
    if (in.failed)
        return true;
    return eventlog_text_utf8(content, &text, err) && set_text(details, "string", &text, err) &&
           (tag != AAEL_TAG || !utf8_valid(content) || aael_data(content, details, err));
}

/* -- UEFI -------------------------------------------------------------------------------------- */

/* As upstream prints it: the bytes in their order in memory. */
static void plain_guid(struct bytes guid, char out[37])
{
    static const size_t parts[] = {4, 2, 2, 2, 6};
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (i > 0)
            *out++ = '-';
        hex_encode(bytes_slice(guid, at, parts[i]), out);
        out += 2 * parts[i];
        at += parts[i];
    }
}

/* UEFI_VARIABLE_DATA. Lengths come first: of the name in characters, of the value in bytes. */
static bool variable(struct bytes data, json_t *details, struct err *err)
{
    struct pack_reader in = pack_reader(data);
    auto_buf name = BUF_INIT(TEXT_MAX);
    char guid[37];
    struct bytes vendor = pack_get_fixed(&in, GUID_SIZE);
    uint64_t name_len = pack_get_le64(&in), value_len = pack_get_le64(&in);
    if (in.failed || name_len > EVENTLOG_MAX || value_len > EVENTLOG_MAX)
        return true;
    struct bytes name_text = pack_get_fixed(&in, 2 * (size_t)name_len);
    struct bytes value = pack_get_fixed(&in, (size_t)value_len);
    if (in.failed || !eventlog_text_utf16_valid(name_text))
        return true;
    plain_guid(vendor, guid);
    return eventlog_text_utf16(name_text, &name, err) &&
           set_text(details, "unicode_name", &name, err) &&
           set(details, "unicode_name_length", json_integer((json_int_t)name_len), err) &&
           set_std64(details, "variable_data", value, err) &&
           set(details, "variable_data_length", json_integer((json_int_t)value_len), err) &&
           set(details, "variable_name", json_string(guid), err);
}

/* UEFI_IMAGE_LOAD_EVENT: address, length, link address, length of the path, path. */
static bool image(struct bytes data, json_t *details, struct err *err)
{
    struct pack_reader in = pack_reader(data);
    auto_json *paths = json_array();
    bool ok = false;
    if (!paths)
        return err_nomem(err);
    pack_get_fixed(&in, 3 * 8);
    uint64_t len = pack_get_le64(&in);
    if (in.failed || len <= PATH_END || len > EVENTLOG_MAX)
        return true;
    struct bytes path = pack_get_fixed(&in, (size_t)len - PATH_END);
    if (in.failed)
        return true;
    return eventlog_paths(path, paths, &ok, err) &&
           (!ok || set(details, "device_paths", json_incref(paths), err));
}

static const struct {
    uint32_t type;
    details_fn *details;
} readers[] = {
    {EV_POST_CODE, plain_text},
    {EV_ACTION, plain_text},
    {EV_EVENT_TAG, tagged},
    {EV_PLATFORM_CONFIG_FLAGS, flags_text},
    {EV_COMPACT_HASH, plain_text},
    {EV_IPL, ipl_text},
    {EV_OMIT_BOOT_DEVICE_EVENTS, plain_text},
    {EV_EFI_VARIABLE_DRIVER_CONFIG, variable},
    {EV_EFI_VARIABLE_BOOT, variable},
    {EV_EFI_BOOT_SERVICES_APPLICATION, image},
    {EV_EFI_ACTION, plain_text},
    {EV_EFI_PLATFORM_FIRMWARE_BLOB2, counted_text},
    {EV_EFI_HANDOFF_TABLES2, counted_text},
    {EV_EFI_VARIABLE_BOOT2, variable},
    {EV_EFI_VARIABLE_AUTHORITY, variable},
};

bool eventlog_details(const struct eventlog_event *event, json_t **ret_details, struct err *err)
{
    auto_json *details = json_object();
    if (!details)
        return err_nomem(err);
    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        if (readers[i].type == event->type && !readers[i].details(event->data, details, err))
            return false;
    *ret_details = take_ptr(details);
    return true;
}

/* -- claims ------------------------------------------------------------------------------------ */

static bool append_entry(const struct eventlog_event *event, const struct eventlog_digest *digest,
    json_t *claims, struct err *err)
{
    char hex[2 * HASH_SIZE_MAX + 1];
    auto_json *details = NULL, *entry = NULL;
    auto_free char *data = b64_encode(B64_STD, event->data);
    bool matches = false;
    if (!data)
        return err_nomem(err);
    hex_encode(digest->value, hex);
    if (!eventlog_details(event, &details, err) ||
        !eventlog_digest_matches(event, digest, &matches, err) ||
        !json_build(&entry, err, "{s:O,s:b,s:[{s:s,s:s}],s:s,s:I,s:s}", "details", details,
            "digest_matches_event", matches, "digests", "alg", eventlog_alg_name(digest->alg),
            "digest", hex, "event", data, "index", (json_int_t)event->index, "type_name",
            eventlog_type_name(event->type)))
        return false;
    return json_array_append(claims, entry) == 0 || err_nomem(err);
}

static bool make_claims(const struct eventlog *log, uint16_t alg,
    bool (*is_shown)(const struct eventlog_event *event, uint32_t pcrs), uint32_t pcrs,
    json_t **ret_claims, struct err *err)
{
    auto_json *claims = json_array();
    if (!claims)
        return err_nomem(err);
    for (size_t i = 0; i < log->count; i++) {
        const struct eventlog_digest *digest = eventlog_digest_of(&log->events[i], alg);
        if (digest && is_shown(&log->events[i], pcrs) &&
            !append_entry(&log->events[i], digest, claims, err))
            return false;
    }
    *ret_claims = take_ptr(claims);
    return true;
}

static bool is_shown_of_rtmrs(const struct eventlog_event *event, uint32_t pcrs)
{
    (void)pcrs;
    return event->index == 0 ? event->type == EV_NO_ACTION : event->index <= EVENTLOG_RTMRS;
}

static bool is_shown_of_pcrs(const struct eventlog_event *event, uint32_t pcrs)
{
    return event->type != EV_NO_ACTION && event->index < EVENTLOG_PCRS &&
           (pcrs >> event->index & 1) != 0;
}

bool eventlog_rtmr_claims(const struct eventlog *log, json_t **ret_claims, struct err *err)
{
    return make_claims(log, EVENTLOG_SHA384, is_shown_of_rtmrs, 0, ret_claims, err);
}

bool eventlog_pcr_claims(
    const struct eventlog *log, uint32_t pcrs, json_t **ret_claims, struct err *err)
{
    return make_claims(log, EVENTLOG_SHA256, is_shown_of_pcrs, pcrs, ret_claims, err);
}
