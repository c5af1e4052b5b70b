/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a mount that lie in no source, as true files: a tmpfs that is mounted nowhere, with an empty directory for each that the
 * catalogue implies, a file for each of its files (with the mode and owner that it shall have, and the name of its section as the content), and
 * those below .kbs that somebody asked for. So what is known of a source's files (ids, ctime, identity) is known of these as
 * well, and a file that a new configuration does not change stays the same file.
 */
#pragma once

#include "fs/catalogue.h"

/* Files below .kbs: the one made first goes when there are more. */
#define FRAME_NAMES_MAX 4096u

struct frame;

/* `fd`: of a predecessor's frame, which is taken over (the descriptor too); -1: a new one. */
bool frame_new(int fd, struct frame **ret_frame, struct err *err) MUST_CHECK;
void frame_free(struct frame *frame);
DEFINE_AUTO(struct frame, frame_free);
/* Its root directory; borrowed. */
int frame_fd(const struct frame *frame);
/* Makes it what the catalogue says; what it says already is not touched. */
bool frame_sync(struct frame *frame, const struct catalogue *catalogue,
    const struct sealedfs_conf *conf, size_t mount, struct err *err) MUST_CHECK;
/* Could it be made? Looks users and groups up. */
bool frame_check(const struct sealedfs_conf *conf, size_t mount, struct err *err) MUST_CHECK;
/* Does it show resources by name? After frame_sync. */
bool frame_has_names(const struct frame *frame);
/* .kbs, or a path below it that could name a resource or a directory of them? */
bool frame_is_name(const char *path);
/* Such a path, which is there from now on. 0, or what open(2) shall say. */
int frame_add_name(struct frame *frame, const char *path);
