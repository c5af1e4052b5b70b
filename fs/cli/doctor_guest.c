/* SPDX-License-Identifier: Apache-2.0 */
/* attestd, the TPM behind it, its attestation key; the agent and its token. */
#include <stdio.h>
#include <string.h>

#include "attest/client.h"
#include "crypt/base/clock.h"
#include "crypt/base/ipc.h"
#include "fs/cli/doctor.h"
#include "fs/control.h"

#define EVIDENCE_WAIT_MS 20000

static bool ask_attestd(const struct doctor *doctor, enum attest_kind kind, struct buf *message,
    struct attest_answer *ret_answer, struct err *err)
{
    struct attest_request request = {.kind = kind};
    return attest_ask(
        doctor->conf.attest.socket, &request, EVIDENCE_WAIT_MS, message, ret_answer, err);
}

/* The public parts of both keys: to get them, attestd opens the TPM and reads the attestation key. */
static void look_at_tpm(struct doctor *doctor)
{
    auto_buf message = BUF_INIT(ATTEST_ANSWER_MAX);
    struct attest_answer answer;
    struct err err = ERR_INIT;
    if (!ask_attestd(doctor, ATTEST_ENROL, &message, &answer, &err))
        doctor_fail(doctor, "tpm", NULL, &err,
            err.code == ERR_TIMEOUT ? "does the TPM answer? the log of sealed-attestd tells"
                                    : NULL);
    else
        doctor_say(doctor, DOCTOR_OK, "tpm", NULL, "it answers, the attestation key is there, %s",
            answer.ek_certificate.len > 0 ? "the endorsement key has a certificate"
                                          : "the endorsement key has no certificate");
}

void doctor_attestd(struct doctor *doctor)
{
    auto_buf message = BUF_INIT(ATTEST_ANSWER_MAX);
    struct attest_answer answer;
    struct err err = ERR_INIT;
    const char *socket = doctor->conf.attest.socket;
    if (!ask_attestd(doctor, ATTEST_INFO, &message, &answer, &err)) {
        err.code = err.code == ERR_UNREACH ? ERR_ATTEST : err.code; /* not a key broker */
        doctor_fail(doctor, "attestd", NULL, &err, NULL);
        doctor_say(doctor, DOCTOR_SKIP, "tpm", NULL, "sealed-attestd has it");
        return;
    }
    doctor_say(doctor, DOCTOR_OK, "attestd", socket, "%.*s", (int)answer.body.len,
        (const char *)answer.body.data);
    snprintf(doctor->tee, sizeof doctor->tee, "%s", answer.tee);
    if (strcmp(answer.tee, "tpm") == 0)
        look_at_tpm(doctor);
    else
        doctor_say(doctor, DOCTOR_SKIP, "tpm", NULL, "the evidence is of kind %s", answer.tee);
}

static void look_at_token(struct doctor *doctor, const json_t *status)
{
    char expires[CLOCK_TEXT_SIZE];
    if (!json_is_true(json_object_get(status, "token"))) {
        doctor_say(doctor, DOCTOR_OK, "token", NULL,
            "none yet: the first read attests (to try it now: sealed doctor --attest)");
        return;
    }
    clock_rfc3339(json_integer_value(json_object_get(status, "token_expires_at")), expires);
    bool affirming = json_is_true(json_object_get(status, "token_affirming"));
    doctor_say(doctor, affirming ? DOCTOR_OK : DOCTOR_WARN, "token", NULL, "good until %s%s",
        expires,
        affirming ? ""
                  : "; but the broker does not find this guest affirming: policies that ask for "
                    "that refuse it");
}

void doctor_agent(struct doctor *doctor)
{
    auto_json *request = NULL, *answer = NULL;
    struct err err = ERR_INIT;
    if (!json_build(&request, &err, "{s:s}", "op", doctor->attest ? "attest" : "status") ||
        !control_ask(doctor->socket, request, -1, &answer, NULL, &err)) {
        doctor_fail(doctor, doctor->attest ? "token" : "agent", NULL, &err, NULL);
        return;
    }
    doctor_say(doctor, DOCTOR_OK, "agent", doctor->socket, "it answers");
    look_at_token(doctor, json_object_get(answer, "status"));
}
