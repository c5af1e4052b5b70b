/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "crypt/base/pack.h"
#include "fs/memfd.h"

#define VERSION 1
/* The lowest that anything of ours can have, and more than a process may open. */
#define FD_LEAST 3
#define FD_MOST  (1 << 20)
/* Of one state. */
#define FDS_MAX (7 + STATE_LISTENERS_MAX + 3 * STATE_MOUNTS_MAX + STATE_SOURCES_MAX)

void state_init(struct state *state)
{
    *state = (struct state){.conf_fd = -1,
        .back_program_fd = -1,
        .back_conf_fd = -1,
        .requests_fd = -1,
        .events_fd = -1,
        .asker_fd = -1,
        .refusal = ERR_INIT};
}

void state_done(struct state *state)
{
    free(state->program);
    for (size_t i = 0; i < state->listener_count; i++)
        free(state->listeners[i].name);
    for (size_t i = 0; i < state->mount_count; i++)
        free(state->mounts[i].path);
    for (size_t i = 0; i < state->source_count; i++)
        free(state->sources[i].path);
    free(state->sources);
    free(state->listeners);
    free(state->mounts);
    state_init(state);
}

/* -- writing ----------------------------------------------------------------------------------- */

static void put_fd(struct pack_writer *out, int fd)
{
    pack_put_u32(out, fd >= 0 ? (uint32_t)fd + 1 : 0);
}

/* A path is bytes, not UTF-8. */
static void put_path(struct pack_writer *out, const char *path)
{
    pack_put_block(out, bytes_str(path));
}

static void put_mount(struct pack_writer *out, const struct state_mount *mount)
{
    put_path(out, mount->path);
    put_fd(out, mount->fuse_fd);
    put_fd(out, mount->table_fd);
    put_fd(out, mount->frame_fd);
    pack_put_u32(out, mount->mount_id >= 0 ? (uint32_t)mount->mount_id + 1 : 0);
    pack_put_u64(out, mount->device);
}

bool state_encode(const struct state *state, struct buf *out, struct err *err)
{
    struct pack_writer writer = pack_writer(out);
    if (state->listener_count > STATE_LISTENERS_MAX || state->mount_count > STATE_MOUNTS_MAX ||
        state->source_count > STATE_SOURCES_MAX)
        return err_set(err, ERR_CONFIG,
            "%zu mounts, %zu sockets and %zu sources; at most %d, %d and %d", state->mount_count,
            state->listener_count, state->source_count, STATE_MOUNTS_MAX, STATE_LISTENERS_MAX,
            STATE_SOURCES_MAX);
    pack_put_u8(&writer, VERSION);
    pack_put_u8(&writer, (uint8_t)state->purpose);
    put_path(&writer, state->program);
    put_fd(&writer, state->conf_fd);
    put_fd(&writer, state->back_program_fd);
    put_fd(&writer, state->back_conf_fd);
    pack_put_u32(&writer, (uint32_t)state->worker);
    put_fd(&writer, state->requests_fd);
    put_fd(&writer, state->events_fd);
    pack_put_u8(&writer, state->discard);
    put_fd(&writer, state->asker_fd);
    pack_put_text(&writer, state->refusal.code ? err_info(state->refusal.code)->name : "");
    pack_put_text(&writer, state->refusal.message);
    pack_put_u8(&writer, (uint8_t)state->listener_count);
    for (size_t i = 0; i < state->listener_count; i++) {
        put_path(&writer, state->listeners[i].name);
        put_fd(&writer, state->listeners[i].fd);
    }
    pack_put_u8(&writer, (uint8_t)state->mount_count);
    for (size_t i = 0; i < state->mount_count; i++)
        put_mount(&writer, &state->mounts[i]);
    pack_put_u16(&writer, (uint16_t)state->source_count);
    for (size_t i = 0; i < state->source_count; i++) {
        put_path(&writer, state->sources[i].path);
        put_fd(&writer, state->sources[i].fd);
    }
    return pack_written(&writer, "state of the monitor", err);
}

/* -- reading ----------------------------------------------------------------------------------- */

static int get_fd(struct pack_reader *in)
{
    uint32_t number = pack_get_u32(in);
    if (number == 0)
        return -1;
    if (number <= FD_LEAST || number > FD_MOST) {
        in->failed = true;
        return -1;
    }
    return (int)(number - 1);
}

static int get_fd_needed(struct pack_reader *in)
{
    int fd = get_fd(in);
    if (fd < 0)
        in->failed = true;
    return fd;
}

/* malloc'd, with at least one byte and no NUL. */
static char *get_path(struct pack_reader *in)
{
    struct bytes path = pack_get_block(in, PATH_MAX - 1);
    char *copy = NULL;
    if (path.len > 0 && !memchr(path.data, '\0', path.len))
        copy = strndup((const char *)path.data, path.len);
    if (!copy)
        in->failed = true;
    return copy;
}

static void get_refusal(struct pack_reader *in, struct err *ret_refusal)
{
    char name[64];
    pack_get_text(in, name, sizeof name);
    pack_get_text(in, ret_refusal->message, sizeof ret_refusal->message);
    if (in->failed || !name[0])
        return;
    ret_refusal->code = err_code_from_name(name);
    in->failed = strcmp(err_info(ret_refusal->code)->name, name) != 0;
}

static void get_listeners(struct pack_reader *in, struct state *state)
{
    unsigned count = pack_get_u8(in);
    if (count > STATE_LISTENERS_MAX ||
        !(state->listeners = calloc(count + 1, sizeof *state->listeners)))
        in->failed = true;
    for (unsigned i = 0; i < count && !in->failed; i++) {
        struct state_listener *listener = &state->listeners[state->listener_count++];
        listener->name = get_path(in);
        listener->fd = get_fd_needed(in);
    }
}

static void get_mounts(struct pack_reader *in, struct state *state)
{
    unsigned count = pack_get_u8(in);
    if (count > STATE_MOUNTS_MAX || !(state->mounts = calloc(count + 1, sizeof *state->mounts)))
        in->failed = true;
    for (unsigned i = 0; i < count && !in->failed; i++) {
        struct state_mount *mount = &state->mounts[state->mount_count++];
        mount->path = get_path(in);
        mount->fuse_fd = get_fd_needed(in);
        mount->table_fd = get_fd_needed(in);
        mount->frame_fd = get_fd(in);
        uint32_t id = pack_get_u32(in);
        mount->mount_id = id <= INT_MAX ? (int)id - 1 : -1;
        mount->device = pack_get_u64(in);
        if (id > INT_MAX || (mount->path && mount->path[0] != '/'))
            in->failed = true;
    }
}

static void get_sources(struct pack_reader *in, struct state *state)
{
    unsigned count = pack_get_u16(in);
    if (count > STATE_SOURCES_MAX || !(state->sources = calloc(count + 1, sizeof *state->sources)))
        in->failed = true;
    for (unsigned i = 0; i < count && !in->failed; i++) {
        struct state_source *source = &state->sources[state->source_count++];
        source->path = get_path(in);
        source->fd = get_fd_needed(in);
    }
}

static void get_worker(struct pack_reader *in, struct state *state)
{
    uint32_t worker = pack_get_u32(in);
    state->requests_fd = get_fd(in);
    state->events_fd = get_fd(in);
    state->worker = (pid_t)worker;
    if (worker > INT_MAX || worker == 1 || (worker == 0) != (state->requests_fd < 0) ||
        (worker == 0) != (state->events_fd < 0))
        in->failed = true;
}

static size_t all_fds(const struct state *state, int *fds)
{
    const int single[] = {state->conf_fd, state->back_program_fd, state->back_conf_fd,
        state->requests_fd, state->events_fd, state->asker_fd};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(single); i++)
        fds[count++] = single[i];
    for (size_t i = 0; i < state->listener_count; i++)
        fds[count++] = state->listeners[i].fd;
    for (size_t i = 0; i < state->mount_count; i++) {
        fds[count++] = state->mounts[i].fuse_fd;
        fds[count++] = state->mounts[i].table_fd;
        fds[count++] = state->mounts[i].frame_fd;
    }
    for (size_t i = 0; i < state->source_count; i++)
        fds[count++] = state->sources[i].fd;
    return count;
}

static bool are_distinct(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (fds[i] >= 0 && fds[i] == fds[j])
                return false;
    return true;
}

static bool decode(struct bytes text, struct state *state, struct err *err)
{
    struct pack_reader in = pack_reader(text);
    int fds[FDS_MAX];
    uint8_t version = pack_get_u8(&in);
    if (!in.failed && version != VERSION)
        return err_set(err, ERR_FORMAT,
            "the running monitor's state is of version %u; this sealedfs knows %d: stop it and "
            "start this one",
            version, VERSION);
    uint8_t purpose = pack_get_u8(&in);
    state->purpose = (enum state_purpose)purpose;
    state->program = get_path(&in);
    state->conf_fd = get_fd(&in);
    state->back_program_fd = get_fd(&in);
    state->back_conf_fd = get_fd(&in);
    get_worker(&in, state);
    uint8_t discard = pack_get_u8(&in);
    state->discard = discard == 1;
    state->asker_fd = get_fd(&in);
    get_refusal(&in, &state->refusal);
    get_listeners(&in, state);
    get_mounts(&in, state);
    get_sources(&in, state);
    if (!pack_finish(&in, "state of the monitor", err))
        return false;
    if (discard > 1 || purpose < STATE_TRIAL || purpose > STATE_PURPOSE_MAX ||
        state->program[0] != '/' || !are_distinct(fds, all_fds(state, fds)))
        return err_set(err, ERR_FORMAT, "state of the monitor with a field out of range");
    return true;
}

bool state_decode(struct bytes text, struct state *ret_state, struct err *err)
{
    struct state state;
    state_init(&state);
    if (!decode(text, &state, err)) {
        state_done(&state);
        return false;
    }
    *ret_state = state;
    return true;
}

/* -- through exec ------------------------------------------------------------------------------ */

bool state_save(const struct state *state, int *ret_fd, struct err *err)
{
    auto_buf text = BUF_INIT(STATE_SIZE_MAX);
    return state_encode(state, &text, err) &&
           memfd_sealed("sealedfs-state", buf_bytes(&text), ret_fd, err);
}

bool state_load(int fd, struct state *ret_state, struct err *err)
{
    struct state state;
    auto_buf text = BUF_INIT(STATE_SIZE_MAX);
    int fds[FDS_MAX];
    if (!memfd_read(fd, &text, err))
        return err_wrap(err, "state of the monitor");
    if (!state_decode(buf_bytes(&text), &state, err))
        return false;
    size_t count = all_fds(&state, fds);
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0 && (fds[i] == fd || fcntl(fds[i], F_GETFD) < 0)) {
            state_done(&state);
            return err_set(err, ERR_FORMAT,
                "the state of the monitor names descriptor %d, which is not there", fds[i]);
        }
    *ret_state = state;
    return true;
}

bool state_keep_open(const struct state *state, bool keep, struct err *err)
{
    int fds[FDS_MAX];
    size_t count = all_fds(state, fds);
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0 && fcntl(fds[i], F_SETFD, keep ? 0 : FD_CLOEXEC) < 0)
            return err_set_errno(err, ERR_INTERNAL, "descriptor %d", fds[i]);
    return true;
}
