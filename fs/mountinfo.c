/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/mountinfo.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Blanks, tabs, newlines and backslashes stand as \ooo, three octal digits. */
static bool unescape(const char *text, size_t len, char out[PATH_MAX])
{
    size_t used = 0;
    for (const char *end = text + len; text < end; used++) {
        unsigned value = 0;
        size_t digits = 0;
        if (used == PATH_MAX - 1)
            return false;
        while (*text == '\\' && digits < 3 && text[1 + digits] >= '0' && text[1 + digits] <= '7')
            value = value * 8 + (unsigned)(text[1 + digits++] - '0');
        if (digits == 3 && (value == 0 || value > UINT8_MAX))
            return false;
        out[used] = digits == 3 ? (char)value : *text;
        text += digits == 3 ? 4 : 1;
    }
    out[used] = '\0';
    return true;
}

/* Escaped, a path may take four times the room of one that open(2) takes, so no room is set aside for that. */
bool mountinfo_parse(char *line, struct mountinfo *ret_mount)
{
    struct mountinfo mount;
    int path_at = 0;
    char *tail = strstr(line, " - ");
    if (!tail)
        return false;
    *tail = '\0';
    if (sscanf(line, "%d %*d %*s %*s %n", &mount.id, &path_at) != 1 || line[path_at] != '/' ||
        sscanf(tail + 3, "%63s", mount.type) != 1 ||
        !unescape(line + path_at, strcspn(line + path_at, " "), mount.path))
        return false;
    mount.shared = strstr(line + path_at, " shared:") != NULL;
    *ret_mount = mount;
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
