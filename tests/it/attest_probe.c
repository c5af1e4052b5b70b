/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks sealed-attestd one thing, for tests. Evidence is also shown to the verifier of the key broker:
 *
 *     attest_probe SOCKET evidence NONCE [COUNT]   digest of the runtime data, then the evidence, one a line; COUNT requests in a row
 *     attest_probe SOCKET info | enrol DIR | create DIR
 *     attest_probe SOCKET activate BLOB SECRET     files; prints the credential in hex
 *     attest_probe SOCKET raw HEX                  one message as it is; prints the refusal
 *     attest_probe SOCKET send NONCE               asks for evidence, says "sent", and waits for the end of the connection
 */
#include <stdio.h>
#include <string.h>

#include "attest/client.h"
#include "attest/runtime.h"
#include "attest/verify/verify.h"
#include "crypt/base/b64.h"
#include "crypt/base/file.h"
#include "crypt/base/ipc.h"

#define WAIT_MS 60000

static bool make_request(
    const char *nonce, struct attest_request *ret_request, struct hash *ret_digest, struct err *err)
{
    auto_jwk *key = NULL;
    auto_json *pubkey = NULL;
    auto_free char *text = NULL;
    return jwk_generate(JWK_EC_P256, NULL, &key, err) && runtime_tee_pubkey(key, &pubkey, err) &&
           runtime_data(nonce, pubkey, "", HASH_SHA384, &text, ret_digest, err) &&
           attest_request_evidence(ret_request, nonce, HASH_SHA384, key, err);
}

/* What the key broker's verifier says of it: nothing, or the test fails. */
static bool verify(const struct attest_answer *answer, const struct hash *digest, struct err *err)
{
    const struct verifier *verifier = verifier_find(answer->tee);
    auto_json *evidence = NULL;
    auto_verdict verdict = {0};
    if (!verifier)
        return err_set(err, ERR_INTERNAL, "no verifier for \"%s\"", answer->tee);
    if (!json_load_strict(answer->body, answer->body.len, "evidence", &evidence, err))
        return false;
    struct verify_input input = {.evidence = evidence, .report_data = hash_view(digest)};
    if (!verify_evidence(verifier, &input, &verdict, err))
        return false;
    if (verdict.reason_count > 0)
        return err_set(err, ERR_DENIED_POLICY, "%s: got %s, expected %s", verdict.reasons[0].check,
            verdict.reasons[0].got, verdict.reasons[0].expected);
    return true;
}

static bool evidence(const char *path, const char *nonce, int count, struct err *err)
{
    for (int i = 0; i < count; i++) {
        struct attest_request request;
        struct attest_answer answer;
        struct hash digest;
        char hex[2 * HASH_SIZE_MAX + 1];
        auto_buf message = BUF_INIT(ATTEST_ANSWER_MAX);
        int64_t start = loop_now_ms();
        if (!make_request(nonce, &request, &digest, err) ||
            !attest_ask(path, &request, WAIT_MS, &message, &answer, err))
            return false;
        int64_t took = loop_now_ms() - start;
        if (!verify(&answer, &digest, err))
            return false;
        hex_encode(hash_view(&digest), hex);
        printf("%s\n%.*s\n", hex, (int)answer.body.len, (const char *)answer.body.data);
        fprintf(stderr, "%lld ms\n", (long long)took);
    }
    return true;
}

static bool info(const char *path, struct err *err)
{
    struct attest_request request = {.kind = ATTEST_INFO};
    struct attest_answer answer;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    if (!attest_ask(path, &request, WAIT_MS, &message, &answer, err))
        return false;
    printf("%s %.*s\n", answer.tee, (int)answer.body.len, (const char *)answer.body.data);
    return true;
}

static bool enrol(const char *path, bool create, const char *dir, struct err *err)
{
    struct attest_request request = {.kind = ATTEST_ENROL, .create = create};
    struct attest_answer answer;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    if (!attest_ask(path, &request, WAIT_MS, &message, &answer, err))
        return false;
    const struct {
        const char *name;
        struct bytes data;
    } files[] = {{"ek.pub", answer.ek_public}, {"ek.der", answer.ek_certificate},
        {"ak.pub", answer.ak_public}, {"ak.der", answer.ak_spki}};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", dir, files[i].name);
        if (!file_write(name, files[i].data, 0644, err))
            return false;
    }
    return true;
}

static bool activate(
    const char *path, const char *blob_path, const char *secret_path, struct err *err)
{
    auto_buf blob = BUF_INIT(ATTEST_BLOB_MAX), encrypted = BUF_INIT(ATTEST_BLOB_MAX);
    auto_secret *credential = NULL;
    char hex[2 * ATTEST_CREDENTIAL_MAX + 1];
    if (!file_read(blob_path, ATTEST_BLOB_MAX, &blob, err) ||
        !file_read(secret_path, ATTEST_BLOB_MAX, &encrypted, err))
        return false;
    struct attest_request request = {
        .kind = ATTEST_ACTIVATE, .credential = buf_bytes(&blob), .secret = buf_bytes(&encrypted)};
    if (!attest_ask_credential(path, &request, WAIT_MS, &credential, err))
        return false;
    hex_encode(secret_bytes(credential), hex);
    printf("%s\n", hex);
    return true;
}

static bool exchange(const char *path, struct bytes message, const char *note, struct buf *answer,
    bool *ret_closed, struct err *err)
{
    auto_fd int fd = -1;
    if (!ipc_connect(path, "sealed-attestd", WAIT_MS, &fd, err))
        return false;
    /* A stranger is refused before it says anything, so sending may fail; what counts is the answer. */
    struct err send_err = ERR_INIT;
    if (!ipc_send(fd, message, NULL, 0, &send_err))
        fprintf(stderr, "%s\n", send_err.message);
    printf("%s", note);
    fflush(stdout);
    return ipc_receive_within(fd, WAIT_MS, answer, ret_closed, err);
}

static bool raw(const char *path, const char *hex, struct err *err)
{
    uint8_t data[1024];
    size_t len = strlen(hex) / 2;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct attest_answer answer;
    bool closed = false;
    if (len > sizeof data || !hex_decode(bytes_str(hex), "message", data, len, err) ||
        !exchange(path, bytes_of(data, len), "", &message, &closed, err))
        return false;
    if (closed)
        return err_set(err, ERR_UNREACH, "closed without an answer");
    if (!attest_answer_decode(ATTEST_INFO, buf_bytes(&message), &answer, err))
        return false;
    if (answer.refused) {
        *err = answer.cause;
        return false;
    }
    return true;
}

static bool send_only(const char *path, const char *nonce, struct err *err)
{
    struct attest_request request;
    struct hash digest;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX), answer = BUF_INIT(IPC_MESSAGE_MAX);
    bool closed = false;
    if (!make_request(nonce, &request, &digest, err) ||
        !attest_request_encode(&request, &message, err) ||
        !exchange(path, buf_bytes(&message), "sent\n", &answer, &closed, err))
        return false;
    printf("%s\n", closed ? "closed" : "answered");
    return true;
}

static bool run(int argc, char **argv, struct err *err)
{
    const char *path = argc > 1 ? argv[1] : "", *what = argc > 2 ? argv[2] : "";
    if (argc >= 4 && strcmp(what, "evidence") == 0)
        return evidence(path, argv[3], argc > 4 ? atoi(argv[4]) : 1, err);
    if (argc == 3 && strcmp(what, "info") == 0)
        return info(path, err);
    if (argc == 4 && (strcmp(what, "enrol") == 0 || strcmp(what, "create") == 0))
        return enrol(path, what[0] == 'c', argv[3], err);
    if (argc == 5 && strcmp(what, "activate") == 0)
        return activate(path, argv[3], argv[4], err);
    if (argc == 4 && strcmp(what, "raw") == 0)
        return raw(path, argv[3], err);
    if (argc == 4 && strcmp(what, "send") == 0)
        return send_only(path, argv[3], err);
    return err_set(err, ERR_CONFIG, "see the head of attest_probe.c");
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    if (run(argc, argv, &err))
        return 0;
    fprintf(stderr, "%s: %s\n", err_info(err.code)->name, err.message);
    return 1;
}
