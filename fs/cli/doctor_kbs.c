/* SPDX-License-Identifier: Apache-2.0 */
/* The way to each key broker: name, port, TLS, protocol, clock. */
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "attest/client.h"
#include "crypt/base/clock.h"
#include "fs/cli/doctor.h"
#include "kbs/http.h"
#include "kbs/origin.h"
#include "kbs/proto.h"
#include "kbs/proxy.h"

#define CLOCK_SLACK_S 30
#define HOST_SIZE     300
#define TEE_FALLBACK  "tpm" /* while attestd cannot say */

struct place {
    char host[HOST_SIZE], port[8];
};

/* origin_of() has checked the form: scheme://host:port, an IPv6 address in brackets. */
static void split_origin(const char *origin, struct place *ret_place)
{
    const char *host = strstr(origin, "://") + 3, *colon = strrchr(origin, ':');
    bool bracket = *host == '[';
    size_t len = (size_t)(colon - host) - (bracket ? 2 : 0);
    snprintf(ret_place->host, sizeof ret_place->host, "%.*s", (int)len, host + bracket);
    snprintf(ret_place->port, sizeof ret_place->port, "%s", colon + 1);
}

static bool look_up(
    struct doctor *doctor, const char *url, const struct place *place, struct addrinfo **ret_found)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct err err = ERR_INIT;
    char host[NI_MAXHOST];
    int failed = getaddrinfo(place->host, place->port, &hints, ret_found);
    if (failed) {
        err_set(&err, ERR_UNREACH, "%s: %s", place->host, gai_strerror(failed));
        doctor_fail(doctor, "kbs dns", url, &err, "look at /etc/resolv.conf and /etc/hosts");
        return false;
    }
    if (getnameinfo((*ret_found)->ai_addr, (*ret_found)->ai_addrlen, host, sizeof host, NULL, 0,
            NI_NUMERICHOST) != 0)
        host[0] = '\0';
    doctor_say(doctor, DOCTOR_OK, "kbs dns", url, "%s is %s", place->host, host);
    return true;
}

/* 0, or why no connection came about. */
static int knock(const struct addrinfo *address)
{
    int failed = 0;
    socklen_t len = sizeof failed;
    auto_fd int fd = socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
        address->ai_protocol);
    if (fd < 0)
        return errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    if (poll(&wait, 1, DOCTOR_WAIT_MS) != 1)
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) < 0 ? errno : failed;
}

static bool look_at_port(struct doctor *doctor, const char *url, const struct addrinfo *addresses)
{
    struct err err = ERR_INIT;
    int failed = 0;
    for (const struct addrinfo *at = addresses; at; at = at->ai_next)
        if ((failed = knock(at)) == 0) {
            doctor_say(doctor, DOCTOR_OK, "kbs tcp", url, "it takes connections");
            return true;
        }
    err_set_at(&err, ERR_UNREACH, failed, __FILE__, __LINE__, "no connection");
    doctor_fail(doctor, "kbs tcp", url, &err,
        "is the key broker running, is the port right, does a firewall stand between?");
    return false;
}

/* A difference matters to certificates alone: tokens are timed from their arrival, and freshness comes from nonces. */
static void look_at_clock(struct doctor *doctor, const char *url, int64_t date)
{
    char theirs[CLOCK_TEXT_SIZE];
    int64_t ahead = clock_wall_s() - date;
    clock_rfc3339(date, theirs);
    if (date == 0)
        doctor_say(doctor, DOCTOR_SKIP, "kbs clock", url, "its answers have no date");
    else if (ahead >= -CLOCK_SLACK_S && ahead <= CLOCK_SLACK_S)
        doctor_say(doctor, DOCTOR_OK, "kbs clock", url, "%s, %lld s from ours", theirs,
            (long long)(ahead < 0 ? -ahead : ahead));
    else
        doctor_say(doctor, DOCTOR_WARN, "kbs clock", url,
            "%s there, ours is %lld s %s; certificates may seem expired or not yet valid: set the "
            "clock that is wrong",
            theirs, (long long)(ahead < 0 ? -ahead : ahead), ahead > 0 ? "ahead" : "behind");
}

/* /auth is the one question that a broker answers to everybody: it tells the protocol's version, and spends nothing. */
static void look_at_answer(
    struct doctor *doctor, const char *url, const struct http_response *response, struct bytes body)
{
    struct proto_challenge challenge;
    struct proto_error said;
    struct err err = ERR_INIT;
    if (response->status == 200 && proto_challenge_decode(body, &challenge, &err)) {
        doctor_say(doctor, DOCTOR_OK, "kbs version", url, "it speaks version " PROTO_VERSION);
        return;
    }
    proto_error_decode(body, &said);
    err_set(&err, ERR_UNREACH, "no answer of a key broker to /kbs/v0/auth: HTTP status %ld, %.200s",
        response->status, said.detail);
    doctor_fail(doctor, "kbs version", url, &err,
        "is this the key broker's address? It must speak version " PROTO_VERSION
        " of the protocol");
}

static void ask_broker(
    struct doctor *doctor, const struct conf_kbs *kbs, const char *url, const char *origin)
{
    char endpoint[ORIGIN_SIZE + 32];
    auto_free char *text = NULL;
    auto_buf body = BUF_INIT(PROTO_BODY_MAX);
    struct proto_auth auth = {.version = PROTO_VERSION};
    const char *tee = doctor->conf.attest.tee ? doctor->conf.attest.tee
                      : doctor->tee[0]        ? doctor->tee
                                              : TEE_FALLBACK;
    struct http_conf conf = {.ca_file = kbs->ca_file,
        .pinned_key = kbs->pinned_key,
        .proxy = kbs->proxy,
        .proxy_credential = kbs->proxy_credential,
        .no_proxy = (const char *const *)kbs->no_proxy.items,
        .no_proxy_count = kbs->no_proxy.count,
        .allow_plain = kbs->allow_plain};
    struct http_response response;
    struct err err = ERR_INIT;
    snprintf(endpoint, sizeof endpoint, "%s/kbs/v0/auth", origin);
    snprintf(auth.tee, sizeof auth.tee, "%s", tee);
    if (!proto_auth_encode(&auth, &text, &err)) {
        doctor_fail(doctor, "kbs tls", url, &err, NULL);
        return;
    }
    struct http_request request = {.method = "POST",
        .url = endpoint,
        .body = bytes_str(text),
        .timeout_ms = kbs->request_timeout_ms,
        .response_max = PROTO_BODY_MAX};
    if (!http_ask(&conf, &request, &body, &response, &err)) {
        doctor_fail(doctor, "kbs tls", url, &err,
            err.code == ERR_TIMEOUT
                ? "it takes connections: does it stand still, or is it too busy?"
                : NULL);
        return;
    }
    doctor_say(doctor, DOCTOR_OK, "kbs tls", url, "%s, an answer after %lld ms",
        strncmp(origin, "https:", 6) == 0 ? "its certificate is good"
                                          : "none: plain http on this machine",
        (long long)response.elapsed_ms);
    look_at_answer(doctor, url, &response, buf_bytes(&body));
    look_at_clock(doctor, url, response.date);
}

/* Through which proxy, "" for none; false when what is set for it makes no sense. */
static bool find_proxy(struct doctor *doctor, const struct conf_kbs *kbs, const char *origin,
    char ret_proxy[ORIGIN_SIZE])
{
    const struct proxy_conf conf = {.url = kbs->proxy,
        .except = (const char *const *)kbs->no_proxy.items,
        .except_count = kbs->no_proxy.count};
    AUTO(proxy_free) struct proxy *proxy = NULL;
    struct err err = ERR_INIT;
    if (!proxy_new(&conf, &proxy, &err)) {
        doctor_fail(doctor, "kbs proxy", origin, &err, NULL);
        return false;
    }
    const char *found = proxy_for(proxy, origin);
    snprintf(ret_proxy, ORIGIN_SIZE, "%s", found ? found : "");
    return true;
}

static void look_at_url(struct doctor *doctor, const struct conf_kbs *kbs, const char *url)
{
    char origin[ORIGIN_SIZE], proxy[ORIGIN_SIZE];
    struct place place;
    struct addrinfo *found = NULL;
    struct err err = ERR_INIT;
    if (!origin_of(url, kbs->allow_plain, origin, &err)) {
        doctor_fail(doctor, "kbs", origin_show(url).text, &err, NULL);
        return;
    }
    if (!find_proxy(doctor, kbs, origin, proxy))
        return;
    if (proxy[0]) {
        doctor_say(doctor, DOCTOR_SKIP, "kbs dns", url, "the proxy %s looks it up", proxy);
        ask_broker(doctor, kbs, url, origin);
        return;
    }
    split_origin(origin, &place);
    bool open = look_up(doctor, url, &place, &found) && look_at_port(doctor, url, found);
    if (found)
        freeaddrinfo(found);
    if (open)
        ask_broker(doctor, kbs, url, origin);
}

static void look_at_broker(struct doctor *doctor, const struct conf_kbs *kbs)
{
    for (size_t i = 0; i < kbs->urls.count; i++)
        look_at_url(doctor, kbs, kbs->urls.items[i]);
}

void doctor_brokers(struct doctor *doctor)
{
    const struct sealedfs_conf *conf = &doctor->conf;
    struct err err = ERR_INIT;
    look_at_broker(doctor, &conf->kbs);
    for (size_t i = 0; i < conf->brokers.count; i++)
        look_at_broker(doctor, &conf->brokers.items[i]);
    if (conf->kbs.urls.count + conf->brokers.count == 0) {
        err_set(&err, ERR_CONFIG, "no key broker is configured");
        doctor_fail(doctor, "kbs", NULL, &err, "set url in the section [kbs] of the configuration");
    }
}
