/* SPDX-License-Identifier: Apache-2.0 */
/* A parsed policy, for policy_parse.c and policy_decide.c only. */
#pragma once

#include "kbs/server/policy/policy.h"

enum condition_kind {
    CONDITION_STATUS,    /* number: lowest rank */
    CONDITION_TEE,       /* text: name */
    CONDITION_TIER,      /* text: member of the trust vector; number: bound */
    CONDITION_EQUALS,    /* claim, value */
    CONDITION_REFERENCE, /* claim; text: name of the reference value */
    CONDITION_PRESENT    /* claim */
};

struct condition {
    enum condition_kind kind;
    char *claim;
    char *text;
    int64_t number;
    json_t *value;
};

#define CONDITIONS_MAX 16 /* of one rule */

struct rule {
    bool allow;
    int line;
    char *pattern;
    char *text; /* as written, for findings */
    struct condition conditions[CONDITIONS_MAX];
    size_t condition_count;
};

struct policy {
    struct rule *rules;
    size_t count, size;
};

/* affirming 3, warning 2, none 1, contraindicated 0; -1 when unknown. */
int policy_status_rank(const char *name);
/* `pattern` has passed policy_parse(). */
bool policy_pattern_matches(const char *pattern, const struct kbs_uri *resource);
