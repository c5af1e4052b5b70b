/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/path.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

bool path_name_valid(const char *name, size_t len)
{
    if (len == 0 || len > NAME_MAX || memchr(name, '/', len) || memchr(name, '\0', len))
        return false;
    return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

bool path_valid(const char *path)
{
    if (strlen(path) >= PATH_SIZE)
        return false;
    if (*path == '\0')
        return true;
    for (const char *name = path;;) {
        size_t len = strcspn(name, "/");
        if (!path_name_valid(name, len))
            return false;
        if (name[len] == '\0')
            return true;
        name += len + 1;
    }
}

/* kubelet's atomic writer: a directory named "..%Y_%m_%d_%H_%M_%S.N" and the link "..data" to it. */
static bool is_rotated(const char *name, size_t len)
{
    if (len < 3 || name[0] != '.' || name[1] != '.')
        return false;
    return isdigit((unsigned char)name[2]) || (len == 6 && memcmp(name, "..data", 6) == 0);
}

void path_normal(const char *path, char *out)
{
    char *end = out;
    for (const char *name = path; *name;) {
        size_t len = strcspn(name, "/");
        if (!is_rotated(name, len)) {
            if (end != out)
                *end++ = '/';
            memcpy(end, name, len);
            end += len;
        }
        name += len;
        if (*name == '/')
            name++;
    }
    *end = '\0';
}

/* "/" is a mount point without a name of its own. */
static size_t prefix_len(const char *mountpoint)
{
    return strcmp(mountpoint, "/") == 0 ? 0 : strlen(mountpoint);
}

void path_full(const char *mountpoint, const char *path, char *out)
{
    size_t len = prefix_len(mountpoint);
    memcpy(out, mountpoint, len);
    out[len] = '/';
    path_normal(path, out + len + 1);
}

size_t path_below(const char *mountpoint, const char *path)
{
    size_t len = prefix_len(mountpoint);
    return strncmp(path, mountpoint, len) == 0 && path[len] == '/' ? len + 1 : 0;
}

bool path_join(const char *dir, const char *name, char *out)
{
    int len = snprintf(out, PATH_SIZE, "%s%s%s", dir, *dir ? "/" : "", name);
    return len >= 0 && len < PATH_SIZE;
}

uint32_t path_hash(uint64_t seed, const char *path)
{
    uint64_t hash = 0xcbf29ce484222325u ^ seed; /* FNV-1a */
    for (; *path; path++)
        hash = (hash ^ (uint8_t)*path) * 0x100000001b3u;
    return (uint32_t)(hash ^ hash >> 32);
}
