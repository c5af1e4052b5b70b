/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last refusals of this guest, for `sealed explain`: a small ring, newest first. An id of ours
 * is made for each, so that a line in a log, a user's report and an explanation can be joined.
 * Thread-safe (one lock, held for copies only).
 */
#pragma once

#include <stdint.h>

#include "crypt/base/err.h"

#define REFUSAL_ID_SIZE   17 /* 16 hex digits and a NUL */
#define REFUSAL_PATH_SIZE 512
#define REFUSAL_COUNT     64

struct refusal {
    char id[REFUSAL_ID_SIZE];
    char path[REFUSAL_PATH_SIZE]; /* normal form below the mount, or a URI; cut at the front when
                                     longer */
    int64_t time;                 /* unix seconds */
    struct err cause;
};

struct refusals;
bool refusals_new(struct refusals **ret_refusals, struct err *err) MUST_CHECK;
void refusals_free(struct refusals *refusals);
DEFINE_AUTO(struct refusals, refusals_free);
/* Records and writes the id. */
void refusals_add(struct refusals *refusals, const char *path, const struct err *cause,
    char ret_id[REFUSAL_ID_SIZE]);
/* The newest one whose id or path this is; an absolute path matches when it ends in "/" and the
 * recorded path. False: none. */
bool refusals_find(struct refusals *refusals, const char *id_or_path, struct refusal *ret_refusal)
    MUST_CHECK;
