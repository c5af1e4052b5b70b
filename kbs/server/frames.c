/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/frames.h"

#include <errno.h>
#include <sys/socket.h>

#include "crypt/base/buf.h"

#define HEAD_SIZE 4
#define READ_SIZE (64u * 1024)
#define KEEP_MAX  (256u * 1024) /* an emptied buffer that is larger is given back */

struct frames {
    struct frames_conf conf;
    int fd;
    struct loop_watch *watch;
    struct buf in, out;
    size_t taken, sent; /* of in and out */
};

static void empty(struct buf *buf, size_t *used)
{
    buf_truncate(buf, 0);
    *used = 0;
    if (buf->size > KEEP_MAX)
        buf_done(buf);
}

/* Moves what is left to the front, so that the buffer is bounded by what waits. */
static void compact(struct buf *buf, size_t *used)
{
    if (*used == 0)
        return;
    memmove(buf->data, buf->data + *used, buf->len - *used);
    buf_truncate(buf, buf->len - *used);
    *used = 0;
}

static bool flush(struct frames *frames, struct err *err)
{
    while (frames->sent < frames->out.len) {
        ssize_t n = send(frames->fd, frames->out.data + frames->sent,
            frames->out.len - frames->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return loop_watch_change(frames->watch, EPOLLIN | EPOLLOUT, err);
        if (n < 0)
            break; /* reading tells that the peer has gone */
        frames->sent += (size_t)n;
    }
    empty(&frames->out, &frames->sent);
    return loop_watch_change(frames->watch, EPOLLIN, err);
}

static bool take_frames(struct frames *frames, struct err *err)
{
    for (;;) {
        struct bytes rest = bytes_slice(buf_bytes(&frames->in), frames->taken, SIZE_MAX);
        if (rest.len < HEAD_SIZE)
            return true;
        size_t len = (size_t)rest.data[0] << 24 | (size_t)rest.data[1] << 16 |
                     (size_t)rest.data[2] << 8 | rest.data[3];
        if (len > frames->conf.in_max)
            return err_set(err, ERR_FORMAT, "a message of %zu bytes; at most %zu are taken", len,
                frames->conf.in_max);
        if (rest.len - HEAD_SIZE < len)
            return true;
        frames->taken += HEAD_SIZE + len;
        if (!frames->conf.on_frame(frames->conf.arg, bytes_slice(rest, HEAD_SIZE, len), err))
            return false;
    }
}

static bool receive(struct frames *frames, struct err *err)
{
    uint8_t *room;
    compact(&frames->in, &frames->taken);
    if (!buf_reserve(&frames->in, READ_SIZE, &room, err))
        return false;
    ssize_t n = recv(frames->fd, room, READ_SIZE, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n < 0)
        return err_set_errno(err, ERR_UNREACH, "the other process has ended");
    if (n == 0)
        return err_set(err, ERR_UNREACH, "the other process has ended");
    buf_commit(&frames->in, (size_t)n);
    if (!take_frames(frames, err))
        return false;
    if (frames->taken == frames->in.len)
        empty(&frames->in, &frames->taken);
    return true;
}

static void on_ready(void *arg, uint32_t events)
{
    struct frames *frames = arg;
    struct err err = ERR_INIT;
    bool good = !(events & EPOLLOUT) || flush(frames, &err);
    if (good && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        good = receive(frames, &err);
    if (good)
        return;
    loop_unwatch(take_ptr(frames->watch));
    frames->conf.on_end(frames->conf.arg, &err);
}

bool frames_new(struct loop *loop, int fd, const struct frames_conf *conf,
    struct frames **ret_frames, struct err *err)
{
    auto_fd int owned = fd;
    auto_free struct frames *frames = calloc(1, sizeof *frames);
    if (!frames)
        return err_nomem(err);
    frames->conf = *conf;
    frames->fd = fd;
    frames->in = (struct buf)BUF_INIT(conf->in_max + HEAD_SIZE + READ_SIZE);
    frames->out = (struct buf)BUF_INIT(conf->out_max);
    if (!loop_watch_fd(loop, fd, EPOLLIN, on_ready, frames, &frames->watch, err))
        return false;
    (void)take_fd(owned);
    *ret_frames = take_ptr(frames);
    return true;
}

void frames_free(struct frames *frames)
{
    if (!frames)
        return;
    loop_unwatch(frames->watch);
    close(frames->fd);
    buf_done(&frames->in);
    buf_done(&frames->out);
    free(frames);
}

bool frames_send(struct frames *frames, struct bytes message, struct err *err)
{
    const uint8_t head[HEAD_SIZE] = {(uint8_t)(message.len >> 24), (uint8_t)(message.len >> 16),
        (uint8_t)(message.len >> 8), (uint8_t)message.len};
    compact(&frames->out, &frames->sent);
    if (frames->out.max - frames->out.len < HEAD_SIZE + message.len)
        return err_set(err, ERR_BUSY, "the other process does not take what it is sent");
    size_t before = frames->out.len;
    if (!buf_append(&frames->out, bytes_of(head, sizeof head), err) ||
        !buf_append(&frames->out, message, err)) {
        buf_truncate(&frames->out, before);
        return false;
    }
    return !frames->watch || flush(frames, err);
}
