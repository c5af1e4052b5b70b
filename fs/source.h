/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the source directory. A pin is one file as the monitor opened it at one path and moment, counted, constant but for what is
 * learnt lazily about its content. It is the reason why a warm open needs no round trip and is strict all the same:
 *
 *   Whatever changes what a path leads to (write, chmod, rename, unlink, a new file over it) also changes the ctime of the inode that
 *   was there. So while fstat(2) of the pinned descriptor shows the ctime of the moment of pinning, the file is as it was
 *   and still lies in the same directory; and so on for the directory, up to the source's root (fs/tree.c walks).
 *   Two changes do not: a mount over the path (fs/mounts_watch.h) and a store through mmap(2) (source_content_holds).
 *
 * Two conditions. The clock behind ctime ticks: a change in the same tick as the pinning would not show. So a pin is `settled` only if
 * the last change was clearly before it; one that is not is never used again without asking. And ctime must be the file system's own
 * honest time: pins on anything but well-known local file systems never settle.
 */
#pragma once

#include <stdatomic.h>
#include <sys/stat.h>

#include "crypt/base/secret.h"
#include "fs/monitor_client.h"
#include "fs/sealedfs_conf.h"

/* More is no sealed string. What is read of a longer file is one byte more than this. */
#define BLOB_SIZE_MAX SECRET_SIZE_MAX

/* The content of a sealed file: public. Counted, and constant but for the last member. */
struct blob {
    atomic_uint count;
    bool is_name; /* the text is the URI of a resource, not a sealed string */
    int missing;  /* errno: the text is the path of the file that should have held the string */
    struct buf text;
    atomic_size_t
        known_hint; /* of the plaintext's length, and one; 0: nobody has looked (fs/shown.c) */
};

/* A copy of the text. */
bool blob_copy(struct bytes text, struct blob **ret_blob, struct err *err) MUST_CHECK;
struct blob *blob_ref(struct blob *blob);
void blob_unref(struct blob *blob);
DEFINE_AUTO(struct blob, blob_unref);
bool blob_equal(const struct blob *a, const struct blob *b);

struct pin {
    atomic_uint count;
    int fd; /* readable for a regular file, else O_PATH */
    struct origin origin;
    bool elsewhere; /* the content is not that of fd */
    struct stat st;
    bool settled;
    mode_t allowed;    /* permission bits that may be shown (fs/acl.h) */
    char *target;      /* of a symbolic link */
    bool is_sealed;    /* of a regular file */
    struct blob *blob; /* of a sealed file */
};

struct source {
    struct monitor_client *monitor;
    uint16_t mount;                   /* as the monitor knows it */
    const struct sealedfs_conf *conf; /* with the catalogue; NULL: there is none */
    /* The resolver's test on first bytes. NULL: nothing is sealed. */
    bool (*is_sealed)(struct bytes head);
};

struct pin *pin_ref(struct pin *pin);
void pin_unref(struct pin *pin);
DEFINE_AUTO(struct pin, pin_unref);
#define auto_pin AUTO(pin_unref) struct pin

/* Any thread. err.sys_errno tells what is wrong with the file. */
bool source_pin(const struct source *source, const char *path, struct pin **ret_pin,
    struct err *err) MUST_CHECK;
/* Of a file that another worker had open: never settled, its content not looked at (a sealed one has an empty blob, which is
 * nobody's string). `fd` is the pin's, or closed. Refused unless it is a regular file, readable. */
bool source_pin_open(int fd, bool is_sealed, struct pin **ret_pin, struct err *err) MUST_CHECK;
/* Still the file that was pinned, unchanged, at the same place in its directory? *ret_st is its state now (atime may be newer). */
bool pin_holds(const struct pin *pin, struct stat *ret_st);
/* Is what was learnt about a regular file's content still so? A write through a mapping changes ctime on the first store only (and on
 * tmpfs, never), so those who hand out content look. True for everything else. */
bool source_content_holds(const struct source *source, const struct pin *pin);
bool pin_same_file(const struct pin *a, const struct pin *b);
