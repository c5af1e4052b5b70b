/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/eventlog_paths.h"

#include <inttypes.h>

#include "attest/verify/eventlog_text.h"
#include "crypt/base/b64.h"
#include "crypt/base/pack.h"
#include "crypt/base/utf8.h"

#define NODE_HEAD  4
#define NODE_MAX   65536
#define TEXT_MAX   (3u * NODE_MAX) /* a UTF-16 unit becomes at most three bytes, a byte two digits */
#define GUID_SIZE  16
#define MAC_PADDED 31 /* of the 32 bytes that the field has, as upstream */

/* Writes the text of one node. *ret_known false: not a form that this function knows; `out` is then as it was. */
typedef bool node_fn(struct bytes data, struct buf *out, bool *ret_known, struct err *err);

static bool hex_text(struct bytes data, struct buf *out, struct err *err)
{
    auto_free char *text = hex_encode_dup(data);
    return text ? buf_append_str(out, text, err) : err_nomem(err);
}

/* EFI_GUID: three little-endian numbers, then bytes. */
static bool guid_text(struct bytes guid, struct buf *out, struct err *err)
{
    struct pack_reader in = pack_reader(guid);
    uint32_t a = pack_get_le32(&in);
    uint16_t b = pack_get_le16(&in), c = pack_get_le16(&in);
    const uint8_t *d = in.rest.data;
    return buf_printf(out, err, "%08" PRIX32 "-%04X-%04X-%02X%02X-%02X%02X%02X%02X%02X%02X", a, b,
        c, d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]);
}

static bool pci_text(struct bytes data, struct buf *out, bool *ret_known, struct err *err)
{
    *ret_known = data.len >= 2;
    return !*ret_known || buf_printf(out, err, "Pci(%u,%u)", data.data[0], data.data[1]);
}

/* _HID is a compressed EISA id: three letters of five bits, then the number. */
static bool acpi_text(struct bytes data, struct buf *out, bool *ret_known, struct err *err)
{
    struct pack_reader in = pack_reader(data);
    uint32_t hid = pack_get_le32(&in), uid = pack_get_le32(&in);
    char letters[4] = "";
    for (int i = 0; i < 3; i++)
        letters[i] = (char)('@' + (hid >> (10 - 5 * i) & 0x1f));
    *ret_known = !in.failed;
    return !*ret_known ||
           buf_printf(out, err, "ACPI(%s%04" PRIX32 ",%" PRIu32 ")", letters, hid >> 16, uid);
}

static bool fibre_text(struct bytes data, struct buf *out, bool *ret_known, struct err *err)
{
    *ret_known = data.len >= 16;
    return !*ret_known ||
           (buf_append_str(out, "FibreEx(0x", err) && hex_text(bytes_slice(data, 0, 8), out, err) &&
               buf_append_str(out, ",0x", err) && hex_text(bytes_slice(data, 8, 8), out, err) &&
               buf_append_str(out, ")", err));
}

static bool usb_text(struct bytes data, struct buf *out, bool *ret_known, struct err *err)
{
    *ret_known = data.len >= 2;
    return !*ret_known || buf_printf(out, err, "USB(%u,%u)", data.data[0], data.data[1]);
}

/* The field is padded with zeros; how many bytes count is not said: upstream drops the zeros at the end. */
static bool mac_text(struct bytes data, struct buf *out, bool *ret_known, struct err *err)
{
    char text[2 * MAC_PADDED + 1];
    *ret_known = data.len > 32;
    if (!*ret_known)
        return true;
    hex_encode(bytes_slice(data, 0, MAC_PADDED), text);
    size_t len = sizeof text - 1;
    while (len > 0 && text[len - 1] == '0')
        len--;
    for (size_t i = 0; i < len; i++)
        if (text[i] >= 'a')
            text[i] -= 'a' - 'A';
    return buf_printf(out, err, "Mac(%.*s,0x%02X)", (int)len, text, data.data[32]);
}

static const char *name_of(unsigned value, const char *const *names, size_t count)
{
    return value < count && names[value] ? names[value] : "";
}

/* The addresses in the order that upstream reads them: least significant byte first. */
static bool ipv4_text(struct bytes data, struct buf *out, bool *ret_known, struct err *err)
{
    static const char *const protocols[] = {[6] = "TCP", [17] = "UDP"};
    static const char *const kinds[] = {"DHCP", "Static"};
    struct pack_reader in = pack_reader(data);
    uint32_t local = pack_get_le32(&in), remote = pack_get_le32(&in);
    pack_get_fixed(&in, 2 + 2); /* ports */
    uint16_t protocol = pack_get_le16(&in);
    uint8_t kind = pack_get_u8(&in);
    uint32_t gateway = pack_get_le32(&in), mask = pack_get_le32(&in);
    *ret_known = !in.failed;
    if (!*ret_known)
        return true;
    if (!buf_printf(out, err, "IPv4(%u.%u.%u.%u,%s,%s,%u.%u.%u.%u", remote >> 24,
            remote >> 16 & 255, remote >> 8 & 255, remote & 255,
            name_of(protocol, protocols, ARRAY_LEN(protocols)),
            name_of(kind, kinds, ARRAY_LEN(kinds)), local >> 24, local >> 16 & 255,
            local >> 8 & 255, local & 255))
        return false;
    return ((gateway == 0 && mask == 0) ||
               buf_printf(out, err, ",%" PRIu32 ",%" PRIu32, gateway, mask)) &&
           buf_append_str(out, ")", err);
}

static bool disk_text(struct bytes data, struct buf *out, bool *ret_known, struct err *err)
{
    enum { MBR = 1, GPT = 2 };
    struct pack_reader in = pack_reader(data);
    uint32_t number = pack_get_le32(&in);
    uint64_t start = pack_get_le64(&in), size = pack_get_le64(&in);
    struct bytes signature = pack_get_fixed(&in, GUID_SIZE);
    uint8_t format = pack_get_u8(&in);
    pack_get_u8(&in); /* type of the signature */
    *ret_known = !in.failed && (format == MBR || format == GPT);
    if (!*ret_known)
        return true;
    struct pack_reader disk = pack_reader(signature);
    bool done = buf_printf(out, err, "HD(%" PRIu32 ",%s,", number, format == GPT ? "GPT" : "MBR") &&
                (format == GPT ? guid_text(signature, out, err)
                               : buf_printf(out, err, "0x%08" PRIx32, pack_get_le32(&disk)));
    return done &&
           (number == 0 || buf_printf(out, err, ",0x%" PRIx64 ",0x%" PRIx64, start, size)) &&
           buf_append_str(out, ")", err);
}

static bool media_text(struct bytes data, struct buf *out, bool *ret_known, struct err *err)
{
    *ret_known = data.len >= GUID_SIZE;
    return !*ret_known || (buf_append_str(out, "VenMedia(", err) &&
                              guid_text(bytes_slice(data, 0, GUID_SIZE), out, err) &&
                              buf_append_str(out, ",", err) &&
                              hex_text(bytes_slice(data, GUID_SIZE, data.len), out, err) &&
                              buf_append_str(out, ")", err));
}

static bool file_text(struct bytes data, struct buf *out, bool *ret_known, struct err *err)
{
    *ret_known = data.len >= 2 && data.len % 2 == 0;
    return !*ret_known || (buf_append_str(out, "File(", err) &&
                              eventlog_text_utf16(bytes_slice(data, 0, data.len - 2), out, err) &&
                              buf_append_str(out, ")", err));
}

static const char *bbs_kind(uint16_t kind, char room[8])
{
    static const char *const kinds[] = {
        NULL, "FLOPPY", "HARD_DRIVE", "CDROM", "PCMCIA", "USB", "EMBEDDED_NETWORK"};
    if (kind == 0x80)
        return "DEV";
    if (kind == 0xff)
        return "UNKNOWN";
    if (*name_of(kind, kinds, ARRAY_LEN(kinds)))
        return kinds[kind];
    snprintf(room, 8, "%u", kind);
    return room;
}

static bool bbs_text(struct bytes data, struct buf *out, bool *ret_known, struct err *err)
{
    char room[8];
    struct pack_reader in = pack_reader(data);
    uint16_t kind = pack_get_le16(&in), flags = pack_get_le16(&in);
    struct bytes text = in.rest;
    const uint8_t *end = text.len > 0 ? memchr(text.data, 0, text.len) : NULL;
    if (end)
        text.len = (size_t)(end - text.data);
    *ret_known = !in.failed && utf8_valid(text);
    return !*ret_known || (buf_printf(out, err, "BBS(%s,", bbs_kind(kind, room)) &&
                              buf_append(out, text, err) && buf_printf(out, err, ",%u)", flags));
}

static const struct {
    uint8_t type, sub_type;
    node_fn *text;
} nodes[] = {
    {1, 1, pci_text},
    {2, 1, acpi_text},
    {3, 0x05, usb_text},
    {3, 0x0b, mac_text},
    {3, 0x0c, ipv4_text},
    {3, 0x15, fibre_text},
    {4, 1, disk_text},
    {4, 3, media_text},
    {4, 4, file_text},
    {5, 1, bbs_text},
};

static bool node_text(
    uint8_t type, uint8_t sub_type, struct bytes data, struct buf *out, struct err *err)
{
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(nodes) && !known; i++)
        if (nodes[i].type == type && nodes[i].sub_type == sub_type &&
            !nodes[i].text(data, out, &known, err))
            return false;
    return known || (buf_printf(out, err, "Path(%u,%u,", type, sub_type) &&
                        hex_text(data, out, err) && buf_append_str(out, ")", err));
}

bool eventlog_paths(struct bytes path, json_t *array, bool *ret_ok, struct err *err)
{
    struct pack_reader in = pack_reader(path);
    while (in.rest.len > 0) {
        auto_buf text = BUF_INIT(TEXT_MAX);
        uint8_t type = pack_get_u8(&in), sub_type = pack_get_u8(&in);
        uint16_t size = pack_get_le16(&in);
        struct bytes data = size >= NODE_HEAD ? pack_get_fixed(&in, size - NODE_HEAD) : BYTES_EMPTY;
        *ret_ok = !in.failed && size >= NODE_HEAD;
        if (!*ret_ok)
            return true;
        if (!node_text(type, sub_type, data, &text, err))
            return false;
        if (json_array_append_new(array, json_string(buf_text(&text))) != 0)
            return err_nomem(err);
    }
    *ret_ok = true;
    return true;
}
