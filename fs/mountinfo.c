/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/mountinfo.h"

#include <stdio.h>
#include <string.h>

/* Blanks, tabs, newlines and backslashes in a path are \ooo. */
static void unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in; out++) {
        unsigned value;
        if (*in == '\\' && sscanf(in + 1, "%3o", &value) == 1) {
            *out = (char)value;
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
}

bool mountinfo_parse(char *line, struct mountinfo *ret_mount)
{
    char *tail = strstr(line, " - ");
    if (!tail)
        return false;
    *tail = '\0';
    if (sscanf(line, "%d %*d %*s %*s %4095s", &ret_mount->id, ret_mount->path) != 2 ||
        sscanf(tail + 3, "%63s", ret_mount->type) != 1)
        return false;
    ret_mount->shared = strstr(line, " shared:") != NULL;
    unescape(ret_mount->path);
    return true;
}

bool mountinfo_each(
    void (*fn)(void *arg, const struct mountinfo *mount), void *arg, struct err *err)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (!file)
        return err_set_errno(err, ERR_CONFIG, "open /proc/self/mountinfo (is /proc mounted?)");
    auto_free char *line = NULL;
    size_t size = 0;
    struct mountinfo mount;
    while (getline(&line, &size, file) > 0)
        if (mountinfo_parse(line, &mount))
            fn(arg, &mount);
    fclose(file);
    return true;
}
