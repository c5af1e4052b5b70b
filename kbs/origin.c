/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/origin.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX   255
#define HIDDEN     "***"
#define HOST_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
#define V6_CHARS   "0123456789abcdefABCDEF:."

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    char inner[HOST_MAX + 1];
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (host[0] != '[')
        return strcasecmp(host, "localhost") == 0;
    snprintf(inner, sizeof inner, "%.*s", (int)strlen(host) - 2, host + 1);
    return inet_pton(AF_INET6, inner, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Length of the host at the start of `text`; 0 when there is none. */
static size_t host_len(const char *text)
{
    if (text[0] != '[')
        return strspn(text, HOST_CHARS);
    size_t inner = strspn(text + 1, V6_CHARS);
    return inner > 0 && text[1 + inner] == ']' ? inner + 2 : 0;
}

/* ":port" up to the end of the authority; *at is moved behind it. */
static bool take_port(const char **at, unsigned *port)
{
    if (**at != ':')
        return true;
    const char *digits = *at + 1;
    size_t len = strspn(digits, "0123456789");
    if (len == 0 || len > 5)
        return false;
    *port = 0;
    for (size_t i = 0; i < len; i++)
        *port = *port * 10 + (unsigned)(digits[i] - '0');
    *at = digits + len;
    return *port >= 1 && *port <= 65535;
}

bool origin_stays_here(const char *origin)
{
    char host[HOST_MAX + 1];
    const char *at = strstr(origin, "://") + 3;
    snprintf(host, sizeof host, "%.*s", (int)host_len(at), at);
    return strncmp(origin, "http:", 5) == 0 && is_loopback(host);
}

struct origin_shown origin_show(const char *url)
{
    struct origin_shown shown;
    const char *at = strrchr(url, '@'), *scheme = strstr(url, "://");
    if (!at) {
        snprintf(shown.text, sizeof shown.text, "%.100s", url);
        return shown;
    }
    const char *user = scheme && scheme < at ? scheme + 3 : url;
    snprintf(shown.text, sizeof shown.text, "%.*s" HIDDEN "%.100s", (int)(user - url), url, at);
    return shown;
}

static const char *const schemes[] = {"https://", "http://"};
static const unsigned default_ports[] = {443, 80};

bool origin_of(const char *url, bool allow_plain, char ret_origin[ORIGIN_SIZE], struct err *err)
{
    char host[HOST_MAX + 1];
    size_t kind = 0;
    while (kind < ARRAY_LEN(schemes) && strncasecmp(url, schemes[kind], strlen(schemes[kind])) != 0)
        kind++;
    if (kind == ARRAY_LEN(schemes))
        return err_set(err, ERR_CONFIG, "\"%s\" is no URL of the form https://HOST[:PORT]",
            origin_show(url).text);
    const char *at = url + strlen(schemes[kind]);
    unsigned port = default_ports[kind];
    size_t len = host_len(at);
    if (memchr(at, '@', strcspn(at, "/?#")))
        return err_set(err, ERR_CONFIG,
            "\"%s\" has a user or password, which a key broker does not ask for; leave what "
            "stands up to the @ out",
            origin_show(url).text);
    if (len == 0 || len > HOST_MAX)
        return err_set(err, ERR_CONFIG, "\"%s\" has no plain host name or address after %s",
            origin_show(url).text, schemes[kind]);
    memcpy(host, at, len);
    host[len] = '\0';
    at += len;
    if (!take_port(&at, &port) || (*at != '\0' && *at != '/'))
        return err_set(err, ERR_CONFIG, "\"%s\": after the host only :PORT and a path may stand",
            origin_show(url).text);
    if (kind == 1 && !allow_plain && !is_loopback(host))
        return err_set(err, ERR_CONFIG,
            "\"%s\": http:// without TLS is only for this machine; use https://, or allow "
            "plain HTTP explicitly",
            origin_show(url).text);
    snprintf(ret_origin, ORIGIN_SIZE, "%s%s:%u", schemes[kind], host, port);
    return true;
}
