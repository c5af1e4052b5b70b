/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The courier process: the only one of sealed-kbs that speaks to others over the network, and the only file here that uses an HTTP
 * client. Whoever takes it over by a hostile answer can lie about what its targets answer, and see their tokens; there is nothing else.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "crypt/base/landlock.h"
#include "crypt/base/log.h"
#include "crypt/base/sandbox.h"
#include "kbs/http.h"
#include "kbs/server/outbound/courier_process.h"
#include "kbs/server/outbound/courier_wire.h"
#include "kbs/server/frames.h"
#include "kbs/server/process.h"
#include "kbs/server/warden.h"

#define LOCKED_WANT (128u * 1024)
#define MEMORY_MAX  (1024u * 1024 * 1024)
#define FILES_MAX   512
#define LOOK_MS     5000 /* between looks at whether a file that it has read was replaced */
#define CONNECT_MS  10000

/* Beside the base: certificates and the files of names, sockets, and the threads in which curl looks names up. */
const char *const courier_syscalls[] = {"openat", "access", "faccessat", "faccessat2", "statx",
    "readlink", "readlinkat", "fstatfs", "getdents64", "ioctl", "socketpair", "connect", "bind",
    "getsockname", "getpeername", "getsockopt", "setsockopt", "sendto", "sendmmsg", "recvfrom",
    "recvmsg", "recvmmsg", "shutdown", "clone", "clone3", "prctl", "eventfd2", "pipe2",
    "epoll_create1", "timerfd_create", "dup", "uname", "set_tid_address", "sched_getparam",
    "sched_getscheduler", NULL};
/* bind(2) is for glibc, which asks the kernel for its addresses by netlink; TCP ports are Landlock's business. */
static const struct sandbox_rule courier_rules[] = {
    {"socket", AF_UNIX}, {"socket", AF_INET}, {"socket", AF_INET6}, {"socket", AF_NETLINK}};

/* In the order of enum courier_header. */
static const char *const header_names[] = {"TCB-Info-Issuer-Chain",
    "SGX-Enclave-Identity-Issuer-Chain", "SGX-PCK-CRL-Issuer-Chain", "Cache-Control", "Expires",
    "ETag", "Retry-After", NULL};

/* A file by its identity: replaced, changed or gone. */
struct seen {
    const char *path;
    ino_t inode;
    struct timespec changed;
};

/* Read when names are looked up; a rule of Landlock holds for the very file that was there when the rule was made. */
static const char *const name_files[] = {
    "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"};

struct messenger {
    struct loop *loop;
    struct frames *frames;
    struct loop_timer *look;
    struct secret *tokens;
    struct courier_table table;
    struct http *https[COURIER_TARGETS_MAX];
    struct seen seen[ARRAY_LEN(name_files) + COURIER_TARGETS_MAX];
    size_t seen_count, under_way;
};

struct errand {
    struct messenger *messenger;
    const char *unix_socket; /* NULL: by TCP */
    uint32_t id;
};

/* -- answers --------------------------------------------------------------------------------------- */

static void answer(struct messenger *messenger, uint32_t id,
    const struct courier_response *response, const struct err *cause)
{
    auto_buf message = BUF_INIT(COURIER_ANSWER_MAX);
    struct err err = ERR_INIT;
    if (courier_answer_encode(id, response, cause, &message, &err) &&
        frames_send(messenger->frames, buf_bytes(&message), &err))
        return;
    buf_truncate(&message, 0);
    /* Nobody can be told: the front's own deadline remains. */
    if (courier_answer_encode(id, NULL, &err, &message, &err))
        (void)!frames_send(messenger->frames, buf_bytes(&message), &err);
}

static void on_answer(void *arg, const struct http_response *http, const struct err *cause)
{
    auto_free struct errand *errand = arg;
    struct messenger *messenger = errand->messenger;
    struct courier_response response = {0};
    struct err err = *cause;
    messenger->under_way--;
    if (!http) {
        if (errand->unix_socket)
            err_wrap(&err, "socket %s", errand->unix_socket);
        answer(messenger, errand->id, NULL, &err);
        return;
    }
    response.status = (unsigned)http->status;
    response.date = http->date;
    response.body = http->body;
    memcpy(response.content_type, http->content_type, sizeof response.content_type);
    for (size_t i = 0; i < COURIER_HEADER_COUNT; i++)
        if (http->kept[i] && strlen(http->kept[i]) <= COURIER_HEADER_MAX)
            response.headers[i] = bytes_str(http->kept[i]);
    answer(messenger, errand->id, &response, NULL);
}

/* -- requests -------------------------------------------------------------------------------------- */

static bool send_request(struct messenger *messenger, uint32_t id, size_t target,
    const struct courier_request *request, struct err *err)
{
    char url[COURIER_TEXT_SIZE + COURIER_PATH_MAX];
    struct http_call *call;
    if (target >= messenger->table.count)
        return err_set(err, ERR_CONFIG, "there is no such target");
    const struct courier_entry *entry = &messenger->table.entries[target];
    if (!courier_allowed(entry->name, entry->methods, entry->exact, request, err))
        return false;
    if (messenger->under_way >= COURIER_PENDING_MAX)
        return err_set(err, ERR_BUSY, "%d requests are under way already", COURIER_PENDING_MAX);
    snprintf(url, sizeof url, "%s%s", entry->url, request->path);
    auto_free struct errand *errand = malloc(sizeof *errand);
    if (!errand)
        return err_nomem(err);
    *errand = (struct errand){.messenger = messenger,
        .unix_socket = entry->unix_socket[0] ? entry->unix_socket : NULL,
        .id = id};
    const struct http_request http = {.method = courier_method_name(request->method),
        .url = url,
        .body = request->body,
        .content_type = request->content_type,
        .bearer = entry->bearer,
        .timeout_ms = request->timeout_ms,
        .response_max = request->response_max,
        .keep = header_names};
    if (!http_send(messenger->https[target], &http, on_answer, errand, &call, err))
        return false;
    messenger->under_way++;
    (void)take_ptr(errand);
    return true;
}

static bool on_request(void *arg, struct bytes message, struct err *err)
{
    struct messenger *messenger = arg;
    struct courier_request_texts texts;
    struct courier_request request;
    struct err cause = ERR_INIT;
    uint32_t id;
    size_t target;
    if (!courier_request_decode(message, &id, &target, &texts, &request, err))
        return false;
    if (!send_request(messenger, id, target, &request, &cause))
        answer(messenger, id, NULL, &cause);
    return true;
}

static void on_front_gone(void *arg, const struct err *why)
{
    struct messenger *messenger = arg;
    (void)why;
    loop_stop(messenger->loop);
}

/* -- files that were read -------------------------------------------------------------------------- */

static struct seen look_at(const char *path)
{
    struct stat now;
    if (stat(path, &now) < 0)
        return (struct seen){.path = path};
    return (struct seen){path, now.st_ino, now.st_ctim};
}

static void remember_files(struct messenger *messenger)
{
    for (size_t i = 0; i < ARRAY_LEN(name_files); i++)
        messenger->seen[messenger->seen_count++] = look_at(name_files[i]);
    for (size_t i = 0; i < messenger->table.count; i++)
        if (messenger->table.entries[i].ca_file[0])
            messenger->seen[messenger->seen_count++] = look_at(messenger->table.entries[i].ca_file);
}

static bool changed(const struct messenger *messenger)
{
    for (size_t i = 0; i < messenger->seen_count; i++) {
        const struct seen *before = &messenger->seen[i];
        struct seen now = look_at(before->path);
        /* One that is away is about to be there again. */
        if (now.inode != 0 &&
            (now.inode != before->inode || now.changed.tv_sec != before->changed.tv_sec ||
                now.changed.tv_nsec != before->changed.tv_nsec))
            return true;
    }
    return false;
}

/* The next one may open what is there now. What is sent meanwhile is given to it. */
static void on_look(void *arg)
{
    struct messenger *messenger = arg;
    if (messenger->under_way == 0 && changed(messenger))
        loop_stop(messenger->loop);
    loop_timer_set(messenger->look, LOOK_MS);
}

/* -- the process ----------------------------------------------------------------------------------- */

static bool read_len(size_t max, size_t *ret_len, struct err *err)
{
    uint8_t head[4];
    if (!process_read(head, sizeof head))
        return err_set(err, ERR_UNREACH, "the warden has gone");
    size_t len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (len > max)
        return err_set(err, ERR_FORMAT, "orders of %zu bytes", len);
    *ret_len = len;
    return true;
}

static bool read_orders(struct messenger *messenger, struct err *err)
{
    auto_buf public = BUF_INIT(WARDEN_PUBLIC_MAX);
    uint8_t *room;
    size_t len;
    if (!read_len(WARDEN_PUBLIC_MAX, &len, err) || !buf_reserve(&public, len, &room, err))
        return false;
    if (!process_read(room, len))
        return err_set(err, ERR_UNREACH, "the warden has gone");
    buf_commit(&public, len);
    if (!read_len(WARDEN_SECRET_MAX, &len, err) || !secret_new(len, &messenger->tokens, err))
        return false;
    if (!process_read(secret_data(messenger->tokens), len))
        return err_set(err, ERR_UNREACH, "the warden has gone");
    return courier_table_decode(buf_bytes(&public), messenger->tokens, &messenger->table, err);
}

static const char *text_or_null(const char *text)
{
    return text[0] ? text : NULL;
}

static bool make_clients(struct messenger *messenger, struct err *err)
{
    const struct courier_table *table = &messenger->table;
    for (size_t i = 0; i < table->count; i++) {
        const struct courier_entry *entry = &table->entries[i];
        const struct http_conf conf = {.ca_file = text_or_null(entry->ca_file),
            .proxy = entry->unix_socket[0] ? NULL : text_or_null(table->proxy),
            .no_proxy = (const char *const *)table->no_proxy,
            .no_proxy_count = table->no_proxy_count,
            .allow_plain = entry->plain,
            .connect_timeout_ms = CONNECT_MS,
            .unix_socket = text_or_null(entry->unix_socket),
            .peer = entry->peer};
        if (!http_new(messenger->loop, &conf, &messenger->https[i], err))
            return err_wrap(err, "%s", entry->name);
    }
    return true;
}

/* AddressSanitizer reserves terabytes of address space. */
static bool set_limits(struct err *err)
{
    const struct rlimit memory = {MEMORY_MAX, MEMORY_MAX}, files = {FILES_MAX, FILES_MAX};
    if (sandbox_relaxed())
        return true;
    if (setrlimit(RLIMIT_AS, &memory) < 0 || setrlimit(RLIMIT_NOFILE, &files) < 0)
        return err_set_errno(err, ERR_INTERNAL, "limit the courier process");
    return true;
}

/* No directory in which keys lie: user sealed-kbs may own some. */
static bool leave_files(struct err *err)
{
    const struct landlock_rule rules[] = {
        {"/etc/resolv.conf", LANDLOCK_READ}, {"/etc/hosts", LANDLOCK_READ},
        {"/etc/nsswitch.conf", LANDLOCK_READ}, {"/etc/host.conf", LANDLOCK_READ},
        {"/etc/gai.conf", LANDLOCK_READ}, {"/etc/services", LANDLOCK_READ},
        {"/etc/localtime", LANDLOCK_READ}, {"/etc/ssl/certs", LANDLOCK_READ},
        {"/etc/ssl/openssl.cnf", LANDLOCK_READ}, {"/etc/pki/tls/certs", LANDLOCK_READ},
        {"/etc/pki/ca-trust", LANDLOCK_READ}, {"/etc/crypto-policies", LANDLOCK_READ},
        {"/run/systemd/resolve", LANDLOCK_READ}, {"/run/NetworkManager", LANDLOCK_READ},
        {"/run/resolvconf", LANDLOCK_READ}, {"/usr/share/ca-certificates", LANDLOCK_READ},
        {"/usr/local/share/ca-certificates", LANDLOCK_READ},
        {"/var/lib/ca-certificates", LANDLOCK_READ}, {"/usr/share/zoneinfo", LANDLOCK_READ},
        {"/dev/null", LANDLOCK_READ | LANDLOCK_WRITE}, {"/dev/urandom", LANDLOCK_READ},
        {"/sys/devices/system/cpu", LANDLOCK_READ}, LANDLOCK_LIBRARIES, /* NSS */
    };
    return landlock_enter(rules, ARRAY_LEN(rules), LANDLOCK_NET_NO_BIND, err);
}

static bool enter_sandbox(struct err *err)
{
    tzset();
    return leave_files(err) && set_limits(err) &&
           sandbox_seccomp_rules(courier_syscalls, courier_rules, ARRAY_LEN(courier_rules), err);
}

/* The log is left before anything is opened that is to stay: what goes wrong from then on is told to the front. */
static bool make(struct messenger *messenger, struct err *err)
{
    const struct frames_conf conf = {.in_max = COURIER_REQUEST_MAX,
        .out_max = COURIER_PENDING_MAX * (size_t)COURIER_ANSWER_MAX,
        .on_frame = on_request,
        .on_end = on_front_gone,
        .arg = messenger};
    static const uint8_t hello[] = {COURIER_WIRE_VERSION};
    remember_files(messenger);
    if (!loop_new(&messenger->loop, err) || !make_clients(messenger, err) ||
        !loop_timer_new(messenger->loop, on_look, messenger, &messenger->look, err) ||
        !enter_sandbox(err) ||
        !frames_new(messenger->loop, PROCESS_FD, &conf, &messenger->frames, err) ||
        !frames_send(messenger->frames, bytes_of(hello, sizeof hello), err))
        return false;
    loop_timer_set(messenger->look, LOOK_MS);
    return true;
}

static void tell_failure(const struct err *cause)
{
    auto_buf message = BUF_INIT(COURIER_ANSWER_MAX);
    struct err err = ERR_INIT;
    if (!courier_answer_encode(0, NULL, cause, &message, &err))
        return;
    const uint8_t head[] = {0, 0, (uint8_t)(message.len >> 8), (uint8_t)message.len};
    (void)!(process_write(bytes_of(head, sizeof head)) && process_write(buf_bytes(&message)));
}

static void messenger_done(struct messenger *messenger)
{
    for (size_t i = 0; i < messenger->table.count; i++)
        http_free(messenger->https[i]);
    frames_free(messenger->frames);
    loop_timer_free(messenger->look);
    loop_free(messenger->loop);
    courier_table_done(&messenger->table);
    secret_unref(messenger->tokens);
}

static int courier_main(void)
{
    AUTO_DONE(messenger_done) struct messenger messenger = {0};
    struct err err = ERR_INIT;
    log_init("sealed-kbs courier", LOG_TARGET_AUTO, LOG_LEVEL_NOTICE);
    if (!process_started_by_us())
        return err_info(ERR_CONFIG)->exit_status;
    /* The front ends us, also when a terminal or a service manager signals the whole group. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    if (!sandbox_harden(&err) || !sandbox_die_with_parent(getppid(), &err) ||
        !secret_init_process(LOCKED_WANT, &err) || !read_orders(&messenger, &err) ||
        !process_leave_log(&err)) {
        log_err(LOG_LEVEL_ERROR, &err, "courier process");
        return err_info(err.code)->exit_status;
    }
    if (!make(&messenger, &err) || !loop_run(messenger.loop, &err)) {
        tell_failure(&err);
        return err_info(err.code)->exit_status;
    }
    return 0;
}

bool courier_run(int argc, char **argv, int *ret_exit)
{
    if (argc != 2)
        return false;
    if (strcmp(argv[1], COURIER_ARGUMENT) == 0)
        *ret_exit = courier_main();
    else if (strcmp(argv[1], WARDEN_COURIERS_ARGUMENT) == 0)
        *ret_exit = warden_main(WARDEN_COURIERS);
    else
        return false;
    return true;
}
