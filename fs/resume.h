/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of a configuration in a program that was executed anew (fs/state.h). While our worker is frozen nothing may ask our own
 * mounts: who looks there waits for ever. So a path is opened without looking at what lies there, nothing below one of our mounts is
 * walked (the trial, which may look, refuses it), and a source that one of them covers by now is the descriptor that was kept.
 */
#pragma once

#include "fs/state.h"

/* O_PATH descriptor and path without links. */
bool resume_open(const struct state *state, const char *path, char **ret_path, int *ret_fd,
    struct err *err) MUST_CHECK;
/* The same for a directory that is shown: never one of our own mounts. `directory` as it is configured. */
bool resume_open_source(
    const struct state *state, const char *directory, int *ret_fd, struct err *err) MUST_CHECK;
