/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's witness: says who a caller is (fs/caller.h) and what a mode allows him (fs/permission.h), and writes the audit. It has threads of its own, one for each socket (a
 * lane) that the worker asked for, so neither a source on a hanging file system nor a slow disk below the audit holds up a look.
 *
 * Threads do not survive execve(2), nor do lanes: after the monitor executed itself the worker finds its lanes closed and asks
 * for new ones. What it asks is not trusted: a message that is not one ends its lane.
 */
#pragma once

#include "fs/sealedfs_conf.h"

#define WITNESS_LANES_MAX 8
/* How long a record that must be written waits for a full journal. */
#define WITNESS_JOURNAL_MS 500

struct witness;

struct witness_conf {
    const char *file; /* NULL: none */
    int64_t rotate_size, rotate_keep;
    const char *journal; /* path of its socket; NULL: none */
    bool required;       /* a sink that is not there is an error */
};

/* Is there anywhere to record to? What is only wished for (best-effort) and has nowhere to go is off. */
enum conf_audit witness_policy(const struct sealedfs_conf *conf);
/* Its sinks as the configuration wants them. */
struct witness_conf witness_conf_of(const struct sealedfs_conf *conf);
/* Is there anything to do for a witness at every open: a record to write, or a rule to look at callers for? Without it there is one all the same, for the
 * rare question of a mode. */
bool witness_needed(const struct sealedfs_conf *conf);
/* Could they be opened? Nothing is made. */
bool witness_check(const struct witness_conf *conf, struct err *err) MUST_CHECK;
/* Opens the sinks. */
bool witness_new(const struct witness_conf *conf, struct witness **ret_witness, struct err *err)
    MUST_CHECK;
/* No lane takes anything any more (who sends on one learns it, and asks for another); what was sent before is done, within `wait_ms`. Returns how
 * many lanes are still at it then. Before the process executes another program or ends: its threads do not survive that. */
unsigned witness_rest(struct witness *witness, int wait_ms);
/* One more lane: *ret_fd is the worker's end, blocking. ERR_BUSY when there are too many. Call with all signals of the process
 * blocked that its loop wants: the new thread inherits that. */
bool witness_lane(struct witness *witness, int *ret_fd, struct err *err) MUST_CHECK;
