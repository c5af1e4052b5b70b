/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/stamps.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypt/base/file.h"
#include "crypt/base/log.h"

#define DIRECTORY_MODE 0755
#define FILE_MODE      0644
#define LINE_SIZE      64

struct stamp {
    struct stamp *next;
    const char *name; /* in the configuration */
    int fd;
    uint64_t number;
    bool inherited; /* an earlier worker has written it, and this one has not */
};

struct stamps {
    struct stamp *first;
};

static struct stamp *find(const struct stamps *stamps, const char *name)
{
    struct stamp *stamp = stamps->first;
    while (stamp && strcmp(stamp->name, name) != 0)
        stamp = stamp->next;
    return stamp;
}

static bool stamp_write(struct stamp *stamp, struct err *err)
{
    char line[LINE_SIZE], when[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc))
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    int len = snprintf(line, sizeof line, "%020" PRIu64 " %s\n", stamp->number, when);
    /* Always of the same length, so one write replaces all of it. */
    if (pwrite(stamp->fd, line, (size_t)len, 0) != len)
        return err_set_errno(err, ERR_IO, "stamp %s", stamp->name);
    return true;
}

void stamps_changed(struct stamps *stamps, const char *name)
{
    struct stamp *stamp = find(stamps, name);
    struct err err = ERR_INIT;
    if (!stamp)
        return;
    stamp->number++;
    stamp->inherited = false;
    if (!stamp_write(stamp, &err))
        log_err(LOG_LEVEL_ERROR, &err, "nobody is told that a secret has changed");
}

void stamps_seen(struct stamps *stamps, const char *name)
{
    const struct stamp *stamp = find(stamps, name);
    if (stamp && stamp->inherited)
        stamps_changed(stamps, name);
}

/* What an earlier worker left; a file that says something else begins anew. */
static bool stamp_recall(struct stamp *stamp, struct err *err)
{
    char line[LINE_SIZE] = "";
    ssize_t len = pread(stamp->fd, line, sizeof line - 1, 0);
    if (len < 0)
        return err_set_errno(err, ERR_IO, "read it");
    if (len > 0 && sscanf(line, "%20" SCNu64 " ", &stamp->number) == 1) {
        stamp->inherited = true;
        return true;
    }
    if (ftruncate(stamp->fd, 0) < 0)
        return err_set_errno(err, ERR_IO, "empty it");
    return stamp_write(stamp, err);
}

static bool add(struct stamps *stamps, int directory, const char *name, struct err *err)
{
    if (find(stamps, name))
        return true;
    struct stamp *stamp = calloc(1, sizeof *stamp);
    if (!stamp)
        return err_nomem(err);
    *stamp = (struct stamp){.next = stamps->first, .name = name, .fd = -1};
    stamps->first = stamp;
    stamp->fd = openat(directory, name,
        O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, FILE_MODE);
    if (stamp->fd < 0)
        return err_set_errno(err, ERR_IO, "open it");
    /* Whatever the umask was. */
    if (fchmod(stamp->fd, FILE_MODE) < 0)
        return err_set_errno(err, ERR_IO, "set its mode");
    return stamp_recall(stamp, err);
}

static bool add_all(
    struct stamps *stamps, int directory, const struct sealedfs_conf *conf, struct err *err)
{
    for (size_t i = 0; i < conf->sources.count; i++) {
        const char *name = conf->sources.items[i].settings.on_change;
        if (name && !add(stamps, directory, name, err))
            return err_wrap(err, "stamp %s/%s", conf->secrets.stamps, name);
    }
    for (size_t i = 0; i < conf->files.count; i++) {
        const char *name = conf->files.items[i].settings.on_change;
        if (name && !add(stamps, directory, name, err))
            return err_wrap(err, "stamp %s/%s", conf->secrets.stamps, name);
    }
    return true;
}

static bool has_any(const struct sealedfs_conf *conf)
{
    for (size_t i = 0; i < conf->sources.count; i++)
        if (conf->sources.items[i].settings.on_change)
            return true;
    for (size_t i = 0; i < conf->files.count; i++)
        if (conf->files.items[i].settings.on_change)
            return true;
    return false;
}

bool stamps_open(const struct sealedfs_conf *conf, struct stamps **ret_stamps, struct err *err)
{
    AUTO(stamps_free) struct stamps *stamps = calloc(1, sizeof *stamps);
    if (!stamps)
        return err_nomem(err);
    if (has_any(conf)) {
        const char *path = conf->secrets.stamps;
        if (!file_make_dirs(path, DIRECTORY_MODE, err))
            return err_wrap(err, "secrets.stamps");
        auto_fd int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
            return err_set_errno(err, ERR_IO, "secrets.stamps: %s", path);
        if (!add_all(stamps, directory, conf, err))
            return false;
    }
    *ret_stamps = take_ptr(stamps);
    return true;
}

void stamps_free(struct stamps *stamps)
{
    if (!stamps)
        return;
    while (stamps->first) {
        struct stamp *stamp = stamps->first;
        stamps->first = stamp->next;
        if (stamp->fd >= 0)
            close(stamp->fd);
        free(stamp);
    }
    free(stamps);
}
