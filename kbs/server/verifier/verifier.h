/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier processes: what looks at hostile bytes (evidence, TPM structures, certificates) runs
 * in children without files, network, secrets or the signing key, started from the program's own
 * file so that they inherit no memory. The front hands bytes over unparsed and reads a small, strictly
 * checked answer (verifier_wire.h). A child that hangs past its deadline, dies or answers nonsense is
 * killed and replaced; the request it had fails. They are started by a warden process
 * (warden.h), so that the front may forbid itself to start programs once verifiers_new() has returned.
 *
 * Thread-safe. A program that uses this calls verifier_run() first of all in main().
 */
#pragma once

#include "kbs/server/kbs_conf.h"
#include "kbs/server/verifier/verifier_wire.h"

#define VERIFIER_ARGUMENT   "--verifier"
#define VERIFIER_COUNT_MAX  16
#define VERIFIER_REQUEST_MS 10000 /* one request: waiting for a free child, then its answer */

struct verifiers;

/* When the command line is that of one of these processes (VERIFIER_ARGUMENT, WARDEN_VERIFIERS_ARGUMENT): is it, until its socket is closed, and
 * gives true with the exit status. */
bool verifier_run(int argc, char **argv, int *ret_exit) MUST_CHECK;

/* Starts the warden, and reads the certificates in the directories conf->attestation.ek_roots and .roots. After privilege is dropped, before the
 * front shuts its own sandbox, which the warden must not inherit. ERR_CONFIG. */
bool verifiers_new(const struct kbs_conf *conf, struct verifiers **ret_verifiers, struct err *err)
    MUST_CHECK;
/* Starts conf->attestation.verifiers children and a thread that keeps them. Before requests. ERR_UNREACH: one did not come up. */
bool verifiers_start(struct verifiers *verifiers, struct err *err) MUST_CHECK;
/* Only reads what verifiers_new() would read. ERR_CONFIG. */
bool verifiers_check(const struct kbs_conf *conf, struct err *err) MUST_CHECK;
void verifiers_stop(struct verifiers *verifiers); /* no request may be running; NULL is fine */
DEFINE_AUTO(struct verifiers, verifiers_stop);

/*
 * One request. `message` keeps the bytes that *ret_answer borrows. `credential`: of ENROL, of
 * VERIFIER_CREDENTIAL_SIZE bytes, else NULL; `request->roots` and `request->anchors` are filled in here. A refusal is an answer; false: no verifier free in time
 * (ERR_BUSY), it died (ERR_UNREACH), hung (ERR_TIMEOUT), answered nonsense (ERR_FORMAT) or failed.
 */
bool verifier_ask(struct verifiers *verifiers, const struct verifier_request *request,
    const struct secret *credential, struct buf *message, struct verifier_answer *ret_answer,
    struct err *err) MUST_CHECK;
/* The children's process ids, for tests; at most `max`. */
size_t verifier_pids(struct verifiers *verifiers, pid_t *pids, size_t max);
