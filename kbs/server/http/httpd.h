/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server: the only includer of libmicrohttpd. HTTPS (TLS 1.2 and 1.3) or plain HTTP, a
 * pool of threads on epoll. It enforces the limits of [server]: connections in all and per address,
 * header and body size, a total deadline per request (libmicrohttpd's own timeout counts idle time
 * only). Everything else is route_dispatch().
 */
#pragma once

#include "kbs/server/server.h"

struct httpd;

/* Binds conf->listen; as root, before privilege is dropped. *ret_port is the port that was bound.
 */
bool httpd_bind(const struct kbs_conf *conf, int *ret_fd, uint16_t *ret_port, struct err *err)
    MUST_CHECK;
/* Serves on a bound socket (owned from here on, also on failure). `tls_key` and `tls_cert` are PEM
 * text, NULL for plain HTTP; they are only read during the call. */
bool httpd_start(struct server *server, int listen_fd, const struct secret *tls_key,
    struct bytes tls_cert, struct httpd **ret_httpd, struct err *err) MUST_CHECK;
/* No new connections; requests in flight get up to conf->shutdown_ms; then everything is closed. */
void httpd_stop(struct httpd *httpd);
