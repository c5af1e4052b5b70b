/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event logs in the TCG's crypto-agile form: a TPM's (PC Client Platform Firmware Profile 1.06, section 10) and a
 * confidential guest's CCEL, which differ only in what the index of a record means. All little-endian.
 *
 *     first record   u32 index, u32 type 3 (EV_NO_ACTION), 20 zero bytes, u32 size, then so many bytes:
 *                    "Spec ID Event03\0", u32 platform class, 4 bytes of versions, u32 count, count times {u16 algorithm, u16 size},
 *                    u8 size, vendor information
 *     each further   u32 index, u32 type, u32 count, count times {u16 algorithm, digest}, u32 size, event data
 *     end            the end of the buffer, or 8 bytes of all 00 or all FF where a record would begin (tables are padded)
 *
 * Nothing in a log is signed. What makes its digests true is the replay: a register is zero at reset and each record with its
 * index makes it H(register || digest); the end must be what the quote says. Event data is true only where the digest is the
 * hash of it; of a boot loader the digest is that of the program, and the data merely names it.
 */
#pragma once

#include "crypt/hash.h"

#define EVENTLOG_MAX \
    (1024u * 1024) /* bytes; CCEL tables have 64 KiB to 1 MiB, TPM logs up to 128 KiB */
#define EVENTLOG_EVENTS_MAX 4096
#define EVENTLOG_ALGS_MAX   5 /* what eventlog_alg_name() knows */

/* TPM_ALG_ID */
enum eventlog_alg {
    EVENTLOG_SHA1 = 0x0004,
    EVENTLOG_SHA256 = 0x000b,
    EVENTLOG_SHA384 = 0x000c,
    EVENTLOG_SHA512 = 0x000d,
    EVENTLOG_SM3 = 0x0012
};

/* The types that are looked into; eventlog_type_name() knows all. */
enum eventlog_type {
    EV_POST_CODE = 0x1,
    EV_NO_ACTION = 0x3,
    EV_SEPARATOR = 0x4,
    EV_ACTION = 0x5,
    EV_EVENT_TAG = 0x6,
    EV_PLATFORM_CONFIG_FLAGS = 0xa,
    EV_COMPACT_HASH = 0xc,
    EV_IPL = 0xd,
    EV_OMIT_BOOT_DEVICE_EVENTS = 0x12,
    EV_EFI_VARIABLE_DRIVER_CONFIG = 0x80000001,
    EV_EFI_VARIABLE_BOOT = 0x80000002,
    EV_EFI_BOOT_SERVICES_APPLICATION = 0x80000003,
    EV_EFI_ACTION = 0x80000007,
    EV_EFI_PLATFORM_FIRMWARE_BLOB2 = 0x8000000a,
    EV_EFI_HANDOFF_TABLES2 = 0x8000000b,
    EV_EFI_VARIABLE_BOOT2 = 0x8000000c,
    EV_EFI_VARIABLE_AUTHORITY = 0x800000e0
};

struct eventlog_digest {
    uint16_t alg;
    struct bytes value; /* of the algorithm's size */
};

struct eventlog_event {
    uint32_t index; /* PCR; or CC measurement register: 0 MRTD, 1 to 4 RTMR 0 to 3 */
    uint32_t type;
    struct eventlog_digest digests[EVENTLOG_ALGS_MAX]; /* each algorithm at most once */
    size_t digest_count;
    struct bytes data;
};

/* Borrows from the bytes that it was parsed from. */
struct eventlog {
    struct eventlog_event *events; /* without the first record, which is in `algs` */
    size_t count;
    uint16_t algs[EVENTLOG_ALGS_MAX];
    size_t alg_count;
};

void eventlog_done(struct eventlog *log);
#define auto_eventlog AUTO_DONE(eventlog_done) struct eventlog

/* ERR_FORMAT tells the record, its place and what is wrong with it: cut short, a type or algorithm that is unknown, a digest of an
 * algorithm that the first record does not announce or that comes twice, more than the limits above. */
bool eventlog_parse(struct bytes bytes, struct eventlog *ret_log, struct err *err) MUST_CHECK;

/* "EV_IPL", "SHA-384"; NULL when unknown. */
const char *eventlog_type_name(uint32_t type);
const char *eventlog_alg_name(uint16_t alg);
/* NULL: this record has none. */
const struct eventlog_digest *eventlog_digest_of(const struct eventlog_event *event, uint16_t alg);
/* Is the digest the hash of the event data? */
bool eventlog_digest_matches(const struct eventlog_event *event,
    const struct eventlog_digest *digest, bool *ret_matches, struct err *err) MUST_CHECK;

/* -- a confidential guest: RTMR 0 to 3, SHA-384 ------------------------------------------------ */

#define EVENTLOG_RTMRS 4

/* As the firmware and TDX do, and Trustee: every record of index 1 to 4 counts, EV_NO_ACTION as well. */
bool eventlog_replay_rtmrs(
    const struct eventlog *log, struct hash ret_rtmrs[EVENTLOG_RTMRS], struct err *err) MUST_CHECK;

/* -- a TPM: PCR 0 to 23, SHA-256 --------------------------------------------------------------- */

#define EVENTLOG_PCRS 24

struct eventlog_pcr {
    uint8_t value[32];
    size_t events; /* that extended it */
};

/* PCR 17 to 22 start with all ones, the others with zeros, but PCR 0 with the locality that an EV_NO_ACTION "StartupLocality" tells;
 * EV_NO_ACTION extends nothing. A record of another index, or that extends and has no SHA-256 digest, is ERR_FORMAT. */
bool eventlog_replay_pcrs(const struct eventlog *log, struct eventlog_pcr ret_pcrs[EVENTLOG_PCRS],
    struct err *err) MUST_CHECK;
