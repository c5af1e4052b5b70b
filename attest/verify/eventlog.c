/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/eventlog.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "crypt/base/pack.h"

#define SHA1_SIZE     20
#define PCR_SIZE      32
#define PCR_DRTM      17 /* to 22: set to ones at reset, extended after a dynamic launch */
#define PCR_DRTM_LAST 22
#define LOCALITY_MAX  4

static const char spec_id[16] = "Spec ID Event03";
static const char startup_locality[16] = "StartupLocality";

static const struct {
    uint16_t alg;
    size_t size;
    const char *name;
    const EVP_MD *(*md)(void);
} algs[EVENTLOG_ALGS_MAX] = {
    {EVENTLOG_SHA1, SHA1_SIZE, "SHA-1", EVP_sha1},
    {EVENTLOG_SHA256, 32, "SHA-256", EVP_sha256},
    {EVENTLOG_SHA384, 48, "SHA-384", EVP_sha384},
    {EVENTLOG_SHA512, 64, "SHA-512", EVP_sha512},
    {EVENTLOG_SM3, 32, "SM3", EVP_sm3},
};

/* PC Client Platform Firmware Profile 1.06, table 27. */
static const struct {
    uint32_t type;
    const char *name;
} types[] = {
    {0x0, "EV_PREBOOT_CERT"},
    {EV_POST_CODE, "EV_POST_CODE"},
    {0x2, "EV_UNUSED"},
    {EV_NO_ACTION, "EV_NO_ACTION"},
    {EV_SEPARATOR, "EV_SEPARATOR"},
    {EV_ACTION, "EV_ACTION"},
    {EV_EVENT_TAG, "EV_EVENT_TAG"},
    {0x7, "EV_S_CRTM_CONTENTS"},
    {0x8, "EV_S_CRTM_VERSION"},
    {0x9, "EV_CPU_MICROCODE"},
    {EV_PLATFORM_CONFIG_FLAGS, "EV_PLATFORM_CONFIG_FLAGS"},
    {0xb, "EV_TABLE_OF_DEVICES"},
    {EV_COMPACT_HASH, "EV_COMPACT_HASH"},
    {EV_IPL, "EV_IPL"},
    {0xe, "EV_IPL_PARTITION_DATA"},
    {0xf, "EV_NONHOST_CODE"},
    {0x10, "EV_NONHOST_CONFIG"},
    {0x11, "EV_NONHOST_INFO"},
    {EV_OMIT_BOOT_DEVICE_EVENTS, "EV_OMIT_BOOT_DEVICE_EVENTS"},
    {0x80000000, "EV_EFI_EVENT_BASE"},
    {EV_EFI_VARIABLE_DRIVER_CONFIG, "EV_EFI_VARIABLE_DRIVER_CONFIG"},
    {EV_EFI_VARIABLE_BOOT, "EV_EFI_VARIABLE_BOOT"},
    {EV_EFI_BOOT_SERVICES_APPLICATION, "EV_EFI_BOOT_SERVICES_APPLICATION"},
    {0x80000004, "EV_EFI_BOOT_SERVICES_DRIVER"},
    {0x80000005, "EV_EFI_RUNTIME_SERVICES_DRIVER"},
    {0x80000006, "EV_EFI_GPT_EVENT"},
    {EV_EFI_ACTION, "EV_EFI_ACTION"},
    {0x80000008, "EV_EFI_PLATFORM_FIRMWARE_BLOB"},
    {0x80000009, "EV_EFI_HANDOFF_TABLES"},
    {EV_EFI_PLATFORM_FIRMWARE_BLOB2, "EV_EFI_PLATFORM_FIRMWARE_BLOB2"},
    {EV_EFI_HANDOFF_TABLES2, "EV_EFI_HANDOFF_TABLES2"},
    {EV_EFI_VARIABLE_BOOT2, "EV_EFI_VARIABLE_BOOT2"},
    {0x8000000d, "EV_EFI_GPT_EVENT2"},
    {0x80000010, "EV_EFI_HCRTM_EVENT"},
    {EV_EFI_VARIABLE_AUTHORITY, "EV_EFI_VARIABLE_AUTHORITY"},
    {0x800000e1, "EV_EFI_SPDM_FIRMWARE_BLOB"},
    {0x800000e2, "EV_EFI_SPDM_FIRMWARE_CONFIG"},
    {0x800000e3, "EV_EFI_SPDM_DEVICE_POLICY"},
    {0x800000e4, "EV_EFI_SPDM_DEVICE_AUTHORITY"},
};

const char *eventlog_type_name(uint32_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].type == type)
            return types[i].name;
    return NULL;
}

/* Row of the table; ARRAY_LEN(algs) when unknown. */
static size_t alg_row(uint16_t alg)
{
    size_t row = 0;
    while (row < ARRAY_LEN(algs) && algs[row].alg != alg)
        row++;
    return row;
}

const char *eventlog_alg_name(uint16_t alg)
{
    size_t row = alg_row(alg);
    return row < ARRAY_LEN(algs) ? algs[row].name : NULL;
}

void eventlog_done(struct eventlog *log)
{
    free(log->events);
    *log = (struct eventlog){0};
}

/* -- parsing ----------------------------------------------------------------------------------- */

struct parse {
    struct pack_reader in;
    struct bytes all;
    struct eventlog *log;
    size_t size; /* room in log->events */
};

/* The record that is being read begins here. */
struct place {
    size_t record, offset;
};

static struct place here(const struct parse *parse)
{
    return (struct place){parse->log->count + 1, parse->all.len - parse->in.rest.len};
}

static bool complain(struct place place, const char *what, struct err *err)
{
    return err_set(
        err, ERR_FORMAT, "event log, record %zu at byte %zu: %s", place.record, place.offset, what);
}

static bool has_alg(const struct eventlog *log, uint16_t alg)
{
    for (size_t i = 0; i < log->alg_count; i++)
        if (log->algs[i] == alg)
            return true;
    return false;
}

static bool parse_alg(struct pack_reader *in, struct eventlog *log, struct err *err)
{
    uint16_t alg = pack_get_le16(in);
    uint16_t size = pack_get_le16(in);
    size_t row = alg_row(alg);
    if (in->failed)
        return err_set(err, ERR_FORMAT, "event log: the list of algorithms is cut short");
    if (row == ARRAY_LEN(algs))
        return err_set(err, ERR_FORMAT, "event log: unknown digest algorithm %04x", alg);
    if (size != algs[row].size)
        return err_set(err, ERR_FORMAT, "event log: digests of %s with %u bytes instead of %zu",
            algs[row].name, size, algs[row].size);
    if (has_alg(log, alg))
        return err_set(err, ERR_FORMAT, "event log: %s is announced twice", algs[row].name);
    log->algs[log->alg_count++] = alg; /* at most each of the table once */
    return true;
}

/* TCG_EfiSpecIdEvent */
static bool parse_spec_id(struct bytes data, struct eventlog *log, struct err *err)
{
    struct pack_reader in = pack_reader(data);
    struct bytes signature = pack_get_fixed(&in, sizeof spec_id);
    pack_get_fixed(&in, 4 + 4); /* platform class; versions and the size of a UINTN */
    uint32_t count = pack_get_le32(&in);
    if (in.failed || !bytes_equal(signature, bytes_of(spec_id, sizeof spec_id)))
        return err_set(err, ERR_FORMAT,
            "event log: its first record is no \"Spec ID Event03\": this is no log of the "
            "crypto-agile form");
    if (count == 0 || count > EVENTLOG_ALGS_MAX)
        return err_set(err, ERR_FORMAT,
            "event log: it announces %u digest algorithms; 1 to %d are "
            "taken",
            count, EVENTLOG_ALGS_MAX);
    for (uint32_t i = 0; i < count; i++)
        if (!parse_alg(&in, log, err))
            return false;
    pack_get_fixed(&in, pack_get_u8(&in)); /* vendor information */
    if (in.failed || in.rest.len > 0)
        return err_set(err, ERR_FORMAT, "event log: its first record has a wrong length");
    return true;
}

static bool parse_first(struct parse *parse, struct err *err)
{
    struct pack_reader *in = &parse->in;
    pack_get_le32(in); /* index: 0 for a TPM, 0 or 1 for a CCEL */
    uint32_t type = pack_get_le32(in);
    pack_get_fixed(in, SHA1_SIZE);
    struct bytes data = pack_get_fixed(in, pack_get_le32(in));
    if (in->failed)
        return err_set(err, ERR_FORMAT, "event log: its first record is cut short");
    if (type != EV_NO_ACTION)
        return err_set(
            err, ERR_FORMAT, "event log: its first record has type %08x, not EV_NO_ACTION", type);
    return parse_spec_id(data, parse->log, err);
}

static bool parse_digests(
    struct parse *parse, struct place place, struct eventlog_event *event, struct err *err)
{
    struct pack_reader *in = &parse->in;
    uint32_t count = pack_get_le32(in);
    if (in->failed)
        return complain(place, "cut short", err);
    if (count > parse->log->alg_count)
        return complain(place, "more digests than algorithms are announced", err);
    for (uint32_t i = 0; i < count; i++) {
        uint16_t alg = pack_get_le16(in);
        if (in->failed)
            return complain(place, "its list of digests is cut short", err);
        if (!has_alg(parse->log, alg))
            return complain(
                place, "a digest of an algorithm that the first record does not announce", err);
        if (eventlog_digest_of(event, alg))
            return complain(place, "two digests of one algorithm", err);
        struct bytes value = pack_get_fixed(in, algs[alg_row(alg)].size);
        if (in->failed)
            return complain(place, "a digest is cut short", err);
        event->digests[event->digest_count++] = (struct eventlog_digest){alg, value};
    }
    return true;
}

static bool parse_record(struct parse *parse, struct eventlog_event *event, struct err *err)
{
    struct pack_reader *in = &parse->in;
    struct place place = here(parse);
    event->index = pack_get_le32(in);
    event->type = pack_get_le32(in);
    if (in->failed)
        return complain(place, "cut short", err);
    if (!eventlog_type_name(event->type))
        return err_set(err, ERR_FORMAT, "event log, record %zu at byte %zu: unknown type %08x",
            place.record, place.offset, event->type);
    if (!parse_digests(parse, place, event, err))
        return false;
    event->data = pack_get_fixed(in, pack_get_le32(in));
    return !in->failed || complain(place, "its event data is cut short", err);
}

static bool at_end(const struct pack_reader *in)
{
    static const uint8_t zeros[8], ones[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct bytes head = bytes_slice(in->rest, 0, sizeof zeros);
    return in->rest.len == 0 || bytes_equal(head, bytes_of(zeros, sizeof zeros)) ||
           bytes_equal(head, bytes_of(ones, sizeof ones));
}

/* Grows with what was read, not with what the log says of itself. */
static bool make_room(struct parse *parse, struct err *err)
{
    struct eventlog *log = parse->log;
    if (log->count < parse->size)
        return true;
    if (log->count == EVENTLOG_EVENTS_MAX)
        return err_set(err, ERR_FORMAT, "event log of more than %d records", EVENTLOG_EVENTS_MAX);
    size_t size = parse->size ? 2 * parse->size : 64;
    struct eventlog_event *events = reallocarray(log->events, size, sizeof *events);
    if (!events)
        return err_nomem(err);
    log->events = events;
    parse->size = size;
    return true;
}

bool eventlog_parse(struct bytes bytes, struct eventlog *ret_log, struct err *err)
{
    auto_eventlog log = {0};
    struct parse parse = {.in = pack_reader(bytes), .all = bytes, .log = &log};
    if (bytes.len > EVENTLOG_MAX)
        return err_set(err, ERR_FORMAT, "event log of %zu bytes; at most %u are taken", bytes.len,
            EVENTLOG_MAX);
    if (!parse_first(&parse, err))
        return false;
    while (!at_end(&parse.in)) {
        struct eventlog_event event = {0};
        if (!make_room(&parse, err) || !parse_record(&parse, &event, err))
            return false;
        log.events[log.count++] = event;
    }
    *ret_log = log;
    log = (struct eventlog){0};
    return true;
}

/* -- digests ----------------------------------------------------------------------------------- */

const struct eventlog_digest *eventlog_digest_of(const struct eventlog_event *event, uint16_t alg)
{
    for (size_t i = 0; i < event->digest_count; i++)
        if (event->digests[i].alg == alg)
            return &event->digests[i];
    return NULL;
}

bool eventlog_digest_matches(const struct eventlog_event *event,
    const struct eventlog_digest *digest, bool *ret_matches, struct err *err)
{
    uint8_t value[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    size_t row = alg_row(digest->alg);
    if (row == ARRAY_LEN(algs))
        return err_set(err, ERR_INTERNAL, "digest of algorithm %04x", digest->alg);
    if (EVP_Digest(event->data.data, event->data.len, value, &len, algs[row].md(), NULL) != 1)
        return err_set(err, ERR_INTERNAL, "%s fails", algs[row].name);
    *ret_matches = bytes_equal(bytes_of(value, len), digest->value);
    return true;
}

/* -- replay ------------------------------------------------------------------------------------ */

bool eventlog_replay_rtmrs(
    const struct eventlog *log, struct hash ret_rtmrs[EVENTLOG_RTMRS], struct err *err)
{
    struct hash rtmrs[EVENTLOG_RTMRS] = {0};
    for (size_t i = 0; i < EVENTLOG_RTMRS; i++)
        rtmrs[i].len = hash_size(HASH_SHA384);
    for (size_t i = 0; i < log->count; i++) {
        const struct eventlog_event *event = &log->events[i];
        const struct eventlog_digest *digest = eventlog_digest_of(event, EVENTLOG_SHA384);
        if (event->index < 1 || event->index > EVENTLOG_RTMRS || !digest)
            continue;
        struct hash *rtmr = &rtmrs[event->index - 1];
        struct bytes pieces[] = {hash_view(rtmr), digest->value};
        if (!hash_pieces(HASH_SHA384, pieces, ARRAY_LEN(pieces), rtmr, err))
            return false;
    }
    memcpy(ret_rtmrs, rtmrs, sizeof rtmrs);
    return true;
}

/* TCG_EfiStartupLocalityEvent */
static void set_locality(const struct eventlog_event *event, struct eventlog_pcr *pcr0)
{
    if (event->index == 0 && event->data.len == sizeof startup_locality + 1 &&
        memcmp(event->data.data, startup_locality, sizeof startup_locality) == 0 &&
        event->data.data[sizeof startup_locality] <= LOCALITY_MAX && pcr0->events == 0)
        pcr0->value[PCR_SIZE - 1] = event->data.data[sizeof startup_locality];
}

static bool extend_pcr(
    const struct eventlog_event *event, size_t record, struct eventlog_pcr *pcrs, struct err *err)
{
    const struct eventlog_digest *digest = eventlog_digest_of(event, EVENTLOG_SHA256);
    if (event->index >= EVENTLOG_PCRS)
        return err_set(
            err, ERR_FORMAT, "event log, record %zu: there is no PCR %u", record, event->index);
    if (!digest)
        return err_set(err, ERR_FORMAT, "event log, record %zu: without a SHA-256 digest", record);
    struct hash next;
    struct eventlog_pcr *pcr = &pcrs[event->index];
    struct bytes pieces[] = {bytes_of(pcr->value, PCR_SIZE), digest->value};
    if (!hash_pieces(HASH_SHA256, pieces, ARRAY_LEN(pieces), &next, err))
        return false;
    memcpy(pcr->value, next.data, PCR_SIZE);
    pcr->events++;
    return true;
}

bool eventlog_replay_pcrs(
    const struct eventlog *log, struct eventlog_pcr ret_pcrs[EVENTLOG_PCRS], struct err *err)
{
    struct eventlog_pcr pcrs[EVENTLOG_PCRS] = {0};
    for (size_t i = PCR_DRTM; i <= PCR_DRTM_LAST; i++)
        memset(pcrs[i].value, 0xff, PCR_SIZE);
    for (size_t i = 0; i < log->count; i++) {
        const struct eventlog_event *event = &log->events[i];
        if (event->type == EV_NO_ACTION)
            set_locality(event, &pcrs[0]);
        else if (!extend_pcr(event, i + 1, pcrs, err))
            return false;
    }
    memcpy(ret_pcrs, pcrs, sizeof pcrs);
    return true;
}
