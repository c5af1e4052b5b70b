/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/passport.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypt/base/conf.h"

struct passport {
    struct loop *loop;
    const struct passport_conf *conf;
    struct loop_timer *timer; /* a file: soon; a descriptor: the deadline */
    struct loop_watch *watch;
    int fd;
    struct secret *text;
    size_t len;
    passport_fn *fn;
    void *arg;
};

void passport_free(struct passport *passport)
{
    if (!passport)
        return;
    loop_unwatch(passport->watch);
    loop_timer_free(passport->timer);
    if (passport->fd >= 0)
        close(passport->fd);
    secret_unref(passport->text);
    free(passport);
}

static const char *where(const struct passport *passport)
{
    return passport->conf->file ? passport->conf->file : passport->conf->command;
}

static void fail(struct passport *passport, const struct err *cause)
{
    struct err err = *cause;
    if (err.code != ERR_TIMEOUT && err.code != ERR_NOMEM)
        err.code = ERR_ATTEST;
    err_wrap(&err, "%s %s", passport->conf->file ? "token_file" : "token_command", where(passport));
    passport->fn(passport->arg, NULL, &err);
}

static void deliver(struct passport *passport, struct bytes text)
{
    struct err err = ERR_INIT;
    char *token = NULL;
    auto_jwk *key = NULL;
    AUTO(kbs_session_unref) struct kbs_session *session = NULL;
    if (!passport_parse(text, &token, &key, &err) ||
        !kbs_session_passport(token, key, loop_now_ms(), (int64_t)time(NULL), &session, &err))
        fail(passport, &err);
    else
        passport->fn(passport->arg, session, &err);
}

static void read_file(void *arg)
{
    struct passport *passport = arg;
    struct err err = ERR_INIT;
    if (!conf_credential(passport->conf->file, PASSPORT_MAX, true, &passport->text, &err))
        fail(passport, &err);
    else
        deliver(passport, secret_bytes(passport->text));
}

static void on_deadline(void *arg)
{
    struct passport *passport = arg;
    struct err err = ERR_INIT;
    err_set(
        &err, ERR_TIMEOUT, "gave no token within %lld ms", (long long)passport->conf->timeout_ms);
    fail(passport, &err);
}

static void on_readable(void *arg, uint32_t events)
{
    struct passport *passport = arg;
    struct err err = ERR_INIT;
    uint8_t *room = secret_data(passport->text) + passport->len;
    ssize_t got = read(passport->fd, room, PASSPORT_MAX - passport->len);
    (void)events;
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got > 0 && passport->len + (size_t)got < PASSPORT_MAX) {
        passport->len += (size_t)got;
        return;
    }
    loop_unwatch(take_ptr(passport->watch));
    loop_timer_clear(passport->timer);
    if (got < 0)
        err_set_errno(&err, ERR_IO, "read");
    else if (got > 0)
        err_set(&err, ERR_FORMAT, "gave more than %d bytes", PASSPORT_MAX - 1);
    else if (passport->len == 0)
        err_set(
            &err, ERR_IO, "gave nothing; run it by hand as that user, and see the log of sealedfs");
    if (err.code != ERR_OK)
        fail(passport, &err);
    else
        deliver(passport, bytes_slice(secret_bytes(passport->text), 0, passport->len));
}

static bool begin_reading(struct passport *passport, struct err *err)
{
    const struct passport_conf *conf = passport->conf;
    if (!conf->open(conf->arg, &passport->fd, err) ||
        !secret_new(PASSPORT_MAX, &passport->text, err) ||
        !loop_watch_fd(
            passport->loop, passport->fd, EPOLLIN, on_readable, passport, &passport->watch, err))
        return false;
    loop_timer_set(passport->timer, conf->timeout_ms);
    return true;
}

bool passport_new(struct loop *loop, const struct passport_conf *conf, passport_fn *fn, void *arg,
    struct passport **ret_passport, struct err *err)
{
    AUTO(passport_free) struct passport *passport = calloc(1, sizeof *passport);
    if (!passport)
        return err_nomem(err);
    *passport = (struct passport){.loop = loop, .conf = conf, .fd = -1, .fn = fn, .arg = arg};
    if (!loop_timer_new(
            loop, conf->file ? read_file : on_deadline, passport, &passport->timer, err) ||
        (!conf->file && !begin_reading(passport, err)))
        return false;
    if (conf->file)
        loop_timer_set(passport->timer, 0);
    *ret_passport = take_ptr(passport);
    return true;
}
