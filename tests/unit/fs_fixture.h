/* SPDX-License-Identifier: Apache-2.0 */
/* A source directory with a monitor that serves it from a thread, for tests of the worker's half without any mount. */
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "crypt/base/ipc.h"
#include "fs/monitor.h"
#include "fs/namespace.h"
#include "fs/source.h"
#include "tests/unit/unit.h"

struct fixture {
    char root[64];
    struct conf_mount mount;
    struct conf_source mirror;
    struct sealedfs_conf conf;
    struct namespace *space;
    int fds[2];
    pthread_t thread;
    struct monitor_client client;
    struct source source;
};

static inline bool fixture_is_sealed(struct bytes head)
{
    return head.len >= 7 && memcmp(head.data, "sealed.", 7) == 0;
}

static inline void *fixture_main(void *arg)
{
    struct fixture *fixture = arg;
    struct mounted mount = MOUNTED_INIT;
    mount.space = fixture->space;
    struct monitor monitor = {&mount, 1};
    struct err err = ERR_INIT;
    bool closed = false;
    while (!closed && monitor_serve(&monitor, fixture->fds[1], &closed, &err))
        ;
    return NULL;
}

static inline void fixture_start(struct fixture *fixture)
{
    struct err err = ERR_INIT;
    memcpy(fixture->root, "/tmp/sealed-unit.XXXXXX", 24);
    assert_non_null(mkdtemp(fixture->root));
    fixture->mirror = (struct conf_source){.directory = fixture->root};
    fixture->conf.mounts.items = &fixture->mount;
    fixture->conf.sources.items = &fixture->mirror;
    fixture->conf.mounts.count = fixture->conf.sources.count = 1;
    assert_done(namespace_new(&fixture->conf, 0, -1, &fixture->space, &err), &err);
    assert_done(ipc_pair(fixture->fds, &err), &err);
    monitor_client_init(&fixture->client, fixture->fds[0]);
    fixture->source = (struct source){&fixture->client, 0, &fixture->conf, fixture_is_sealed};
    assert_int_equal(pthread_create(&fixture->thread, NULL, fixture_main, fixture), 0);
}

static inline void fixture_stop(struct fixture *fixture)
{
    char command[128];
    close(fixture->fds[0]);
    pthread_join(fixture->thread, NULL);
    close(fixture->fds[1]);
    namespace_free(fixture->space);
    snprintf(command, sizeof command, "rm -rf %s", fixture->root);
    assert_int_equal(system(command), 0);
}

static inline const char *fixture_path(const struct fixture *fixture, const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", fixture->root, name);
    return path;
}

static inline void fixture_write(
    const struct fixture *fixture, const char *name, const char *content)
{
    int fd = open(fixture_path(fixture, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

/* Until a pin on this file is settled: two ticks of the coarse clock. */
static inline void fixture_rest(const struct fixture *fixture, const char *name)
{
    struct stat st;
    struct timespec now;
    assert_int_equal(lstat(fixture_path(fixture, name), &st), 0);
    do
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    while ((now.tv_sec - st.st_ctim.tv_sec) * 1000 + (now.tv_nsec - st.st_ctim.tv_nsec) / 1000000 <
           30);
}
