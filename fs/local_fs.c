/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/local_fs.h"

#include <linux/magic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/vfs.h>

#include "crypt/base/cleanup.h"

#define ZFS_MAGIC 0x2fc12fc1

bool local_fs(int fd)
{
    static const uint32_t known[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
        TMPFS_MAGIC, RAMFS_MAGIC, OVERLAYFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, ZFS_MAGIC,
        SQUASHFS_MAGIC, ISOFS_SUPER_MAGIC};
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if ((uint32_t)fs.f_type == known[i])
            return true;
    return false;
}
