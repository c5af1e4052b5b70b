/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/uri.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "crypt/base/number.h"

#define SCHEME       "kbs"
#define SHAPE        "kbs:///repository/type/tag"
#define VERSION      "version="
#define SHOWN_MAX    96
#define SEGMENT_RULE "A-Z a-z 0-9 _ - and, not first, ."

/* The text as an error may show it: its first bytes, anything but printable ASCII as '?'. */
struct shown {
    char text[SHOWN_MAX + 4];
};

static struct shown show(const char *text, size_t len)
{
    struct shown shown;
    size_t n = len < SHOWN_MAX ? len : SHOWN_MAX;
    for (size_t i = 0; i < n; i++)
        shown.text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    memcpy(shown.text + n, len > n ? "..." : "", len > n ? 4 : 1);
    return shown;
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Trustee's rule for a segment (protocol.md F): [A-Za-z0-9_-][A-Za-z0-9_.-]* */
static bool segment_ok(const char *segment, size_t len)
{
    if (len == 0 || len > KBS_SEGMENT_MAX || segment[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(segment[i]) && !strchr("_.-", segment[i]))
            return false;
    return true;
}

bool kbs_segment_ok(const char *segment)
{
    return segment_ok(segment, strlen(segment));
}

/* Why a segment is refused, for the characters that people try. */
static const char *segment_hint(const char *segment, size_t len)
{
    if (len == 0)
        return "an empty segment";
    if (len > KBS_SEGMENT_MAX)
        return "a segment over 255 bytes";
    if (memchr(segment, '%', len))
        return "a percent sign: escapes are not taken, write the name itself";
    if (memchr(segment, '?', len))
        return "a query: ?version=N at the end is the only one";
    if (memchr(segment, '#', len))
        return "a fragment: resources have none";
    if (segment[0] == '.')
        return "a segment that begins with a dot";
    return "a character outside " SEGMENT_RULE;
}

/* Exactly three segments. `skip_empty`: runs of slashes count as one. */
static bool parse_segments(
    const char *path, bool skip_empty, const char *whole, struct kbs_uri *uri, struct err *err)
{
    char *slots[] = {uri->repository, uri->type, uri->tag};
    size_t count = 0;
    for (const char *at = path;; at++) {
        size_t len = strcspn(at, "/");
        bool last = at[len] == '\0';
        if (len == 0 && skip_empty) {
            if (last)
                break;
            continue;
        }
        if (!segment_ok(at, len))
            return err_set(err, ERR_FORMAT, "resource \"%s\" has %s; the form is " SHAPE,
                show(whole, strlen(whole)).text, segment_hint(at, len));
        if (count == ARRAY_LEN(slots))
            return err_set(err, ERR_FORMAT,
                "resource \"%s\" has more than three segments; the form is " SHAPE,
                show(whole, strlen(whole)).text);
        memcpy(slots[count], at, len);
        slots[count++][len] = '\0';
        if (last)
            break;
        at += len;
    }
    if (count < ARRAY_LEN(slots))
        return err_set(err, ERR_FORMAT,
            "resource \"%s\" has %zu of three segments; the form is " SHAPE,
            show(whole, strlen(whole)).text, count);
    return true;
}

/* host, host:port, [v6] or [v6]:port. Kept for display; never followed. */
static bool authority_ok(const char *host, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(host[i]) && !strchr("_.-:[]", host[i]))
            return false;
    return true;
}

static bool check_scheme(const char *text, const char **ret_rest, struct err *err)
{
    const char *colon = strstr(text, "://");
    size_t len = colon ? (size_t)(colon - text) : 0;
    if (!colon)
        return err_set(err, ERR_FORMAT, "\"%s\" is no resource URI; the form is " SHAPE,
            show(text, strlen(text)).text);
    if (len > strlen(SCHEME) && strncasecmp(text, SCHEME "+", strlen(SCHEME) + 1) == 0)
        return err_set(err, ERR_FORMAT,
            "resource \"%s\" names a plugin of the KBS; only plain resources are supported: " SHAPE,
            show(text, strlen(text)).text);
    if (len != strlen(SCHEME) || strncasecmp(text, SCHEME, len) != 0)
        return err_set(err, ERR_FORMAT, "resource \"%s\" has the scheme \"%s\"; the form is " SHAPE,
            show(text, strlen(text)).text, show(text, len).text);
    *ret_rest = colon + 3;
    return true;
}

bool kbs_uri_query(const char *query, int64_t *ret_version, struct err *err)
{
    int64_t version;
    const char *digits = query + strlen(VERSION);
    if (strncmp(query, VERSION, strlen(VERSION)) != 0 || *digits < '1' || *digits > '9' ||
        digits[strspn(digits, "0123456789")] != '\0' || !number_int(digits, &version))
        return err_set(err, ERR_FORMAT,
            "resource with the query \"%s\": ?version=N is the only one, N a number from 1 on",
            show(query, strlen(query)).text);
    *ret_version = version;
    return true;
}

/* Cuts "?version=N" off the end of a URI; any other query stays there, to be refused with its segment. */
static bool take_version(char *text, int64_t *ret_version, struct err *err)
{
    char *query = strstr(text, "?" VERSION);
    if (!query)
        return true;
    if (!kbs_uri_query(query + 1, ret_version, err))
        return false;
    *query = '\0';
    return true;
}

bool kbs_uri_parse(const char *text, struct kbs_uri *ret_uri, struct err *err)
{
    struct kbs_uri uri = {0};
    const char *rest = NULL;
    if (strlen(text) >= KBS_URI_MAX)
        return err_set(err, ERR_FORMAT, "resource URI of %zu bytes; at most %d are taken",
            strlen(text), KBS_URI_MAX - 1);
    if (!check_scheme(text, &rest, err))
        return false;
    size_t host_len = strcspn(rest, "/");
    if (host_len >= sizeof uri.host || !authority_ok(rest, host_len))
        return err_set(err, ERR_FORMAT, "resource \"%s\" has a bad host; the form is " SHAPE,
            show(text, strlen(text)).text);
    if (rest[host_len] == '\0')
        return err_set(err, ERR_FORMAT,
            "resource \"%s\" has no path (after kbs:// a third slash begins it); the form "
            "is " SHAPE,
            show(text, strlen(text)).text);
    memcpy(uri.host, rest, host_len);
    char path[KBS_URI_MAX];
    snprintf(path, sizeof path, "%s", rest + host_len + 1);
    if (!take_version(path, &uri.version, err) || !parse_segments(path, false, text, &uri, err))
        return false;
    *ret_uri = uri;
    return true;
}

void kbs_uri_format(const struct kbs_uri *uri, char out[KBS_URI_MAX])
{
    int len =
        snprintf(out, KBS_URI_MAX, SCHEME ":///%s/%s/%s", uri->repository, uri->type, uri->tag);
    if (uri->version > 0)
        snprintf(out + len, KBS_URI_MAX - (size_t)len, "?" VERSION "%" PRId64, uri->version);
}

bool kbs_uri_from_path(const char *path, struct kbs_uri *ret_uri, struct err *err)
{
    struct kbs_uri uri = {0};
    if (!parse_segments(path, true, path, &uri, err))
        return false;
    *ret_uri = uri;
    return true;
}
