/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's part of [kbs] token_command: the worker, which may start nothing, sends the write end of a pipe and names a broker; the monitor
 * has the configured command started, whose output goes into that pipe and so past the monitor. No shell: words between blanks, the first
 * an absolute path. It runs as token_user without capabilities, with an empty environment but PATH, for at most TOKEN_RUN_S seconds, and
 * one a broker at a time, so that a worker that is not trusted any more cannot make it many.
 *
 * The monitor's filter of system calls would hold for the command, too. So a process of its own, forked before that, starts it: there only
 * when a command is configured, with the capabilities to change the user and nothing to do but this. It ends with the monitor.
 */
#pragma once

#include "fs/sealedfs_conf.h"

#define TOKEN_RUN_S     30
#define TOKEN_WORDS_MAX 32

/* Broker 0 is [kbs], i + 1 conf.brokers.items[i]. */
struct token_runs {
    int fd; /* to the process that starts commands; -1: none is configured */
};

/* Forks, when a command is configured. `conf` is borrowed. */
bool token_runs_init(struct token_runs *runs, const struct sealedfs_conf *conf, struct err *err)
    MUST_CHECK;
/* Is there a user and a program for each? token_runs_init begins with it. */
bool token_runs_check(const struct sealedfs_conf *conf, struct err *err) MUST_CHECK;
void token_runs_done(struct token_runs *runs);
/* `fd` is the caller's. A command that is not there, runs already or fails is told in the log, and by the end of the pipe. */
bool token_runs_start(struct token_runs *runs, size_t broker, int fd, struct err *err) MUST_CHECK;
