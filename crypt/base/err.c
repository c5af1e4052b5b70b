/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "crypt/base/utf8.h"

/* One row a code: the only place where a cause becomes an errno, an HTTP status or an exit status. */
static const struct err_info err_table[ERR_CODE_COUNT] = {
    [ERR_OK] = {"ok", "no error", 0, 200, 0, false},
    [ERR_NOMEM] = {"no-memory", "out of memory, lockable memory or descriptors", EIO, 503, 3, true},
    [ERR_IO] = {"io", "a file, socket or device failed", EIO, 500, 3, false},
    [ERR_FORMAT] = {"format", "malformed input", EBADMSG, 400, 4, false},
    [ERR_CRYPTO] = {"crypto", "a signature, tag, context or key check failed", EKEYREJECTED, 400, 5,
        false},
    [ERR_DENIED_LOCAL] = {"denied-local", "a rule on this machine says no", EACCES, 403, 6, false},
    [ERR_DENIED_POLICY] = {"denied-policy", "the key broker refuses this guest or this resource",
        EACCES, 403, 7, false},
    [ERR_ATTEST] = {"attest", "evidence could not be made on this machine", EIO, 502, 8, false},
    [ERR_UNREACH] = {"unreachable", "the peer cannot be reached or is not who it should be",
        EHOSTUNREACH, 502, 9, true},
    [ERR_TIMEOUT] = {"timeout", "a deadline passed", ETIMEDOUT, 504, 10, true},
    [ERR_NOTFOUND] = {"not-found", "no such resource, file or key", ENOKEY, 404, 11, false},
    [ERR_REVOKED] = {"revoked", "it was served before and is withdrawn now", EKEYREVOKED, 403, 12,
        false},
    [ERR_STALE] = {"stale", "the staleness limit passed and nothing fresh can be had", EKEYEXPIRED,
        503, 13, true},
    [ERR_BUSY] = {"busy", "a limit on work in progress is reached", EIO, 429, 14, true},
    [ERR_CONFIG] = {"config", "configuration, option or set-up of the machine", EIO, 500, 2, false},
    [ERR_INTERNAL] = {"internal", "a bug in this program", EIO, 500, 3, false},
};

/* Messages become JSON, packed texts and log lines, and hold names that somebody else chose: what is no UTF-8 in them, or
 * was cut in the middle of a character, must not make the message itself be refused on its way. */
static void make_text(char *message)
{
    struct bytes rest = bytes_str(message);
    uint32_t rune;
    while (rest.len > 0) {
        size_t at = (size_t)(rest.data - (const uint8_t *)message);
        if (utf8_next(&rest, &rune))
            continue;
        message[at] = '?';
        rest = bytes_slice(rest, 1, rest.len);
    }
}

bool err_set_at(struct err *err, enum err_code code, int sys_errno, const char *file, int line,
    const char *format, ...)
{
    va_list args;
    err->code = code;
    err->sys_errno = sys_errno;
    err->file = file;
    err->line = line;
    err->ref[0] = '\0';
    va_start(args, format);
    int len = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (len < 0)
        len = 0;
    if (sys_errno != 0 && (size_t)len < sizeof err->message) {
        char text[128];
        snprintf(err->message + len, sizeof err->message - (size_t)len, ": %s",
            strerror_r(sys_errno, text, sizeof text));
    }
    make_text(err->message);
    return false;
}

bool err_wrap(struct err *err, const char *format, ...)
{
    char context[ERR_MESSAGE_SIZE];
    char whole[2 * ERR_MESSAGE_SIZE + 2];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    snprintf(whole, sizeof whole, "%s: %s", context, err->message);
    /* The cause stands at the end: when both do not fit, the front of the context is what goes. */
    size_t len = strlen(whole);
    const char *from = len < sizeof err->message ? whole : whole + (len - sizeof err->message + 1);
    memcpy(err->message, from, strlen(from) + 1);
    make_text(err->message);
    return false;
}

void err_clear(struct err *err)
{
    *err = (struct err)ERR_INIT;
}

const struct err_info *err_info(enum err_code code)
{
    if ((unsigned)code >= ERR_CODE_COUNT)
        return &err_table[ERR_INTERNAL];
    return &err_table[code];
}

enum err_code err_code_from_name(const char *name)
{
    for (int code = 0; code < ERR_CODE_COUNT; code++)
        if (strcmp(err_table[code].name, name) == 0)
            return (enum err_code)code;
    return ERR_INTERNAL;
}
