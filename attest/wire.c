/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/wire.h"

#include <string.h>

enum { STATUS_DONE = 0, STATUS_REFUSED = 1 };

#define CODE_NAME_MAX 32

static bool check_version(uint8_t version, const char *what, struct err *err)
{
    if (version == ATTEST_WIRE_VERSION)
        return true;
    return err_set(err, ERR_FORMAT,
        "%s: version %u, this program speaks %d; run the same release on both sides", what, version,
        ATTEST_WIRE_VERSION);
}

static bool check_kind(unsigned kind, const char *what, struct err *err)
{
    if (kind >= ATTEST_EVIDENCE && kind <= ATTEST_ACTIVATE)
        return true;
    return err_set(err, ERR_FORMAT, "%s: unknown kind %u", what, kind);
}

static bool check_len(size_t len, size_t min, size_t max, const char *what, struct err *err)
{
    if (len >= min && len <= max)
        return true;
    return err_set(err, ERR_FORMAT, "%s of %zu bytes; %zu to %zu are taken", what, len, min, max);
}

/* Names the field and its limits: pack.h would only say that the message is malformed. */
static bool check_request(const struct attest_request *request, struct err *err)
{
    switch (request->kind) {
    case ATTEST_EVIDENCE:
        if (request->hash > HASH_SHA512)
            return err_set(err, ERR_FORMAT, "attestd request: unknown hash %d", (int)request->hash);
        return check_len(strlen(request->nonce), 1, ATTEST_NONCE_MAX, "nonce", err) &&
               check_len(strlen(request->tee_pubkey), 1, ATTEST_PUBKEY_MAX, "tee-pubkey", err);
    case ATTEST_ACTIVATE:
        return check_len(request->credential.len, 1, ATTEST_BLOB_MAX, "credential blob", err) &&
               check_len(request->secret.len, 1, ATTEST_BLOB_MAX, "encrypted secret", err);
    case ATTEST_INFO:
    case ATTEST_ENROL:
        return true;
    }
    return check_kind(request->kind, "attestd request", err);
}

bool attest_request_encode(const struct attest_request *request, struct buf *out, struct err *err)
{
    if (!check_request(request, err))
        return false;
    struct pack_writer to = pack_writer(out);
    pack_put_u8(&to, ATTEST_WIRE_VERSION);
    pack_put_u8(&to, (uint8_t)request->kind);
    switch (request->kind) {
    case ATTEST_EVIDENCE:
        pack_put_text(&to, request->nonce);
        pack_put_u8(&to, (uint8_t)request->hash);
        pack_put_text(&to, request->tee_pubkey);
        break;
    case ATTEST_ENROL:
        pack_put_u8(&to, request->create);
        break;
    case ATTEST_ACTIVATE:
        pack_put_block(&to, request->credential);
        pack_put_block(&to, request->secret);
        break;
    case ATTEST_INFO:
        break;
    }
    return pack_written(&to, "attestd request", err);
}

static void get_request_fields(struct pack_reader *from, struct attest_request *request)
{
    uint8_t create = 0;
    switch (request->kind) {
    case ATTEST_EVIDENCE:
        pack_get_text(from, request->nonce, sizeof request->nonce);
        request->hash = pack_get_u8(from);
        pack_get_text(from, request->tee_pubkey, sizeof request->tee_pubkey);
        break;
    case ATTEST_ENROL:
        create = pack_get_u8(from);
        from->failed = from->failed || create > 1;
        request->create = create == 1;
        break;
    case ATTEST_ACTIVATE:
        request->credential = pack_get_block(from, ATTEST_BLOB_MAX);
        request->secret = pack_get_block(from, ATTEST_BLOB_MAX);
        break;
    case ATTEST_INFO:
        break;
    }
}

bool attest_request_decode(
    struct bytes message, struct attest_request *ret_request, struct err *err)
{
    struct pack_reader from = pack_reader(message);
    uint8_t version = pack_get_u8(&from);
    uint8_t kind = pack_get_u8(&from);
    if (from.failed)
        return err_set(err, ERR_FORMAT, "attestd request of %zu bytes", message.len);
    if (!check_version(version, "attestd request", err) ||
        !check_kind(kind, "attestd request", err))
        return false;
    struct attest_request request = {.kind = kind};
    get_request_fields(&from, &request);
    if (!pack_finish(&from, "attestd request", err) || !check_request(&request, err))
        return false;
    *ret_request = request;
    return true;
}

static bool check_answer(enum attest_kind kind, const struct attest_answer *answer, struct err *err)
{
    switch (kind) {
    case ATTEST_EVIDENCE:
        return check_len(strlen(answer->tee), 1, sizeof answer->tee - 1, "TEE name", err) &&
               check_len(answer->body.len, 1, ATTEST_EVIDENCE_MAX, "evidence", err);
    case ATTEST_INFO:
        return check_len(strlen(answer->tee), 1, sizeof answer->tee - 1, "TEE name", err) &&
               check_len(answer->body.len, 1, ATTEST_BLOB_MAX, "attestd information", err);
    case ATTEST_ENROL:
        return check_len(answer->ek_public.len, 1, ATTEST_BLOB_MAX, "EK public area", err) &&
               check_len(answer->ek_certificate.len, 0, ATTEST_BLOB_MAX, "EK certificate", err) &&
               check_len(answer->ak_public.len, 1, ATTEST_BLOB_MAX, "AK public area", err) &&
               check_len(answer->ak_spki.len, 1, ATTEST_BLOB_MAX, "AK public key", err);
    case ATTEST_ACTIVATE:
        return check_len(answer->body.len, 1, ATTEST_CREDENTIAL_MAX, "credential", err);
    }
    return check_kind(kind, "attestd answer", err);
}

static void put_answer_fields(
    struct pack_writer *to, enum attest_kind kind, const struct attest_answer *answer)
{
    switch (kind) {
    case ATTEST_EVIDENCE:
    case ATTEST_INFO:
        pack_put_text(to, answer->tee);
        pack_put_block(to, answer->body);
        break;
    case ATTEST_ENROL:
        pack_put_block(to, answer->ek_public);
        pack_put_block(to, answer->ek_certificate);
        pack_put_block(to, answer->ak_public);
        pack_put_block(to, answer->ak_spki);
        break;
    case ATTEST_ACTIVATE:
        pack_put_block(to, answer->body);
        break;
    }
}

bool attest_answer_encode(
    enum attest_kind kind, const struct attest_answer *answer, struct buf *out, struct err *err)
{
    if (!answer->refused && !check_answer(kind, answer, err))
        return false;
    struct pack_writer to = pack_writer(out);
    pack_put_u8(&to, ATTEST_WIRE_VERSION);
    pack_put_u8(&to, answer->refused ? STATUS_REFUSED : STATUS_DONE);
    if (answer->refused) {
        pack_put_text(&to, err_info(answer->cause.code)->name);
        pack_put_text(&to, answer->cause.message);
    } else {
        put_answer_fields(&to, kind, answer);
    }
    return pack_written(&to, "attestd answer", err);
}

bool attest_answer_encode_credential(
    const struct secret *credential, struct secret **ret_message, struct err *err)
{
    enum { HEAD = 6 }; /* version, status, length of the block */
    struct bytes body = secret_bytes(credential);
    if (!check_len(body.len, 1, ATTEST_CREDENTIAL_MAX, "credential", err))
        return false;
    auto_secret *message = NULL;
    if (!secret_new(HEAD + body.len, &message, err))
        return false;
    uint8_t *data = secret_data(message);
    const uint8_t head[HEAD] = {ATTEST_WIRE_VERSION, STATUS_DONE, 0, 0, 0, (uint8_t)body.len};
    memcpy(data, head, HEAD);
    memcpy(data + HEAD, body.data, body.len);
    *ret_message = take_ptr(message);
    return true;
}

static void get_answer_fields(
    struct pack_reader *from, enum attest_kind kind, struct attest_answer *answer)
{
    switch (kind) {
    case ATTEST_EVIDENCE:
    case ATTEST_INFO:
        pack_get_text(from, answer->tee, sizeof answer->tee);
        answer->body =
            pack_get_block(from, kind == ATTEST_INFO ? ATTEST_BLOB_MAX : ATTEST_EVIDENCE_MAX);
        break;
    case ATTEST_ENROL:
        answer->ek_public = pack_get_block(from, ATTEST_BLOB_MAX);
        answer->ek_certificate = pack_get_block(from, ATTEST_BLOB_MAX);
        answer->ak_public = pack_get_block(from, ATTEST_BLOB_MAX);
        answer->ak_spki = pack_get_block(from, ATTEST_BLOB_MAX);
        break;
    case ATTEST_ACTIVATE:
        answer->body = pack_get_block(from, ATTEST_CREDENTIAL_MAX);
        break;
    }
}

static bool get_refusal(struct pack_reader *from, struct attest_answer *answer, struct err *err)
{
    char name[CODE_NAME_MAX];
    char message[ERR_MESSAGE_SIZE];
    pack_get_text(from, name, sizeof name);
    pack_get_text(from, message, sizeof message);
    if (!pack_finish(from, "attestd answer", err))
        return false;
    enum err_code code = err_code_from_name(name);
    answer->refused = true;
    err_set(&answer->cause, code == ERR_OK ? ERR_INTERNAL : code, "%s", message);
    return true;
}

size_t attest_answer_missing(enum attest_kind kind, struct bytes message)
{
    struct pack_reader from = pack_reader(message);
    char tee[sizeof((struct attest_answer *)0)->tee];
    uint8_t version = pack_get_u8(&from);
    uint8_t status = pack_get_u8(&from);
    if (kind != ATTEST_EVIDENCE || version != ATTEST_WIRE_VERSION || status != STATUS_DONE)
        return 0;
    pack_get_text(&from, tee, sizeof tee);
    uint32_t len = pack_get_u32(&from);
    if (from.failed || len > ATTEST_EVIDENCE_MAX || len < from.rest.len)
        return 0;
    return len - from.rest.len;
}

bool attest_answer_decode(
    enum attest_kind kind, struct bytes message, struct attest_answer *ret_answer, struct err *err)
{
    struct pack_reader from = pack_reader(message);
    uint8_t version = pack_get_u8(&from);
    uint8_t status = pack_get_u8(&from);
    if (from.failed)
        return err_set(err, ERR_FORMAT, "attestd answer of %zu bytes", message.len);
    if (!check_version(version, "attestd answer", err))
        return false;
    struct attest_answer answer = {.refused = false};
    if (status == STATUS_REFUSED) {
        if (!get_refusal(&from, &answer, err))
            return false;
    } else if (status == STATUS_DONE) {
        get_answer_fields(&from, kind, &answer);
        if (!pack_finish(&from, "attestd answer", err) || !check_answer(kind, &answer, err))
            return false;
    } else {
        return err_set(err, ERR_FORMAT, "attestd answer: unknown status %u", status);
    }
    *ret_answer = answer;
    return true;
}
