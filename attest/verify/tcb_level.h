/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCB levels as Intel publishes them in TCB info and enclave identities ({"tcb","tcbDate",
 * "tcbStatus","advisoryIDs"}), and what several of them make together (Intel SGX/TDX DCAP Quote
 * Verification Library, sections 4.1.2.5.1 and .2: converge and relaunch).
 */
#pragma once

#include "crypt/base/json.h"

#define TCB_LEVELS_MAX     512 /* of one list */
#define TCB_ADVISORIES_MAX 256

enum tcb_status {
    TCB_UP_TO_DATE,
    TCB_SW_HARDENING_NEEDED,
    TCB_CONFIGURATION_NEEDED,
    TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED,
    TCB_OUT_OF_DATE,
    TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
    TCB_REVOKED,
    TCB_TD_RELAUNCH_ADVISED, /* this and the next are made by tcb_status_relaunch() only */
    TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED,
    TCB_STATUS_COUNT
};

const char *tcb_status_name(enum tcb_status status);
/* What the platform's status becomes beside that of one of its parts (TDX module, quoting enclave). */
enum tcb_status tcb_status_converge(enum tcb_status platform, enum tcb_status part);
/* What the status at launch becomes when that of the TDX module running now is `current`. */
enum tcb_status tcb_status_relaunch(enum tcb_status launch, enum tcb_status current);

struct tcb_level {
    json_t *tcb; /* borrowed */
    enum tcb_status status;
    int64_t date;
    const json_t *advisories; /* array of text, or NULL; borrowed */
};

/* ERR_FORMAT. `what` names the list in errors. */
bool tcb_level_read(
    const json_t *json, const char *what, struct tcb_level *ret_level, struct err *err) MUST_CHECK;
/* The first level of the list whose {"tcb":{"isvsvn"}} is at most `svn`; every level is read.
 * *ret_found false: none. */
bool tcb_level_of_svn(const json_t *levels, uint16_t svn, const char *what,
    struct tcb_level *ret_level, bool *ret_found, struct err *err) MUST_CHECK;

/* What the levels of platform, module and quoting enclave say together. */
struct tcb_rating {
    enum tcb_status status;
    int64_t date;       /* the earliest */
    json_t *advisories; /* each once, sorted; owned */
};
void tcb_rating_done(struct tcb_rating *rating);
#define auto_tcb_rating AUTO_DONE(tcb_rating_done) struct tcb_rating
bool tcb_rating_start(struct tcb_rating *rating, const struct tcb_level *platform, struct err *err)
    MUST_CHECK;
bool tcb_rating_add(struct tcb_rating *rating, const struct tcb_level *part, struct err *err)
    MUST_CHECK;
