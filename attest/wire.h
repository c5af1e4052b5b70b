/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the sealed-attestd socket: AF_UNIX SOCK_SEQPACKET, /run/sealedfs/attestd.sock by default, one request and one
 * answer at a time on a connection. Encoded with crypt/base/pack.h (big-endian):
 *
 *     request   u8 version (1)  u8 kind  fields…
 *       1 EVIDENCE   text nonce, u8 hash (enum hash_alg), text tee-pubkey (the wire JWK as JSON text, <= 2048)
 *       2 INFO       -
 *       3 ENROL      u8 create (1: make the attestation key when the handle is empty; root only)
 *       4 ACTIVATE   block credential blob (TPM2B_ID_OBJECT, marshalled), block secret (TPM2B_ENCRYPTED_SECRET, marshalled)
 *     answer    u8 version (1)  u8 status (0 done, 1 refused)
 *       refused      text code name (err_info), text message
 *       EVIDENCE     text tee, block primary_evidence JSON
 *       INFO         text tee, block JSON for people ({"tee","tcti","ak_handle",…})
 *       ENROL        block EK public area (TPM2B_PUBLIC), block EK certificate (DER, may be empty), block AK public area (TPM2B_PUBLIC), block AK SPKI (DER)
 *       ACTIVATE     block recovered credential (<= 64 bytes)
 * An answer with EVIDENCE may be longer than a packet: then it comes in several, all but the last of IPC_MESSAGE_MAX bytes, and the length of
 * the block says how much is to come. attestd answers only peers whose uid its configuration names, builds runtime data and digest itself, and never signs raw report data.
 */
#pragma once

#include "crypt/base/pack.h"
#include "crypt/base/secret.h"
#include "crypt/hash.h"

#define ATTEST_WIRE_VERSION   1
#define ATTEST_NONCE_MAX      512
#define ATTEST_PUBKEY_MAX     2048
#define ATTEST_EVIDENCE_MAX   (192 * 1024) /* with an event log of BOOT_LOG_MAX */
#define ATTEST_ANSWER_MAX     (ATTEST_EVIDENCE_MAX + 1024)
#define ATTEST_BLOB_MAX       4096
#define ATTEST_CREDENTIAL_MAX 64
#define ATTEST_SOCKET_DEFAULT "/run/sealedfs/attestd.sock"

enum attest_kind { ATTEST_EVIDENCE = 1, ATTEST_INFO = 2, ATTEST_ENROL = 3, ATTEST_ACTIVATE = 4 };

struct attest_request {
    enum attest_kind kind;
    char nonce[ATTEST_NONCE_MAX + 1];
    enum hash_alg hash;
    char tee_pubkey[ATTEST_PUBKEY_MAX + 1];
    bool create;
    struct bytes credential; /* borrowed from the message, as is secret */
    struct bytes secret;
};

struct attest_answer {
    bool refused;
    struct err cause; /* when refused */
    char tee[32];
    struct bytes body; /* evidence JSON, info JSON or credential; borrowed */
    struct bytes ek_public, ek_certificate, ak_public, ak_spki; /* ENROL; borrowed */
};

bool attest_request_encode(const struct attest_request *request, struct buf *out, struct err *err)
    MUST_CHECK;
bool attest_request_decode(
    struct bytes message, struct attest_request *ret_request, struct err *err) MUST_CHECK;
/* `kind` tells which fields an answer that is not refused has. */
bool attest_answer_encode(enum attest_kind kind, const struct attest_answer *answer,
    struct buf *out, struct err *err) MUST_CHECK;
/* The answer to ACTIVATE, built in locked memory; send it with ipc_send_secret(). */
bool attest_answer_encode_credential(
    const struct secret *credential, struct secret **ret_message, struct err *err) MUST_CHECK;
/* Of an answer that comes in several packets: how many bytes are to come after these? 0: none, or it is malformed. */
size_t attest_answer_missing(enum attest_kind kind, struct bytes message);
bool attest_answer_decode(enum attest_kind kind, struct bytes message,
    struct attest_answer *ret_answer, struct err *err) MUST_CHECK;
