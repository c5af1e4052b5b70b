/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed doctor: one look at each thing that reading a secret needs, one line each. A check never hangs (what may is done by a child
 * with a deadline) and changes nothing. doctor.c runs the table; the checks live in doctor_machine.c, doctor_guest.c and doctor_kbs.c.
 */
#pragma once

#include "fs/cli/tool.h"
#include "fs/sealedfs_conf.h"

#define DOCTOR_WAIT_MS 5000

enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_SKIP };

struct doctor {
    const char *socket; /* of the agent */
    bool attest;
    char tee[32]; /* kind of evidence that attestd makes; "" when it did not say */
    struct sealedfs_conf conf;
    json_t *rows;
    unsigned failed, warned;
    struct err first; /* of the first failure: what the exit status comes from */
};

/* One line. `subject` says which of several (an address, a mount point) or is NULL. */
void doctor_say(struct doctor *doctor, enum doctor_state state, const char *check,
    const char *subject, const char *format, ...) PRINTF_LIKE(5, 6);
/* A failure whose message and class are an error's; `remedy` is added, or NULL when the message has one. */
void doctor_fail(struct doctor *doctor, const char *check, const char *subject,
    const struct err *err, const char *remedy);

void doctor_users(struct doctor *doctor);
void doctor_memory(struct doctor *doctor);
void doctor_fuse(struct doctor *doctor);
void doctor_sources(struct doctor *doctor);
void doctor_mounts(struct doctor *doctor);
void doctor_attestd(struct doctor *doctor);
void doctor_agent(struct doctor *doctor);
void doctor_brokers(struct doctor *doctor);
