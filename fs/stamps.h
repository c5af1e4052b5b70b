/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stamp files (on_change = NAME): a systemd .path unit with PathModified=, or whoever watches them with inotify(7) for IN_MODIFY, learns that a
 * secret has changed. The worker starts nothing itself, and may open no file for writing, so the files are made and opened before it
 * confines itself. One line of fixed length,
 *
 *     00000000000000000042 2026-01-31T12:00:00Z
 *
 * a number that only grows, and when it was written; nothing of the secret. A file is there from the start; a change of its content is
 * the message. Several files of the mount may share a stamp.
 */
#pragma once

#include "fs/sealedfs_conf.h"

struct stamps;

/* As root, before threads: makes the directory (secrets.stamps) and the files that the configuration names; those of an earlier worker go on. */
bool stamps_open(const struct sealedfs_conf *conf, struct stamps **ret_stamps, struct err *err)
    MUST_CHECK;
void stamps_free(struct stamps *stamps);
DEFINE_AUTO(struct stamps, stamps_free);

/* Loop thread, as the next. The secret is another one. */
void stamps_changed(struct stamps *stamps, const char *name);
/* The secret was seen for the first time by this worker. If an earlier one has seen it, nobody knows whether it changed in between: it is taken
 * to have. */
void stamps_seen(struct stamps *stamps, const char *name);
