/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/http_headers.h"

#include <stdlib.h>
#include <strings.h>
#include <time.h>

/* The value of the line if it is header `name`. */
static bool value_of(struct bytes line, const char *name, struct bytes *ret_value)
{
    size_t len = strlen(name);
    if (line.len <= len || line.data[len] != ':' ||
        strncasecmp((const char *)line.data, name, len) != 0)
        return false;
    *ret_value = bytes_trim(bytes_of(line.data + len + 1, line.len - len - 1));
    return true;
}

static void keep_content_type(struct http_headers *headers, struct bytes value)
{
    size_t len =
        value.len < sizeof headers->content_type ? value.len : sizeof headers->content_type - 1;
    for (size_t i = 0; i < len; i++)
        headers->content_type[i] =
            value.data[i] >= ' ' && value.data[i] <= '~' ? (char)value.data[i] : '?';
    headers->content_type[len] = '\0';
}

/* RFC 6265 section 4.1.1: cookie-octet has no controls, blanks, quotes, commas, semicolons or backslashes. What
 * is not such a pair could not be sent back safely and is not kept. */
static bool cookie_pair_ok(struct bytes pair)
{
    const uint8_t *equals = memchr(pair.data, '=', pair.len);
    if (!equals || equals == pair.data)
        return false;
    for (size_t i = 0; i < pair.len; i++)
        if (pair.data[i] <= ' ' || pair.data[i] > '~' || strchr("\",;\\", pair.data[i]))
            return false;
    return true;
}

/* All pairs go into one Cookie header (RFC 6265 section 5.4): a balancer in front may add its own. */
static void keep_cookie(struct http_headers *headers, struct bytes value)
{
    const uint8_t *end = value.len > 0 ? memchr(value.data, ';', value.len) : NULL;
    struct bytes pair =
        bytes_trim(bytes_of(value.data, end ? (size_t)(end - value.data) : value.len));
    size_t used = strlen(headers->set_cookie);
    size_t gap = used > 0 ? 2 : 0;
    if (pair.len == 0 || used + gap + pair.len >= sizeof headers->set_cookie ||
        !cookie_pair_ok(pair))
        return;
    memcpy(headers->set_cookie + used, "; ", gap);
    memcpy(headers->set_cookie + used + gap, pair.data, pair.len);
    headers->set_cookie[used + gap + pair.len] = '\0';
}

static void keep_date(struct http_headers *headers, struct bytes value)
{
    char text[30];
    struct tm when = {0};
    if (value.len != sizeof text - 1)
        return;
    memcpy(text, value.data, value.len);
    text[value.len] = '\0';
    const char *end =
        strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &when); /* the locale is "C": nobody sets one */
    if (end && *end == '\0')
        headers->date = timegm(&when);
}

static bool keep_named(struct http_headers *headers, struct bytes line, struct err *err)
{
    struct bytes value;
    for (size_t i = 0; headers->keep && i < HTTP_KEEP_MAX && headers->keep[i]; i++) {
        if (headers->kept[i] || !value_of(line, headers->keep[i], &value))
            continue;
        char *text = strndup((const char *)value.data, value.len);
        if (!text)
            return err_nomem(err);
        /* A NUL in the value would hide what follows it. */
        if (strlen(text) == value.len && http_header_ok(text))
            headers->kept[i] = text;
        else
            free(text);
    }
    return true;
}

void http_headers_done(struct http_headers *headers)
{
    for (size_t i = 0; i < HTTP_KEEP_MAX; i++) {
        free(headers->kept[i]);
        headers->kept[i] = NULL;
    }
}

bool http_headers_line(struct http_headers *headers, struct bytes line, struct err *err)
{
    struct bytes value;
    headers->bytes += line.len;
    headers->count++;
    if (headers->bytes > HTTP_HEADER_BYTES_MAX || headers->count > HTTP_HEADER_COUNT_MAX)
        return err_set(err, ERR_FORMAT,
            "an answer with more than %u header lines or %u KiB of them", HTTP_HEADER_COUNT_MAX,
            HTTP_HEADER_BYTES_MAX / 1024);
    if (line.len >= 5 && memcmp(line.data, "HTTP/", 5) == 0) {
        http_headers_done(headers);
        *headers = (struct http_headers){
            .bytes = headers->bytes, .count = headers->count, .keep = headers->keep};
        return true;
    }
    if (headers->content_type[0] == '\0' && value_of(line, "Content-Type", &value))
        keep_content_type(headers, value);
    else if (value_of(line, "Set-Cookie", &value))
        keep_cookie(headers, value);
    else if (value_of(line, "Date", &value))
        keep_date(headers, value);
    return keep_named(headers, line, err);
}

bool http_header_ok(const char *text)
{
    for (const char *at = text; *at; at++)
        if (*at < ' ' || *at > '~')
            return false;
    return true;
}
