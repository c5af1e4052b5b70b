/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/task.h"

#include "attest/runtime.h"

bool task_new(const struct attester *attester, const struct attester_conf *conf,
    struct buf *message, struct task **ret_task, struct err *err)
{
    AUTO(task_free) struct task *task = calloc(1, sizeof *task);
    if (!task)
        return err_nomem(err);
    task->attester = attester;
    task->conf = conf;
    task->message = *message;
    *message = (struct buf)BUF_INIT(message->max);
    task->answer = (struct buf)BUF_INIT(ATTEST_ANSWER_MAX);
    if (!attest_request_decode(buf_bytes(&task->message), &task->request, err))
        return false;
    *ret_task = take_ptr(task);
    return true;
}

void task_free(struct task *task)
{
    if (!task)
        return;
    buf_done(&task->message);
    buf_done(&task->answer);
    secret_unref(task->secret_answer);
    free(task);
}

/* The digest that the evidence is bound to is always made here, from a nonce and a well-formed key. */
static bool report_data(
    const struct attest_request *request, struct hash *ret_digest, struct err *err)
{
    auto_json *received = NULL, *pubkey = NULL;
    auto_jwk *key = NULL;
    auto_free char *canonical = NULL;
    return json_load_strict(
               bytes_str(request->tee_pubkey), ATTEST_PUBKEY_MAX, "tee-pubkey", &received, err) &&
           runtime_tee_pubkey_check(received, &pubkey, &key, err) &&
           runtime_data(request->nonce, pubkey, "", request->hash, &canonical, ret_digest, err);
}

static bool run_evidence(struct task *task, struct err *err)
{
    struct hash digest;
    auto_buf evidence = BUF_INIT(ATTEST_EVIDENCE_MAX);
    if (!report_data(&task->request, &digest, err) ||
        !task->attester->evidence(task->conf, &digest, &evidence, err))
        return false;
    struct attest_answer answer = {.body = buf_bytes(&evidence)};
    snprintf(answer.tee, sizeof answer.tee, "%s", task->attester->tee);
    return attest_answer_encode(ATTEST_EVIDENCE, &answer, &task->answer, err);
}

static void enrolment_done(struct attester_enrolment *enrolment)
{
    buf_done(&enrolment->ek_public);
    buf_done(&enrolment->ek_certificate);
    buf_done(&enrolment->ak_public);
    buf_done(&enrolment->ak_spki);
}

static bool run_enrol(struct task *task, struct err *err)
{
    AUTO_DONE(enrolment_done)
    struct attester_enrolment enrolment = {BUF_INIT(ATTEST_BLOB_MAX), BUF_INIT(ATTEST_BLOB_MAX),
        BUF_INIT(ATTEST_BLOB_MAX), BUF_INIT(ATTEST_BLOB_MAX)};
    if (!task->attester->enrol(task->conf, task->request.create, &enrolment, err))
        return false;
    struct attest_answer answer = {.ek_public = buf_bytes(&enrolment.ek_public),
        .ek_certificate = buf_bytes(&enrolment.ek_certificate),
        .ak_public = buf_bytes(&enrolment.ak_public),
        .ak_spki = buf_bytes(&enrolment.ak_spki)};
    return attest_answer_encode(ATTEST_ENROL, &answer, &task->answer, err);
}

static bool run_activate(struct task *task, struct err *err)
{
    auto_secret *credential = NULL;
    return task->attester->activate(
               task->conf, task->request.credential, task->request.secret, &credential, err) &&
           attest_answer_encode_credential(credential, &task->secret_answer, err);
}

void task_run(struct task *task)
{
    bool (*const runs[])(struct task *, struct err *) = {
        [ATTEST_EVIDENCE] = run_evidence,
        [ATTEST_ENROL] = run_enrol,
        [ATTEST_ACTIVATE] = run_activate,
    };
    task->done = runs[task->request.kind](task, &task->err);
}
