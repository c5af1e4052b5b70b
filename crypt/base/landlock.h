/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock (landlock(7)): the files that a process may still open, whatever its user may do, as a table at the top of each main.
 * Together with seccomp, not instead of it: Landlock looks at paths at the moment of opening and knows nothing of descriptors that
 * are open already, of stat(2), of names that are only looked up, nor of connect(2) to a socket in the file system.
 *
 * What a kernel knows is asked of the kernel (its "ABI"): 1 files (5.13), 2 renames across directories (5.19), 3 truncation (6.2),
 * 4 TCP ports (6.7), 5 ioctl on devices (6.10), 6 abstract sockets and signals (6.12). What it does not know is not forbidden.
 */
#pragma once

#include <stddef.h>

#include "crypt/base/err.h"

enum landlock_allow {
    LANDLOCK_READ = 1 << 0,   /* open files for reading, list directories */
    LANDLOCK_WRITE = 1 << 1,  /* open files that exist for writing, cut them */
    LANDLOCK_MAKE = 1 << 2,   /* make, rename and remove files and directories */
    LANDLOCK_DEVICE = 1 << 3, /* read, write and ioctl: a device node */
    LANDLOCK_RUN = 1 << 4     /* read and execute */
};

/* Of a file, or of a directory and all beneath it, also where something else is mounted there. A symbolic link stands for what it
 * leads to. A path that is NULL or does not exist when the table is taken stays forbidden. What replaces a file by a rename is
 * another file: for those that are replaced, name the directory. */
struct landlock_rule {
    const char *path;
    unsigned allow; /* of enum landlock_allow */
};

enum landlock_net { LANDLOCK_NET_ANY, LANDLOCK_NET_NO_BIND, LANDLOCK_NET_NONE };

/* Forbids everything else to the calling thread and to what it starts later, for good: call it before other threads are made.
 * LANDLOCK_NET_NO_BIND forbids to listen on TCP ports, _NONE to connect to them as well. Needs no_new_privs (sandbox_harden).
 * Without Landlock in the kernel, and in sanitizer builds, it does nothing and succeeds: ask landlock_abi(). */
bool landlock_enter(const struct landlock_rule *rules, size_t count, enum landlock_net net,
    struct err *err) MUST_CHECK;
/* 0: this kernel has none (or it is switched off, or a container's filter hides it; or a sanitizer build, see sandbox_relaxed). */
int landlock_abi(void);
/* The ABI under which this process has entered; 0: it is not held by Landlock. Asks nobody, so it may be called under seccomp. */
int landlock_held(void);
/* Both of the above for a program: with no Landlock, one line of warning that names the remedy. */
bool landlock_enter_or_warn(const struct landlock_rule *rules, size_t count, enum landlock_net net,
    struct err *err) MUST_CHECK;

/* What dynamic linking reads, for the tables of programs that load a library or start a program late. */
#define LANDLOCK_LIBRARIES                                                           \
    {"/lib", LANDLOCK_READ}, {"/lib64", LANDLOCK_READ}, {"/usr/lib", LANDLOCK_READ}, \
        {"/usr/lib64", LANDLOCK_READ}, {"/usr/local/lib", LANDLOCK_READ},            \
    {                                                                                \
        "/etc/ld.so.cache", LANDLOCK_READ                                            \
    }
