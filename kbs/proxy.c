/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/proxy.h"

#include <string.h>
#include <strings.h>

#include "crypt/base/b64.h"
#include "crypt/base/conf.h"

#define CREDENTIAL_MAX 1024
#define FORM           "proxy \"%s\": the form is http://HOST:PORT"

struct proxy {
    char origin[ORIGIN_SIZE]; /* "" when there is none */
    struct secret *header;    /* NUL-terminated; NULL when there is no password */
    char **except;
    size_t except_count;
};

void proxy_free(struct proxy *proxy)
{
    if (!proxy)
        return;
    for (size_t i = 0; i < proxy->except_count; i++)
        free(proxy->except[i]);
    free(proxy->except);
    secret_unref(proxy->header);
    free(proxy);
}

static bool take_url(struct proxy *proxy, const char *url, struct err *err)
{
    struct err ignored = ERR_INIT;
    const char *at = strstr(url, "://");
    if (!origin_of(url, true, proxy->origin, &ignored) || strncasecmp(url, "http://", 7) != 0)
        return err_set(err, ERR_CONFIG,
            FORM ", without user or password (they stand in the file proxy_credential)",
            origin_show(url).text);
    const char *path = at ? strchr(at + 3, '/') : NULL;
    return !path || path[1] == '\0' ||
           err_set(err, ERR_CONFIG, FORM ", without a path", origin_show(url).text);
}

/* "Proxy-Authorization: Basic …" (RFC 7617), as curl takes a header; what it makes of a percent sign in a password differs by version. */
static bool make_header(struct bytes credential, struct secret **ret_header, struct err *err)
{
    static const char name[] = "Proxy-Authorization: Basic ";
    size_t len = sizeof name - 1, encoded = b64_encoded_len(B64_STD, credential.len);
    auto_secret *header = NULL;
    if (!secret_new(len + encoded + 1, &header, err))
        return false;
    uint8_t *data = secret_data(header);
    memcpy(data, name, len);
    if (!b64_encode_to(B64_STD, credential, (char *)data + len, encoded + 1, err))
        return false;
    *ret_header = take_ptr(header);
    return true;
}

static bool take_credential(struct proxy *proxy, const char *path, struct err *err)
{
    auto_secret *text = NULL;
    if (!conf_credential(path, CREDENTIAL_MAX, true, &text, err))
        return err_wrap(err, "proxy_credential");
    struct bytes line = secret_bytes(text);
    while (line.len > 0 && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
        line.len--;
    const uint8_t *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
    bool plain = colon && colon > line.data;
    for (size_t i = 0; plain && i < line.len; i++)
        plain = line.data[i] >= ' ';
    if (!plain)
        return err_set(
            err, ERR_CONFIG, "proxy_credential %s: it must hold one line, user:password", path);
    return make_header(line, &proxy->header, err);
}

static bool take_except(struct proxy *proxy, const struct proxy_conf *conf, struct err *err)
{
    proxy->except = calloc(conf->except_count + 1, sizeof(char *));
    if (!proxy->except)
        return err_nomem(err);
    for (size_t i = 0; i < conf->except_count; i++) {
        proxy->except[i] = strdup(conf->except[i]);
        if (!proxy->except[i])
            return err_nomem(err);
        proxy->except_count++;
    }
    return true;
}

bool proxy_new(const struct proxy_conf *conf, struct proxy **ret_proxy, struct err *err)
{
    AUTO(proxy_free) struct proxy *proxy = calloc(1, sizeof *proxy);
    if (!proxy)
        return err_nomem(err);
    if (!conf->url && (conf->credential || conf->except_count > 0))
        return err_set(err, ERR_CONFIG, "%s is set without proxy; set proxy = http://HOST:PORT",
            conf->credential ? "proxy_credential" : "no_proxy");
    if ((conf->url && !take_url(proxy, conf->url, err)) ||
        (conf->credential && !take_credential(proxy, conf->credential, err)) ||
        !take_except(proxy, conf, err))
        return false;
    *ret_proxy = take_ptr(proxy);
    return true;
}

/* `word` is the host, or a domain above it. */
static bool covers(const char *word, const char *host, size_t host_len)
{
    if (strcmp(word, "*") == 0)
        return true;
    if (word[0] == '.')
        word++;
    size_t len = strlen(word);
    if (len == 0 || len > host_len || strncasecmp(host + host_len - len, word, len) != 0)
        return false;
    return len == host_len || host[host_len - len - 1] == '.';
}

const char *proxy_for(const struct proxy *proxy, const char *origin)
{
    /* From a proxy, 127.0.0.1 would be the proxy's own machine, and the token would cross the network in the clear. */
    if (proxy->origin[0] == '\0' || origin_stays_here(origin))
        return NULL;
    const char *host = strstr(origin, "://") + 3;
    size_t len = (size_t)(strrchr(host, ':') - host);
    for (size_t i = 0; i < proxy->except_count; i++)
        if (covers(proxy->except[i], host, len))
            return NULL;
    return proxy->origin;
}

const char *proxy_header(const struct proxy *proxy)
{
    return proxy->header ? (const char *)secret_bytes(proxy->header).data : NULL;
}
