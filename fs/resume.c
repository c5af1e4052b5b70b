/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/resume.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/mount.h"
#include "fs/path.h"

static bool check_not_below(const struct state *state, const char *path, struct err *err)
{
    for (size_t i = 0; i < state->mount_count; i++)
        if (path_below(state->mounts[i].path, path) > 0 && strcmp(state->mounts[i].path, path) != 0)
            return err_set(err, ERR_CONFIG,
                "%s lies below %s, which this daemon serves itself; stop it and start it anew",
                path, state->mounts[i].path);
    return true;
}

static bool is_ours(const struct state *state, int fd)
{
    dev_t device;
    if (!mount_device_of(fd, &device))
        return true;
    for (size_t i = 0; i < state->mount_count; i++)
        if (state->mounts[i].device == device)
            return true;
    return false;
}

bool resume_open(
    const struct state *state, const char *path, char **ret_path, int *ret_fd, struct err *err)
{
    char link[64], real[PATH_MAX];
    if (!check_not_below(state, path, err))
        return false;
    auto_fd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, ERR_CONFIG, "directory %s", path);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, real, sizeof real - 1);
    if (len < 0)
        return err_set_errno(err, ERR_CONFIG, "path of %s", path);
    real[len] = '\0';
    if (!check_not_below(state, real, err))
        return false;
    char *copy = strdup(real);
    if (!copy)
        return err_nomem(err);
    *ret_path = copy;
    *ret_fd = take_fd(fd);
    return true;
}

static int find_kept(const struct state *state, const char *directory)
{
    for (size_t i = 0; i < state->source_count; i++)
        if (strcmp(state->sources[i].path, directory) == 0)
            return fcntl(state->sources[i].fd, F_DUPFD_CLOEXEC, 3);
    return -1;
}

bool resume_open_source(
    const struct state *state, const char *directory, int *ret_fd, struct err *err)
{
    auto_free char *path = NULL;
    auto_fd int fd = -1;
    if (!resume_open(state, directory, &path, &fd, err))
        return err_wrap(err, "source");
    if (is_ours(state, fd)) {
        auto_fd int kept = find_kept(state, directory);
        if (kept < 0)
            return err_set(
                err, ERR_CONFIG, "source directory %s is a mount of this daemon", directory);
        *ret_fd = take_fd(kept);
        return true;
    }
    *ret_fd = take_fd(fd);
    return true;
}
