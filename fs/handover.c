/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/handover.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "crypt/base/ipc.h"
#include "crypt/base/loop.h"

/* -- the old worker ------------------------------------------------------------------------------ */

/* Numbers of the plaintexts that went over already, by open addressing; never full by more than half. */
struct handover {
    int fd;
    struct secret **seen; /* borrowed */
    uint32_t *numbers;
    size_t slots, count;
    bool failed; /* nothing more is sent: the connection is out of step */
};

static size_t slot_of(const struct handover *handover, const struct secret *plaintext)
{
    size_t slot = ((uintptr_t)plaintext >> 4) * UINT64_C(0x9e3779b97f4a7c15) % handover->slots;
    while (handover->seen[slot] && handover->seen[slot] != plaintext)
        slot = (slot + 1) % handover->slots;
    return slot;
}

static bool grow(struct handover *handover, struct err *err)
{
    struct handover bigger = *handover;
    bigger.slots = handover->slots ? 2 * handover->slots : 1024;
    bigger.seen = calloc(bigger.slots, sizeof(struct secret *));
    bigger.numbers = calloc(bigger.slots, sizeof *bigger.numbers);
    if (!bigger.seen || !bigger.numbers) {
        free(bigger.seen);
        free(bigger.numbers);
        return err_nomem(err);
    }
    for (size_t i = 0; i < handover->slots; i++)
        if (handover->seen[i]) {
            size_t slot = slot_of(&bigger, handover->seen[i]);
            bigger.seen[slot] = handover->seen[i];
            bigger.numbers[slot] = handover->numbers[i];
        }
    free(handover->seen);
    free(handover->numbers);
    *handover = bigger;
    return true;
}

bool handover_new(int fd, struct handover **ret_handover, struct err *err)
{
    AUTO(handover_free) struct handover *handover = calloc(1, sizeof *handover);
    if (!handover)
        return err_nomem(err);
    handover->fd = fd;
    /* A successor that hangs must not hold us for ever: we may be the one who goes on. */
    const struct timeval patience = {.tv_sec = HANDOVER_MS / 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
        return err_set_errno(err, ERR_INTERNAL, "deadline of the socket to the successor");
    if (!grow(handover, err))
        return false;
    *ret_handover = take_ptr(handover);
    return true;
}

void handover_free(struct handover *handover)
{
    if (!handover)
        return;
    free(handover->seen);
    free(handover->numbers);
    free(handover);
}

static bool send_item(int fd, const struct handover_item *item, const int *file_fd, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    return handover_encode(item, &message, err) &&
           ipc_send(fd, buf_bytes(&message), file_fd, file_fd ? 1 : 0, err);
}

static bool give_plain(
    struct handover *handover, struct secret *plaintext, uint32_t *ret_number, struct err *err)
{
    if (2 * handover->count >= handover->slots && !grow(handover, err))
        return false;
    size_t slot = slot_of(handover, plaintext);
    if (!handover->seen[slot]) {
        struct handover_item item = {
            .kind = HANDOVER_PLAIN, .length = (uint32_t)secret_len(plaintext)};
        if (!send_item(handover->fd, &item, NULL, err) ||
            !ipc_send_secret(handover->fd, plaintext, err))
            return false;
        handover->seen[slot] = plaintext;
        handover->numbers[slot] = (uint32_t)handover->count++;
    }
    *ret_number = handover->numbers[slot];
    return true;
}

static void put_path(struct handover_item *item, const char *path)
{
    size_t len = strnlen(path, sizeof item->path - 1);
    memcpy(item->path, path, len);
    item->path[len] = '\0';
}

static bool give_kept(struct handover *handover, struct handover_item *item, struct bytes text,
    struct secret *plaintext, struct err *err)
{
    auto_secret *copy = NULL; /* of public text: the transport takes no other type */
    return secret_copy(text, &copy, err) && give_plain(handover, plaintext, &item->number, err) &&
           send_item(handover->fd, item, NULL, err) && ipc_send_secret(handover->fd, copy, err);
}

bool handover_give_kept(struct handover *handover, const char *path, bool is_name,
    struct bytes text, int64_t age_ms, struct secret *plaintext, struct err *err)
{
    struct handover_item item = {.kind = HANDOVER_KEPT,
        .is_name = is_name,
        .age_ms = age_ms > 0 ? age_ms : 0,
        .length = (uint32_t)text.len};
    put_path(&item, path);
    if (handover->failed)
        return err_set(err, ERR_UNREACH, "the handover has failed already");
    handover->failed = !give_kept(handover, &item, text, plaintext, err);
    return !handover->failed;
}

bool handover_give_open(struct handover *handover, const char *mountpoint, uint64_t fh, int file_fd,
    struct secret *plaintext, struct err *err)
{
    struct handover_item item = {.kind = HANDOVER_OPEN, .fh = fh, .has_number = plaintext != NULL};
    put_path(&item, mountpoint);
    if (handover->failed)
        return err_set(err, ERR_UNREACH, "the handover has failed already");
    handover->failed = (plaintext && !give_plain(handover, plaintext, &item.number, err)) ||
                       !send_item(handover->fd, &item, &file_fd, err);
    return !handover->failed;
}

bool handover_finish(struct handover *handover, struct err *err)
{
    struct handover_item item = {.kind = HANDOVER_END};
    struct err ignored = ERR_INIT;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    bool closed = false;
    if (!handover->failed)
        (void)!send_item(handover->fd, &item, NULL, &ignored);
    if (!ipc_receive_within(handover->fd, HANDOVER_MS, &message, &closed, err))
        return err_wrap(err, "successor");
    if (closed)
        return err_set(err, ERR_UNREACH, "the successor ended before it took over");
    if (!handover_decode(buf_bytes(&message), &item, err))
        return false;
    return item.kind == HANDOVER_TAKEN ||
           err_set(err, ERR_FORMAT, "the successor says another thing than TAKEN");
}

/* -- the successor -------------------------------------------------------------------------------- */

struct taking {
    int fd;
    int64_t deadline_ms;
    const struct handover_sink *sink;
    struct secret **plains; /* NULL: left out */
    size_t plain_count, plain_room;
    size_t memory; /* locked so far */
    struct handover_count count;
};

static void taking_done(struct taking *taking)
{
    for (size_t i = 0; i < taking->plain_count; i++)
        secret_unref(taking->plains[i]);
    free(taking->plains);
}

static int time_left(const struct taking *taking)
{
    int64_t left = taking->deadline_ms - loop_now_ms();
    return left > 0 ? (int)left : 0;
}

/* *ret_file_fd -1: none came. */
static bool next_item(
    const struct taking *taking, struct handover_item *ret_item, int *ret_file_fd, struct err *err)
{
    struct pollfd ready = {.fd = taking->fd, .events = POLLIN};
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    int fds[IPC_FDS_MAX];
    size_t fd_count = 0;
    bool closed = false;
    if (poll(&ready, 1, time_left(taking)) <= 0)
        return err_set(
            err, ERR_TIMEOUT, "the old worker does not hand over within %d ms", HANDOVER_MS);
    if (!ipc_receive(taking->fd, &message, fds, &fd_count, &closed, err))
        return false;
    for (size_t i = 1; i < fd_count; i++)
        close(fds[i]);
    auto_fd int file = fd_count > 0 ? fds[0] : -1;
    if (closed)
        return err_set(err, ERR_UNREACH, "the old worker ended before it had handed over");
    if (!handover_decode(buf_bytes(&message), ret_item, err))
        return false;
    if ((ret_item->kind == HANDOVER_OPEN) != (file >= 0) || fd_count > 1)
        return err_set(err, ERR_FORMAT, "handover with a descriptor missing or too many");
    *ret_file_fd = take_fd(file);
    return true;
}

static bool keep_plain(struct taking *taking, struct secret *plaintext, struct err *err)
{
    if (taking->plain_count == taking->plain_room) {
        size_t room = taking->plain_room ? 2 * taking->plain_room : 1024;
        struct secret **grown = reallocarray(taking->plains, room, sizeof(struct secret *));
        if (!grown)
            return err_nomem(err);
        taking->plains = grown;
        taking->plain_room = room;
    }
    taking->plains[taking->plain_count++] = plaintext;
    return true;
}

static bool take_plain(struct taking *taking, const struct handover_item *item, struct err *err)
{
    auto_secret *plaintext = NULL;
    if (!ipc_receive_secret(taking->fd, item->length, time_left(taking), &plaintext, err))
        return false;
    size_t cost = secret_cost(plaintext);
    if (taking->memory + cost > taking->sink->memory)
        secret_unref(take_ptr(plaintext));
    else
        taking->memory += cost;
    if (!keep_plain(taking, plaintext, err))
        return false;
    (void)take_ptr(plaintext);
    return true;
}

static bool find_plain(struct taking *taking, const struct handover_item *item,
    struct secret **ret_plaintext, struct err *err)
{
    *ret_plaintext = NULL;
    if (!item->has_number)
        return true;
    if (item->number >= taking->plain_count)
        return err_set(err, ERR_FORMAT, "handover names plaintext %u of %zu", item->number,
            taking->plain_count);
    *ret_plaintext = taking->plains[item->number];
    taking->count.left_out += *ret_plaintext == NULL;
    return true;
}

static bool take_kept(struct taking *taking, const struct handover_item *item, struct err *err)
{
    struct secret *plaintext;
    auto_secret *text = NULL;
    if (!find_plain(taking, item, &plaintext, err) ||
        !ipc_receive_secret(taking->fd, item->length, time_left(taking), &text, err))
        return false;
    if (plaintext) {
        taking->sink->kept(taking->sink->arg, item->path, item->is_name, secret_bytes(text),
            item->age_ms, plaintext);
        taking->count.kept++;
    }
    return true;
}

static bool take_open(
    struct taking *taking, const struct handover_item *item, int file_fd, struct err *err)
{
    auto_fd int file = file_fd;
    struct secret *plaintext;
    if (!find_plain(taking, item, &plaintext, err))
        return false;
    if (plaintext || !item->has_number) {
        taking->sink->open(taking->sink->arg, item->path, item->fh, take_fd(file), plaintext);
        taking->count.open++;
    }
    return true;
}

static bool take_item(
    struct taking *taking, const struct handover_item *item, int file_fd, struct err *err)
{
    switch (item->kind) {
    case HANDOVER_PLAIN:
        return take_plain(taking, item, err);
    case HANDOVER_KEPT:
        return take_kept(taking, item, err);
    case HANDOVER_OPEN:
        return take_open(taking, item, file_fd, err);
    case HANDOVER_END:
        return true;
    case HANDOVER_TAKEN:
        break;
    }
    return err_set(err, ERR_FORMAT, "the old worker says what only the successor may");
}

bool handover_take(
    int fd, const struct handover_sink *sink, struct handover_count *ret_count, struct err *err)
{
    AUTO_DONE(taking_done)
    struct taking taking = {.fd = fd, .deadline_ms = loop_now_ms() + HANDOVER_MS, .sink = sink};
    struct handover_item item = {0};
    bool done = true;
    for (unsigned i = 0; done && item.kind != HANDOVER_END; i++) {
        int file_fd = -1;
        if (i == HANDOVER_ITEMS_MAX)
            done =
                err_set(err, ERR_FORMAT, "handover of more than %u messages", HANDOVER_ITEMS_MAX);
        else
            done =
                next_item(&taking, &item, &file_fd, err) && take_item(&taking, &item, file_fd, err);
    }
    *ret_count = taking.count;
    return done;
}

bool handover_taken(int fd, struct err *err)
{
    struct handover_item item = {.kind = HANDOVER_TAKEN};
    if (!send_item(fd, &item, NULL, err))
        return false;
    /* Who is still sending learns that nobody reads. */
    (void)shutdown(fd, SHUT_RD);
    return true;
}
