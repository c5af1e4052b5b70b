/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/mounted.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypt/base/cleanup.h"
#include "fs/mount.h"
#include "fs/nodetable.h"

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

bool mounted_prepare(
    struct mounted *mounted, const char *source, const char *mountpoint, struct err *err)
{
    auto_free char *point = NULL, *from = NULL;
    if (!mount_point(mountpoint, &point, err) || !mount_clear_dead(point, err))
        return false;
    from = realpath(source, NULL);
    auto_fd int fd = from ? open(from, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0)
        return err_set_errno(err, ERR_CONFIG, "source directory %s", source);
    *mounted = (struct mounted){.mountpoint = take_ptr(point),
        .source = take_ptr(from),
        .source_fd = take_fd(fd),
        .fuse_fd = -1,
        .table_fd = -1,
        .id = -1};
    return true;
}

bool mounted_start(struct mounted *mounted, struct err *err)
{
    return nodetable_create(&mounted->table_fd, err) &&
           mount_fuse(mounted->source, mounted->mountpoint, &mounted->fuse_fd, &mounted->id, err) &&
           mount_device(mounted->mountpoint, &mounted->own, err);
}

bool mounted_is_on(const struct mounted *mounted)
{
    return mounted->fuse_fd >= 0;
}

void mounted_gone(struct mounted *mounted)
{
    close_fd(&mounted->fuse_fd);
    close_fd(&mounted->table_fd);
    mounted->id = -1;
    mounted->own = 0;
}

bool mounted_end(struct mounted *mounted, bool detach, struct err *err)
{
    if (!mounted_is_on(mounted))
        return true;
    if (!mount_end(mounted->mountpoint, mounted->id, detach, err))
        return false;
    mounted_gone(mounted);
    return true;
}

void mounted_done(struct mounted *mounted)
{
    mounted_gone(mounted);
    close_fd(&mounted->source_fd);
    free(take_ptr(mounted->mountpoint));
    free(take_ptr(mounted->source));
}
