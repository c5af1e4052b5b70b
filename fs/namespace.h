/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a path of one mount leads to. A mount is composed of mirrors (source directories, each at a place of its own) and a frame
 * (fs/frame.h: the catalogue's files and their directories, and .kbs). Which of them a path is in:
 *
 *     a file of the catalogue, and all of .kbs    the frame
 *     else, at or below the place of a mirror     the mirror, of several the one with the longest place
 *     where that has no such directory            the frame's, which is only there to hold something of the catalogue
 *
 * So a source's directory keeps its own mode and owner, also where the catalogue adds something to it. That is also why all that is said of pins
 * (fs/source.h) holds here: the frame does not change while it is in use but for .kbs, and what appears in a mirror in the place of one of
 * the frame's directories changes the ctime of the mirror's directory above it.
 */
#pragma once

#include "fs/beneath.h"
#include "fs/monitor_wire.h"
#include "fs/sealedfs_conf.h"
#include "fs/state.h"

struct namespace;

struct namespace_file {
    int fd; /* readable for a regular file, O_PATH for everything else */
    struct origin origin;
    /* Of a file of the catalogue that is a file elsewhere (sealed_file): that one's content, or (-1) the errno that it gave. */
    bool elsewhere;
    int content_fd;
    int content_errno;
};

/* Of conf.mounts[mount]; `conf` is borrowed. `frame_fd`: of a predecessor, -1: none; it is taken over. */
bool namespace_new(const struct sealedfs_conf *conf, size_t mount, int frame_fd,
    struct namespace **ret_space, struct err *err) MUST_CHECK;
/* The same in a program that was executed anew (fs/resume.h). */
bool namespace_resume(const struct sealedfs_conf *conf, size_t mount, int frame_fd,
    const struct state *state, struct namespace **ret_space, struct err *err) MUST_CHECK;
/* Could it be made? Directories are opened, users and groups looked up, nothing is kept. */
bool namespace_check(const struct sealedfs_conf *conf, size_t mount, struct err *err) MUST_CHECK;
void namespace_free(struct namespace *space);
DEFINE_AUTO(struct namespace, namespace_free);
/* To be kept for a successor; -1: there is none. Borrowed. */
int namespace_frame_fd(const struct namespace *space);
/* Its source directories, for a successor. Borrowed. At most `max`. */
size_t namespace_sources(
    const struct namespace *space, struct state_source *ret_sources, size_t max);

/* Each directory that it holds open. */
void namespace_each_fd(const struct namespace *space, void (*fn)(void *arg, int fd), void *arg);
/* Is it a name below .kbs, which an open makes? */
bool namespace_makes(const struct namespace *space, const char *path);

/* 0, or the errno. The descriptors are the caller's. */
int namespace_open(struct namespace *space, const struct beneath_own *own, const char *path,
    struct namespace_file *ret_file);
/*
 * Entries of a directory after `cookie` (0: from the start) until the sink has no room: it returns false, and the entry is not counted as
 * told. 0, or the errno. *ret_end: nothing follows. Cookies of a mirror's entries are its file system's own, those of the frame's
 * lie above NAMESPACE_COOKIES: no file system has its own up there but for INT64_MAX, which stands for the end.
 */
#define NAMESPACE_COOKIES (INT64_MAX - (INT64_C(1) << 20))
typedef bool namespace_sink_fn(void *arg, const struct monitor_entry *entry);
int namespace_list(struct namespace *space, const struct beneath_own *own, const char *path,
    uint64_t cookie, namespace_sink_fn *sink, void *arg, bool *ret_end);
