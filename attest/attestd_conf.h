/* SPDX-License-Identifier: Apache-2.0 */
/* attestd.conf: one field table is the parser, the sample in packaging/conf and what the man page is checked against. */
#pragma once

#include <sys/types.h>

#include "attest/attester.h"
#include "crypt/base/conf.h"
#include "crypt/base/log.h"

#define ATTESTD_UIDS_MAX 32

struct attestd_conf {
    char *socket;
    char *user;
    char *group;
    struct conf_list allow_users;
    int64_t rate, burst;             /* a uid */
    int64_t rate_total, burst_total; /* all together */
    int64_t deadline_ms;
    int tee;
    int log_level; /* enum log_level */
    struct attester_conf attester;
};

struct attestd_uids {
    uid_t items[ATTESTD_UIDS_MAX];
    size_t count;
};

extern const struct conf_field attestd_fields[];
extern const size_t attestd_field_count;

/* `path` NULL: the defaults. Also checks what no single field can say. */
bool attestd_conf_load(const char *path, struct attestd_conf *ret_conf, struct err *err) MUST_CHECK;
void attestd_conf_done(struct attestd_conf *conf);
/* Names and numbers of allow_users as uids, each once. An unknown name is ERR_CONFIG: a typing error must not lock out silently. */
bool attestd_conf_uids(
    const struct attestd_conf *conf, struct attestd_uids *ret_uids, struct err *err) MUST_CHECK;
bool attestd_conf_attester(const struct attestd_conf *conf, const struct attester **ret_attester,
    struct err *err) MUST_CHECK;
