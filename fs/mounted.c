/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/mounted.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypt/base/cleanup.h"
#include "fs/mount.h"
#include "fs/namespace.h"
#include "fs/nodetable.h"
#include "fs/path.h"
#include "fs/resume.h"

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The directory of the only source, if it is shown at the root and nothing else is. */
static const char *source_of(const struct sealedfs_conf *conf, size_t mount)
{
    const char *found = NULL;
    for (size_t i = 0; i < conf->sources.count; i++) {
        const struct conf_source *source = &conf->sources.items[i];
        if (source->mount != mount)
            continue;
        if (found || source->at)
            return NULL;
        found = source->directory;
    }
    return found;
}

bool mounted_prepare(
    struct mounted *ret_mounted, const struct sealedfs_conf *conf, size_t mount, struct err *err)
{
    AUTO_DONE(mounted_done) struct mounted mounted = MOUNTED_INIT;
    if (!mount_point(conf->mounts.items[mount].path, &mounted.mountpoint, err) ||
        !mount_clear_dead(mounted.mountpoint, err) ||
        !namespace_new(conf, mount, -1, &mounted.space, err))
        return false;
    const char *source = source_of(conf, mount);
    mounted.source = source ? realpath(source, NULL) : strdup("sealedfs");
    if (!mounted.source)
        return err_nomem(err);
    *ret_mounted = mounted;
    mounted = (struct mounted)MOUNTED_INIT;
    return true;
}

static struct state_mount *find_left(const struct state *state, const char *path)
{
    for (size_t i = 0; i < state->mount_count; i++)
        if (state->mounts[i].fuse_fd >= 0 && strcmp(state->mounts[i].path, path) == 0)
            return &state->mounts[i];
    return NULL;
}

bool mounted_resume(struct mounted *ret_mounted, const struct sealedfs_conf *conf, size_t mount,
    struct state *state, struct err *err)
{
    AUTO_DONE(mounted_done) struct mounted mounted = MOUNTED_INIT;
    bool is_trial = state->purpose == STATE_TRIAL;
    auto_fd int point = -1;
    if (!resume_open(state, conf->mounts.items[mount].path, &mounted.mountpoint, &point, err))
        return err_wrap(err, "mount point");
    struct state_mount *left = find_left(state, mounted.mountpoint);
    if (left && is_trial && !nodetable_fits(left->table_fd, err))
        return err_wrap(err, "mount point %s", mounted.mountpoint);
    /* A trial must not touch the frame that is in use. */
    int frame_fd = left && !is_trial ? take_fd(left->frame_fd) : -1;
    if (!left && !is_trial && !mount_clear_dead(mounted.mountpoint, err)) {
        close_fd(&frame_fd);
        return false;
    }
    if (!namespace_resume(conf, mount, frame_fd, state, &mounted.space, err))
        return false;
    const char *source = source_of(conf, mount);
    mounted.source = strdup(source ? source : "sealedfs");
    if (!mounted.source)
        return err_nomem(err);
    if (left) {
        mounted.fuse_fd = take_fd(left->fuse_fd);
        mounted.table_fd = take_fd(left->table_fd);
        mounted.id = left->mount_id;
        mounted.own = left->device;
    }
    *ret_mounted = mounted;
    mounted = (struct mounted)MOUNTED_INIT;
    return true;
}

bool mounted_leave(struct mounted *mounted, struct state_mount *left, struct err *err)
{
    *mounted = (struct mounted)MOUNTED_INIT;
    mounted->mountpoint = strdup(left->path);
    mounted->source = strdup("");
    mounted->fuse_fd = take_fd(left->fuse_fd);
    mounted->table_fd = take_fd(left->table_fd);
    mounted->id = left->mount_id;
    mounted->own = left->device;
    return (mounted->mountpoint && mounted->source) || err_nomem(err);
}

bool mounted_check(const struct mounted *mounts, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++) {
            const char *one = mounts[i].mountpoint, *other = mounts[k].mountpoint;
            if (i != k && (strcmp(one, other) == 0 || path_below(one, other) > 0))
                return err_set(err, ERR_CONFIG,
                    "mount point %s lies on or below the mount point %s; put it elsewhere", other,
                    one);
        }
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
    namespace_free(take_ptr(mounted->space));
    free(take_ptr(mounted->mountpoint));
    free(take_ptr(mounted->source));
}
