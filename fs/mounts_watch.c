/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/mounts_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

bool mounts_watch_init(struct mounts_watch *watch, struct err *err)
{
    int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, ERR_CONFIG, "open /proc/self/mountinfo (is /proc mounted?)");
    *watch = (struct mounts_watch){.fd = fd, .count = 1};
    return true;
}

void mounts_watch_done(struct mounts_watch *watch)
{
    if (watch->count > 0)
        close(watch->fd);
    watch->count = 0;
}

uint32_t mounts_watch_count(struct mounts_watch *watch)
{
    struct pollfd table = {.fd = watch->fd, .events = POLLPRI};
    /* Anything but a clear "no" counts as a change: then the monitor is asked. */
    if (poll(&table, 1, 0) != 0)
        watch->count++;
    return watch->count;
}
