/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP proxy of a client: where it is, as whom it is asked, and which hosts are reached without it. Nothing comes from the
 * environment. What goes through it is a tunnel (CONNECT), so it sees names and sizes only; the peer's TLS identity is checked as ever.
 */
#pragma once

#include "crypt/base/secret.h"
#include "kbs/origin.h"

struct proxy;

struct proxy_conf {
    const char *url;        /* "http://host:port"; NULL: no proxy */
    const char *credential; /* file with user:password, as conf_credential takes it; NULL: none */
    const char *const
        *except; /* hosts, domains with all below (with or without a leading dot), or "*"; copied */
    size_t except_count;
};

/* ERR_CONFIG naming the key and the form. */
bool proxy_new(const struct proxy_conf *conf, struct proxy **ret_proxy, struct err *err) MUST_CHECK;
void proxy_free(struct proxy *proxy);
DEFINE_AUTO(struct proxy, proxy_free);
/* The proxy's origin for a peer of this origin, "http://host:port", or NULL: directly. */
const char *proxy_for(const struct proxy *proxy, const char *origin);
/* The header that tells who asks, "Proxy-Authorization: …", borrowed from locked memory; NULL when there is no password. */
const char *proxy_header(const struct proxy *proxy);
