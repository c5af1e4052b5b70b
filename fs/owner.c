/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>

/* uid_t's highest value stands for "none" in chown(2). */
#define ID_MAX (UINT32_MAX - 1)

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

static bool read_number(const char *kind, const char *text, uint32_t *ret_id, struct err *err)
{
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    if (errno || value > ID_MAX)
        return err_set(err, ERR_CONFIG, "%s %s: a number up to %u", kind, text, ID_MAX);
    *ret_id = (uint32_t)value;
    return true;
}

bool owner_user(const char *text, uid_t *ret_uid, struct err *err)
{
    char room[16384];
    struct passwd entry, *found = NULL;
    if (is_number(text))
        return read_number("user", text, ret_uid, err);
    int failed = getpwnam_r(text, &entry, room, sizeof room, &found);
    if (failed || !found)
        return err_set(err, ERR_CONFIG, "user %s: %s", text,
            failed ? strerror(failed) : "there is no user of that name");
    *ret_uid = entry.pw_uid;
    return true;
}

bool owner_group(const char *text, gid_t *ret_gid, struct err *err)
{
    char room[65536];
    struct group entry, *found = NULL;
    if (is_number(text))
        return read_number("group", text, ret_gid, err);
    int failed = getgrnam_r(text, &entry, room, sizeof room, &found);
    if (failed || !found)
        return err_set(err, ERR_CONFIG, "group %s: %s", text,
            failed ? strerror(failed) : "there is no group of that name");
    *ret_gid = entry.gr_gid;
    return true;
}
