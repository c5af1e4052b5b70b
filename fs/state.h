/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a monitor leaves to itself when it executes anew (a reload, an upgrade, the way back from one that failed): descriptors by number,
 * in a memfd sealed against every change. Written by root for root; read strictly all the same, since the reader may be of another version.
 *
 *     state     u8 version=1, u8 purpose, text program, fd conf, fd back_program, fd back_conf, u32 worker, fd requests, fd events,
 *               u8 discard, fd asker, text code (an err code's name or ""), text refusal, u8 count, count * listener, u8 count, count * mount,
 *               u16 count, count * source
 *     listener  text name, fd
 *     mount     text path, fd fuse, fd table, fd frame, u32 mount id + 1, u64 device
 *     source    text path, fd
 *     fd        u32: 0 none, else number + 1; no number twice
 *
 * (big-endian, crypt/base/pack.h). A version that cannot be read is refused by the trial (fs/renewal.c), before anything has happened.
 */
#pragma once

#include <sys/types.h>

#include "crypt/base/buf.h"

#define STATE_MOUNTS_MAX    64
#define STATE_LISTENERS_MAX 8
#define STATE_SOURCES_MAX   1024
#define STATE_SIZE_MAX      (1024u * 1024u)

enum state_purpose {
    STATE_TRIAL = 1, /* only look whether all this could be taken over */
    STATE_FORWARD, /* a new program or configuration: take over, put a new worker in the place of the old one */
    STATE_BACK, /* that failed for the reason in `refusal`: the old worker goes on */
    STATE_PURPOSE_MAX = STATE_BACK
};

struct state_listener {
    char *name; /* path or address that it is bound to */
    int fd;
};

struct state_mount {
    char *path;
    int fuse_fd, table_fd;
    int frame_fd; /* -1: it has none */
    int mount_id; /* -1: not known */
    dev_t device;
};

/* A directory that is shown: what lies at its path may be a mount of ours by now. */
struct state_source {
    char *path;
    int fd;
};

struct state {
    enum state_purpose purpose;
    char *program;                     /* absolute path by which the monitor was first started */
    int conf_fd;                       /* text of the configuration; -1: there is no file */
    int back_program_fd, back_conf_fd; /* to return to; -1: there is no way back */
    pid_t worker;                      /* 0: none, then no sockets either */
    int requests_fd, events_fd;
    bool discard; /* the new worker takes nothing over from the old one */
    int asker_fd; /* who waits for the outcome; -1: nobody */
    struct err refusal;
    struct state_listener *listeners;
    size_t listener_count;
    struct state_mount *mounts;
    size_t mount_count;
    struct state_source *sources;
    size_t source_count;
};

/* All descriptors -1, the rest empty. */
void state_init(struct state *state);
/* Frees the memory; closes nothing. */
void state_done(struct state *state);
bool state_encode(const struct state *state, struct buf *out, struct err *err) MUST_CHECK;
bool state_decode(struct bytes text, struct state *ret_state, struct err *err) MUST_CHECK;
/* In a memfd with all seals. */
bool state_save(const struct state *state, int *ret_fd, struct err *err) MUST_CHECK;
/* ERR_FORMAT when it is no such memfd, or names a descriptor that is not open. */
bool state_load(int fd, struct state *ret_state, struct err *err) MUST_CHECK;
/* Sets or clears close-on-exec on all of its descriptors. */
bool state_keep_open(const struct state *state, bool keep, struct err *err) MUST_CHECK;
