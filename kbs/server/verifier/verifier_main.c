/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier process: one request after the other on a socket, in a sandbox that holds nothing.
 * Whoever takes it over by hostile evidence can lie about that evidence, and no more.
 */
#include <openssl/crypto.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "attest/verify/tpm_structs.h"
#include "crypt/base/landlock.h"
#include "crypt/base/log.h"
#include "crypt/base/sandbox.h"
#include "kbs/server/process.h"
#include "kbs/server/verifier/verifier.h"
#include "kbs/server/verifier/verifier_judge.h"
#include "kbs/server/warden.h"

#define MEMORY_MAX (768u * 1024 * 1024) /* 2 MiB of JSON become at most some 150 MiB of values */
#define FILES_MAX  (PROCESS_FD + 1)

/* -- sandbox ----------------------------------------------------------------------------------- */

/* What OpenSSL, jansson (its hash seed) and libc (its time zone) open on first use must be opened before the door is shut. */
static bool warm_up(struct err *err)
{
    uint8_t byte;
    struct hash hash;
    auto_json *seeds = json_object();
    if (!seeds)
        return err_nomem(err);
    tzset();
    if (OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_LOAD_CONFIG, NULL) != 1)
        return err_set(err, ERR_INTERNAL, "OpenSSL cannot be set up");
    return hash_random(&byte, sizeof byte, err) &&
           hash_bytes(HASH_SHA384, bytes_of(&byte, sizeof byte), &hash, err);
}

/* AddressSanitizer reserves terabytes of address space and opens /proc/self/maps for its reports. */
static bool set_limits(struct err *err)
{
    const struct rlimit memory = {MEMORY_MAX, MEMORY_MAX}, files = {FILES_MAX, FILES_MAX};
    if (sandbox_relaxed())
        return true;
    if (setrlimit(RLIMIT_AS, &memory) < 0 || setrlimit(RLIMIT_NOFILE, &files) < 0)
        return err_set_errno(err, ERR_INTERNAL, "limit the verifier process");
    return true;
}

static bool enter_sandbox(struct err *err)
{
    /* Nothing beyond the common base: no file, no socket call but read, write and sendmsg on what is open. */
    static const char *const syscalls[] = {NULL};
    /* The front ends us, also when a terminal or a service manager signals the whole group. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    return sandbox_harden(err) && /* no core dump, not dumpable, no_new_privs */
           sandbox_die_with_parent(getppid(),
               err) && /* besides the end of the socket: also in the midst of a request */
           warm_up(err) &&
           process_leave_log(err) && landlock_enter(NULL, 0, LANDLOCK_NET_NONE, err) &&
           set_limits(err) && sandbox_seccomp(syscalls, err);
}

/* -- requests ---------------------------------------------------------------------------------- */

static bool send_frame(struct bytes message)
{
    const uint8_t head[VERIFIER_FRAME_SIZE] = {(uint8_t)(message.len >> 24),
        (uint8_t)(message.len >> 16), (uint8_t)(message.len >> 8), (uint8_t)message.len};
    return process_write(bytes_of(head, sizeof head)) && process_write(message);
}

static bool read_frame(struct buf *message, struct err *err)
{
    uint8_t head[VERIFIER_FRAME_SIZE];
    uint8_t *room;
    if (!process_read(head, sizeof head))
        return err_set(err, ERR_UNREACH, "the front has gone");
    size_t len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (!buf_reserve(message, len, &room, err))
        return false;
    if (!process_read(room, len))
        return err_set(err, ERR_UNREACH, "the front has gone");
    buf_commit(message, len);
    return true;
}

/* One request and its answer; false ends the process: the front starts another. */
static bool serve(struct err *err)
{
    auto_buf message = BUF_INIT(VERIFIER_REQUEST_MAX);
    auto_buf answer = BUF_INIT(VERIFIER_ANSWER_MAX);
    auto_secret *credential = NULL;
    struct verifier_request request;
    if (!read_frame(&message, err) || !verifier_request_decode(buf_bytes(&message), &request, err))
        return false;
    if (request.kind == VERIFIER_ENROL &&
        (!secret_new(VERIFIER_CREDENTIAL_SIZE, &credential, err) ||
            !process_read(secret_data(credential), VERIFIER_CREDENTIAL_SIZE)))
        return false;
    return verifier_judge(&request, credential, &answer, err) && send_frame(buf_bytes(&answer));
}

static int verifier_main(void)
{
    static const uint8_t hello[] = {VERIFIER_WIRE_VERSION};
    struct err err = ERR_INIT;
    log_init("sealed-kbs verifier", LOG_TARGET_AUTO, LOG_LEVEL_NOTICE);
    tpm_structs_silence();
    if (!process_started_by_us())
        return err_info(ERR_CONFIG)->exit_status;
    if (!enter_sandbox(&err)) {
        log_err(LOG_LEVEL_ERROR, &err, "verifier process");
        return err_info(err.code)->exit_status;
    }
    if (!send_frame(bytes_of(hello, sizeof hello)))
        return err_info(ERR_UNREACH)->exit_status;
    while (serve(&err))
        ;
    return 0;
}

bool verifier_run(int argc, char **argv, int *ret_exit)
{
    if (argc != 2)
        return false;
    if (strcmp(argv[1], VERIFIER_ARGUMENT) == 0)
        *ret_exit = verifier_main();
    else if (strcmp(argv[1], WARDEN_VERIFIERS_ARGUMENT) == 0)
        *ret_exit = warden_main(WARDEN_VERIFIERS);
    else
        return false;
    return true;
}
