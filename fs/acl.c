/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/acl.h"

#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <sys/xattr.h>

#define ACL_NAME   "system.posix_acl_access"
#define ACL_SIZE   8192 /* a thousand entries; a longer one counts as unreadable */
#define HEAD_SIZE  sizeof(struct posix_acl_xattr_header)
#define ENTRY_SIZE sizeof(struct posix_acl_xattr_entry)
#define OWNER_ONLY 0700
#define EVERYTHING 07u

struct classes {
    unsigned group, mask, other;
    unsigned users, groups; /* what every named user and every named group has, before the mask */
    bool named;             /* there are such */
};

static unsigned le16(const uint8_t *at)
{
    return at[0] | (unsigned)at[1] << 8;
}

static void take_entry(struct classes *classes, const uint8_t *entry)
{
    unsigned perm = le16(entry + 2) & EVERYTHING;
    switch (le16(entry)) {
    case ACL_USER:
        classes->users &= perm;
        classes->named = true;
        break;
    case ACL_GROUP_OBJ:
        classes->group = perm;
        break;
    case ACL_GROUP:
        classes->groups &= perm;
        classes->named = true;
        break;
    case ACL_MASK:
        classes->mask = perm;
        break;
    case ACL_OTHER:
        classes->other = perm;
        break;
    default:
        break;
    }
}

/*
 * acl(5), "access check algorithm", turned round: a named user may be in the owning group or not, a member of a named group may be in no
 * other. Nobody of them gets more by the mode than by the entry.
 */
mode_t acl_allowed(struct bytes acl)
{
    struct classes classes = {0, EVERYTHING, 0, EVERYTHING, EVERYTHING, false};
    if (acl.len < HEAD_SIZE || (acl.len - HEAD_SIZE) % ENTRY_SIZE != 0 ||
        le16(acl.data) != POSIX_ACL_XATTR_VERSION || le16(acl.data + 2) != 0)
        return OWNER_ONLY;
    for (size_t at = HEAD_SIZE; at < acl.len; at += ENTRY_SIZE)
        take_entry(&classes, acl.data + at);
    unsigned group = classes.group & classes.mask & classes.users;
    unsigned other = classes.other & classes.users & classes.groups;
    if (classes.named)
        other &= classes.mask;
    return OWNER_ONLY | group << 3 | other;
}

mode_t acl_allowed_of(int fd)
{
    uint8_t acl[ACL_SIZE];
    char path[32];
    ssize_t len = fgetxattr(fd, ACL_NAME, acl, sizeof acl);
    if (len < 0 && errno == EBADF) { /* O_PATH */
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        len = getxattr(path, ACL_NAME, acl, sizeof acl);
    }
    if (len >= 0)
        return acl_allowed(bytes_of(acl, (size_t)len));
    return errno == ENODATA || errno == EOPNOTSUPP ? 0777 : OWNER_ONLY;
}
