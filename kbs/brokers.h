/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key brokers of one configuration, a client each, and which of them a resource URI means: kbs:///r/t/t the default one, kbs://HOST/r/t/t
 * the one that names this HOST (with its port, if the URI has one; case does not matter). A host is a name to choose by and never an address
 * to connect to: a sealed string must not make the guest speak to whomever it names. Loop thread only.
 */
#pragma once

#include "kbs/client.h"

struct brokers;

struct broker_conf {
    const char *name; /* of its section, for errors and status; NULL: the default broker */
    const char *const *hosts;
    size_t host_count;
    struct kbs_client_conf client; /* url_count 0 (the default one only): there is no such broker */
};

/* The texts in `confs` are used only here, except name and hosts, which must live as long. ERR_CONFIG for a host that two claim. */
bool brokers_new(struct loop *loop, const struct broker_conf *confs, size_t count,
    struct brokers **ret_brokers, struct err *err) MUST_CHECK;
void brokers_free(struct brokers *brokers); /* NULL is fine; cancels without calling back */

/* ERR_CONFIG naming host and remedy when nobody claims it, or there is no default broker. */
bool brokers_find(const struct brokers *brokers, const struct kbs_uri *uri,
    struct kbs_client **ret_client, struct err *err) MUST_CHECK;
/* The default broker's client, NULL when there is none. */
struct kbs_client *brokers_default(const struct brokers *brokers);
size_t brokers_count(const struct brokers *brokers);
struct kbs_client *brokers_at(const struct brokers *brokers, size_t index, const char **ret_name);
