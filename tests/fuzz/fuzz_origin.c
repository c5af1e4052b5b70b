/* SPDX-License-Identifier: Apache-2.0 */
/* The origin of a URL: what is taken is an origin itself, and plain HTTP only goes to this machine. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "crypt/base/cleanup.h"
#include "kbs/origin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not more than that it looks so: 127.evil.example does, too. */
static bool looks_local(const char *origin)
{
    static const char *const beginnings[] = {"http://127.", "http://[", "http://localhost:"};
    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++)
        if (strncasecmp(origin, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char origin[ORIGIN_SIZE], again[ORIGIN_SIZE];
    struct err err = ERR_INIT;
    auto_free char *url = strndup((const char *)data, size);
    if (!url || !origin_of(url, true, origin, &err))
        return 0;
    const char *port = strrchr(origin, ':');
    if (strnlen(origin, sizeof origin) == sizeof origin || strpbrk(origin, "@?#\\% ") || !port ||
        port[1] < '0' || port[1] > '9')
        abort();
    if (!origin_of(origin, true, again, &err) || strcmp(origin, again) != 0)
        abort();
    if (origin_of(url, false, again, &err) && strncmp(origin, "https:", 6) != 0 &&
        !looks_local(origin))
        abort();
    return 0;
}
