/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/handover.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "crypt/base/ipc.h"
#include "crypt/base/loop.h"

/* -- the old worker ------------------------------------------------------------------------------ */

/* Numbers of the leases that went over already, by open addressing; never full by more than half. */
struct handover {
    int fd;
    struct lease **seen; /* borrowed */
    uint32_t *numbers;
    size_t slots, count;
    bool failed; /* nothing more is sent: the connection is out of step */
};

static size_t slot_of(const struct handover *handover, const struct lease *lease)
{
    size_t slot = ((uintptr_t)lease >> 4) * UINT64_C(0x9e3779b97f4a7c15) % handover->slots;
    while (handover->seen[slot] && handover->seen[slot] != lease)
        slot = (slot + 1) % handover->slots;
    return slot;
}

static bool grow(struct handover *handover, struct err *err)
{
    struct handover bigger = *handover;
    bigger.slots = handover->slots ? 2 * handover->slots : 1024;
    bigger.seen = calloc(bigger.slots, sizeof(struct lease *));
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

static void put_text(char *out, size_t size, const char *text)
{
    size_t len = strnlen(text, size - 1);
    memcpy(out, text, len);
    out[len] = '\0';
}

static bool send_lease(
    struct handover *handover, struct lease *lease, struct secret *plaintext, struct err *err)
{
    int64_t age = loop_now_ms() - lease->taken_ms;
    struct handover_item item = {.kind = HANDOVER_LEASE,
        .age_ms = age > 0 ? age : 0,
        .length = (uint32_t)secret_len(plaintext)};
    put_text(item.path, sizeof item.path, lease_path(lease));
    put_text(item.resource, sizeof item.resource, lease->resource);
    return send_item(handover->fd, &item, NULL, err) &&
           ipc_send_secret(handover->fd, plaintext, err);
}

/* *ret_given = false: it is revoked. */
static bool give_lease(struct handover *handover, struct lease *lease, uint32_t *ret_number,
    bool *ret_given, struct err *err)
{
    if (2 * handover->count >= handover->slots && !grow(handover, err))
        return false;
    size_t slot = slot_of(handover, lease);
    if (!handover->seen[slot]) {
        auto_secret *plaintext = lease_secret(lease);
        *ret_given = plaintext != NULL;
        if (!plaintext)
            return true;
        if (!send_lease(handover, lease, plaintext, err))
            return false;
        handover->seen[slot] = lease;
        handover->numbers[slot] = (uint32_t)handover->count++;
    }
    *ret_given = true;
    *ret_number = handover->numbers[slot];
    return true;
}

static bool give_kept(struct handover *handover, struct handover_item *item, struct bytes text,
    struct lease *lease, struct err *err)
{
    auto_secret *copy = NULL; /* of public text: the transport takes no other type */
    bool given;
    if (!give_lease(handover, lease, &item->number, &given, err))
        return false;
    return !given || (secret_copy(text, &copy, err) && send_item(handover->fd, item, NULL, err) &&
                         ipc_send_secret(handover->fd, copy, err));
}

bool handover_give_key(struct handover *handover, struct secret *key, struct err *err)
{
    const struct handover_item item = {.kind = HANDOVER_KEY, .length = (uint32_t)secret_len(key)};
    if (handover->failed)
        return err_set(err, ERR_UNREACH, "the handover has failed already");
    handover->failed =
        !send_item(handover->fd, &item, NULL, err) || !ipc_send_secret(handover->fd, key, err);
    return !handover->failed;
}

bool handover_give_past(struct handover *handover, const struct cache_past *past, struct err *err)
{
    struct handover_item item = {.kind = HANDOVER_PAST,
        .past = {.text_hash = past->text_hash,
            .withdrawn = past->withdrawn,
            .has_limit = past->has_limit,
            .left_ms = past->left_ms}};
    put_text(item.path, sizeof item.path, past->path);
    put_text(item.past.version, sizeof item.past.version, past->version);
    if (handover->failed)
        return err_set(err, ERR_UNREACH, "the handover has failed already");
    handover->failed = !send_item(handover->fd, &item, NULL, err);
    return !handover->failed;
}

bool handover_give_kept(struct handover *handover, struct lease *lease, bool is_name,
    struct bytes text, int64_t fresh_ms, int64_t limit_ms, struct err *err)
{
    struct handover_item item = {.kind = HANDOVER_KEPT,
        .is_name = is_name,
        .fresh_ms = fresh_ms > 0 ? fresh_ms : 0,
        .limit_ms = limit_ms > 0 ? limit_ms : 0,
        .length = (uint32_t)text.len};
    if (handover->failed)
        return err_set(err, ERR_UNREACH, "the handover has failed already");
    handover->failed = !give_kept(handover, &item, text, lease, err);
    return !handover->failed;
}

bool handover_give_open(struct handover *handover, const char *mountpoint, uint64_t fh, int file_fd,
    struct lease *lease, struct err *err)
{
    struct handover_item item = {.kind = HANDOVER_OPEN, .fh = fh, .has_number = lease != NULL};
    bool given = true;
    put_text(item.path, sizeof item.path, mountpoint);
    if (handover->failed)
        return err_set(err, ERR_UNREACH, "the handover has failed already");
    handover->failed = (lease && !give_lease(handover, lease, &item.number, &given, err)) ||
                       (given && !send_item(handover->fd, &item, &file_fd, err));
    return !handover->failed;
}

bool handover_give_credential(struct handover *handover, int fd, struct err *err)
{
    const struct handover_item item = {.kind = HANDOVER_CREDENTIAL};
    if (handover->failed)
        return err_set(err, ERR_UNREACH, "the handover has failed already");
    handover->failed = !send_item(handover->fd, &item, &fd, err);
    return !handover->failed;
}

bool handover_give_well(struct handover *handover, struct err *err)
{
    const struct handover_item item = {.kind = HANDOVER_WELL};
    if (handover->failed)
        return err_set(err, ERR_UNREACH, "the handover has failed already");
    handover->failed = !send_item(handover->fd, &item, NULL, err);
    return !handover->failed;
}

static bool receive_item(int fd, struct handover_item *ret_item, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    bool closed = false;
    if (!ipc_receive_within(fd, HANDOVER_MS, &message, &closed, err))
        return err_wrap(err, "successor");
    if (closed)
        return err_set(err, ERR_UNREACH, "the successor ended before it took over");
    return handover_decode(buf_bytes(&message), ret_item, err);
}

bool handover_finish(struct handover *handover, size_t *ret_held, struct err *err)
{
    struct handover_item item = {.kind = HANDOVER_END};
    struct err ignored = ERR_INIT;
    size_t held = 0;
    if (!handover->failed)
        (void)!send_item(handover->fd, &item, NULL, &ignored);
    if (!receive_item(handover->fd, &item, err))
        return false;
    if (item.kind == HANDOVER_HELD) {
        held = item.number;
        if (!receive_item(handover->fd, &item, err))
            return false;
    }
    *ret_held = held;
    return item.kind == HANDOVER_TAKEN ||
           err_set(err, ERR_FORMAT, "the successor says another thing than TAKEN");
}

/* -- the successor -------------------------------------------------------------------------------- */

struct taking {
    int fd;
    int64_t deadline_ms;
    const struct handover_sink *sink;
    struct lease **leases; /* NULL: left out */
    size_t lease_count, lease_room;
    size_t memory; /* locked so far */
    bool credentials_over;
    struct handover_count count;
};

static void taking_done(struct taking *taking)
{
    for (size_t i = 0; i < taking->lease_count; i++)
        lease_unref(taking->leases[i]);
    free(taking->leases);
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
    bool has_file = ret_item->kind == HANDOVER_OPEN || ret_item->kind == HANDOVER_CREDENTIAL;
    if (has_file != (file >= 0) || fd_count > 1)
        return err_set(err, ERR_FORMAT, "handover with a descriptor missing or too many");
    *ret_file_fd = take_fd(file);
    return true;
}

static bool keep_lease(struct taking *taking, struct lease *lease, struct err *err)
{
    if (taking->lease_count == taking->lease_room) {
        size_t room = taking->lease_room ? 2 * taking->lease_room : 1024;
        struct lease **grown = reallocarray(taking->leases, room, sizeof(struct lease *));
        if (!grown)
            return err_nomem(err);
        taking->leases = grown;
        taking->lease_room = room;
    }
    taking->leases[taking->lease_count++] = lease;
    return true;
}

static bool take_lease(struct taking *taking, const struct handover_item *item, struct err *err)
{
    const struct handover_sink *sink = taking->sink;
    auto_secret *plaintext = NULL;
    auto_lease *lease = NULL;
    if (!ipc_receive_secret(taking->fd, item->length, time_left(taking), &plaintext, err))
        return false;
    size_t cost = secret_cost(plaintext);
    if (taking->memory + cost <= sink->memory)
        lease = sink->lease(sink->arg, item->path, item->resource, item->age_ms, plaintext);
    if (!keep_lease(taking, lease, err))
        return false;
    taking->memory += lease ? cost : 0;
    (void)take_ptr(lease);
    return true;
}

/* *ret_lease NULL: it was left out, or none is named. */
static bool find_lease(struct taking *taking, const struct handover_item *item,
    struct lease **ret_lease, struct err *err)
{
    *ret_lease = NULL;
    if (!item->has_number)
        return true;
    if (item->number >= taking->lease_count)
        return err_set(
            err, ERR_FORMAT, "handover names lease %u of %zu", item->number, taking->lease_count);
    *ret_lease = taking->leases[item->number];
    taking->count.left_out += *ret_lease == NULL;
    return true;
}

static bool take_kept(struct taking *taking, const struct handover_item *item, struct err *err)
{
    struct lease *lease;
    auto_secret *text = NULL;
    if (!find_lease(taking, item, &lease, err) ||
        !ipc_receive_secret(taking->fd, item->length, time_left(taking), &text, err))
        return false;
    if (lease) {
        taking->sink->kept(taking->sink->arg, lease, item->is_name, secret_bytes(text),
            item->fresh_ms, item->limit_ms);
        taking->count.kept++;
    }
    return true;
}

static bool take_open(
    struct taking *taking, const struct handover_item *item, int file_fd, struct err *err)
{
    auto_fd int file = file_fd;
    struct lease *lease;
    if (!find_lease(taking, item, &lease, err))
        return false;
    if (lease || !item->has_number) {
        taking->sink->open(taking->sink->arg, item->path, item->fh, take_fd(file), lease);
        taking->count.open++;
    }
    return true;
}

static bool take_key(struct taking *taking, const struct handover_item *item, struct err *err)
{
    auto_secret *key = NULL;
    if (!ipc_receive_secret(taking->fd, item->length, time_left(taking), &key, err))
        return false;
    taking->sink->key(taking->sink->arg, key);
    return true;
}

/* One that is not held ends the row: those after it are the old worker's as well. */
static void take_credential(struct taking *taking, int fd)
{
    auto_fd int owned = fd;
    if (!taking->credentials_over && taking->sink->credential(taking->sink->arg, owned))
        taking->count.held++;
    else
        taking->credentials_over = true;
}

static void take_past(struct taking *taking, const struct handover_item *item)
{
    const struct cache_past past = {.path = item->path,
        .version = item->past.version,
        .text_hash = item->past.text_hash,
        .withdrawn = item->past.withdrawn,
        .has_limit = item->past.has_limit,
        .left_ms = item->past.left_ms};
    taking->sink->past(taking->sink->arg, &past);
}

static bool take_item(
    struct taking *taking, const struct handover_item *item, int file_fd, struct err *err)
{
    switch (item->kind) {
    case HANDOVER_LEASE:
        return take_lease(taking, item, err);
    case HANDOVER_KEPT:
        return take_kept(taking, item, err);
    case HANDOVER_OPEN:
        return take_open(taking, item, file_fd, err);
    case HANDOVER_KEY:
        return take_key(taking, item, err);
    case HANDOVER_PAST:
        take_past(taking, item);
        return true;
    case HANDOVER_CREDENTIAL:
        take_credential(taking, file_fd);
        return true;
    case HANDOVER_WELL:
        taking->sink->well(taking->sink->arg);
        return true;
    case HANDOVER_END:
        return true;
    case HANDOVER_HELD:
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

/* Its keeper lets go of what ours holds now before it ends; until then the monitor must not take it for done with, and kill it. */
static void await_end(int fd)
{
    int64_t end = loop_now_ms() + HANDOVER_END_MS;
    bool closed = false;
    for (int64_t left; !closed && (left = end - loop_now_ms()) > 0;) {
        auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
        struct err err = ERR_INIT;
        if (!ipc_receive_within(fd, (int)left, &message, &closed, &err))
            return;
    }
}

bool handover_taken(int fd, const struct handover_count *count, struct err *err)
{
    struct handover_item item = {.kind = HANDOVER_TAKEN};
    const struct handover_item held = {.kind = HANDOVER_HELD, .number = (uint32_t)count->held};
    if (count->held > 0 && !send_item(fd, &held, NULL, err))
        return false;
    if (!send_item(fd, &item, NULL, err))
        return false;
    if (count->held > 0)
        await_end(fd);
    /* Who is still sending learns that nobody reads. */
    (void)shutdown(fd, SHUT_RD);
    return true;
}
