/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's half: asks the monitor, or one of its openers (fs/lanes.h), and waits for the answer. Any thread; of each lane, and of the
 * monitor itself, one request at a time is under way. */
#pragma once

#include <pthread.h>

#include "fs/lanes.h"
#include "fs/monitor_wire.h"

struct monitor_client {
    int fd; /* borrowed */
    uint32_t number;
    pthread_mutex_t lock;
    struct lanes lanes; /* none, until lanes_use() */
};

void monitor_client_init(struct monitor_client *client, int fd);

struct monitor_file {
    int fd;
    struct origin origin;
    bool elsewhere;    /* the content is that of another file: */
    int content_fd;    /* -1: it could not be opened */
    int content_errno; /* why */
};

/* err.sys_errno is what open(2) said, or ETIMEDOUT (fs/lanes.h), when the file is the cause; 0 when the monitor is. The descriptors are the caller's. */
bool monitor_open(struct monitor_client *client, uint16_t mount, const char *path,
    struct monitor_file *ret_file, struct err *err) MUST_CHECK;
/* Entries after `cookie` into `message`, which ret_answer borrows from. */
bool monitor_list(struct monitor_client *client, uint16_t mount, const char *path, uint64_t cookie,
    struct buf *message, struct monitor_answer *ret_answer, struct err *err) MUST_CHECK;
/* A lane to the monitor's witness (fs/witness.h). */
bool monitor_witness(struct monitor_client *client, int *ret_fd, struct err *err) MUST_CHECK;
