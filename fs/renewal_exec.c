/* SPDX-License-Identifier: Apache-2.0 */
/* Between two programs of a renewal (fs/renewal.c): what this one leaves to the next, and the way there. */
#include <fcntl.h>
#include <stdio.h>

#include "crypt/base/log.h"
#include "fs/binary.h"
#include "fs/namespace.h"
#include "fs/supervisor_private.h"

#define WORDS_MAX 66
/* For the audit to write what it was sent; the calls of the mounts wait meanwhile. */
#define REST_MS 2000

static void describe_mounts(
    const struct mounted *mounts, size_t count, struct state_room *room, struct state *state)
{
    for (size_t i = 0; i < count && state->mount_count < STATE_MOUNTS_MAX; i++) {
        const struct mounted *mounted = &mounts[i];
        if (!mounted_is_on(mounted))
            continue;
        room->mounts[state->mount_count++] = (struct state_mount){mounted->mountpoint,
            mounted->fuse_fd, mounted->table_fd,
            mounted->space ? namespace_frame_fd(mounted->space) : -1, mounted->id, mounted->own};
        if (mounted->space)
            state->source_count += namespace_sources(mounted->space,
                room->sources + state->source_count, STATE_SOURCES_MAX - state->source_count);
    }
    state->mounts = room->mounts;
    state->sources = room->sources;
}

void renewal_describe(const struct supervisor *self, enum state_purpose purpose,
    struct state_room *room, struct state *state)
{
    const struct supervisor_conf *conf = self->conf;
    state_init(state);
    state->purpose = purpose;
    state->program = conf->program;
    state->asker_fd = self->renewal.asker_fd;
    describe_mounts(conf->mounts, conf->mount_count, room, state);
    describe_mounts(conf->leaving, conf->leaving_count, room, state);
    for (size_t i = 0; i < LISTENER_COUNT; i++)
        if (conf->listeners[i].fd >= 0)
            room->listeners[state->listener_count++] = conf->listeners[i];
    for (size_t i = 0; i < conf->leaving_listener_count; i++)
        if (conf->leaving_listeners[i].fd >= 0 && state->listener_count < STATE_LISTENERS_MAX)
            room->listeners[state->listener_count++] = conf->leaving_listeners[i];
    state->listeners = room->listeners;
}

void renewal_add_worker(const struct child *worker, struct state *state)
{
    state->worker = worker->pid;
    state->requests_fd = worker->requests;
    state->events_fd = worker->events;
}

void renewal_rest(const struct supervisor *self)
{
    unsigned left = self->conf->witness ? witness_rest(self->conf->witness, REST_MS) : 0;
    if (left > 0)
        log_warning("audit: a slow sink does not take within %d ms what was recorded; what is "
                    "left of it is lost",
            REST_MS);
}

bool renewal_execute(char *const *words, int program_fd, const struct state *state, struct err *err)
{
    char word[32];
    char *argv[WORDS_MAX] = {words[0], word};
    size_t count = 2;
    auto_fd int fd = -1;
    for (char *const *next = words + 1; *next && count < WORDS_MAX - 1; next++)
        argv[count++] = *next;
    if (!state_save(state, &fd, err))
        return false;
    snprintf(word, sizeof word, "--resume=%d", fd);
    if (fcntl(fd, F_SETFD, 0) < 0)
        return err_set_errno(err, ERR_INTERNAL, "descriptor of the state");
    if (!state_keep_open(state, true, err))
        return false;
    (void)!binary_exec(program_fd, argv, err);
    struct err ignored = ERR_INIT;
    (void)!state_keep_open(state, false, &ignored);
    return false;
}
