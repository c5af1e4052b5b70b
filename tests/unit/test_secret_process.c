/* SPDX-License-Identifier: Apache-2.0 */
/* Each case runs in a child of its own, since limits and mlockall are for good. A child reports by its exit status. */
#include "tests/unit/unit.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypt/base/secret.h"

#define NOBODY 65534

static int status_of(int (*act)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int status = act();
        fflush(NULL);
        _exit(status);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The limit as an unprivileged process finds it: neither CAP_IPC_LOCK nor CAP_SYS_RESOURCE lifts it. */
static bool limited(rlim_t soft, rlim_t hard)
{
    struct rlimit limit = {soft, hard};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return false;
    return geteuid() != 0 ||
           (setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

static int too_small(void)
{
    struct err err = ERR_INIT;
    if (!limited(64 * 1024, 128 * 1024) || secret_init_process(16 * 1024 * 1024, &err))
        return 1;
    printf("# %s\n", err.message);
    return err.code == ERR_CONFIG && strstr(err.message, "RLIMIT_MEMLOCK is 128 KiB") &&
                   strstr(err.message, "LimitMEMLOCK=16768K") &&
                   strstr(err.message, "ulimit -l 16768")
               ? 0
               : 2;
}

/* What the refusal asks for is enough, to the byte: 4 MiB and the 384 KiB that come on top. */
static int as_told(void)
{
    struct err err = ERR_INIT;
    rlim_t told = (4096 + 384) * 1024;
    if (limited(told, told) && secret_init_process(4 * 1024 * 1024, &err))
        return 0;
    printf("# %s\n", err.message);
    return 1;
}

/* Even where a capability would let the locking pass: the worker will not have it. */
static int too_small_with_capability(void)
{
    struct err err = ERR_INIT;
    struct rlimit limit = {64 * 1024, 64 * 1024};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || prctl(PR_CAPBSET_READ, 24) < 0)
        return 1;
    if (geteuid() == 0 && secret_init_process(1024 * 1024, &err))
        return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY ? 0 : 2;
    return strstr(err.message, "RLIMIT_MEMLOCK") || geteuid() != 0 ? 0 : 3;
}

static void *nothing(void *arg)
{
    return arg;
}

/* The soft limit is raised to the hard one, and a thread with its 8 MiB stack still starts. */
static int finite_limit(void)
{
    struct err err = ERR_INIT;
    struct rlimit limit;
    if (!limited(64 * 1024, 4 * 1024 * 1024) || !secret_init_process(2 * 1024 * 1024, &err)) {
        printf("# %s\n", err.message);
        return 1;
    }
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur != 4 * 1024 * 1024 ||
        secret_process_locked())
        return 2;
    pthread_t thread;
    if (pthread_create(&thread, NULL, nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 3;
    void *large = mmap(NULL, 64 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct secret *secret;
    if (large == MAP_FAILED || !secret_new(1024 * 1024, &secret, &err))
        return 4;
    return 0;
}

/* Debian's 6.1 keeps memfd_secret's pages in memory, but does not count them. */
static bool is_counted(void)
{
    char line[128];
    unsigned long locked = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && locked == 0 && fgets(line, sizeof line, status))
        sscanf(line, "VmLck: %lu", &locked);
    if (status)
        fclose(status);
    return locked > 0;
}

/* Past the limit a secret is refused with an error that names it, and one more fits once one has gone. */
static int exhausted(void)
{
    struct err err = ERR_INIT;
    struct secret *held[8] = {0};
    size_t count = 0;
    if (!limited(2 * 1024 * 1024, 2 * 1024 * 1024))
        return 1;
    while (count < ARRAY_LEN(held) && secret_new(512 * 1024, &held[count], &err))
        count++;
    if (count == ARRAY_LEN(held) && !is_counted())
        return 0;
    if (count == 0 || count == ARRAY_LEN(held) || err.code != ERR_NOMEM ||
        !strstr(err.message, "RLIMIT_MEMLOCK is 2048 KiB"))
        return 2;
    secret_unref(held[--count]);
    return secret_new(512 * 1024, &held[count], &err) ? 0 : 3;
}

static int prepared(void)
{
    struct err err = ERR_INIT;
    json_malloc_t get;
    json_free_t put;
    if (!secret_init_process(256 * 1024, &err) || !secret_init_process(256 * 1024, &err)) {
        printf("# %s\n", err.message);
        return 1;
    }
    void *block = OPENSSL_secure_malloc(64);
    if (!block || !CRYPTO_secure_allocated(block))
        return 2;
    OPENSSL_secure_free(block);
    json_get_alloc_funcs(&get, &put);
    size_t count, bytes;
    secret_stats(&count, &bytes);
    return put != free && count == 0 && bytes == 0 ? 0 : 3;
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(status_of(too_small), 0);
    assert_int_equal(status_of(as_told), 0);
    assert_int_equal(status_of(too_small_with_capability), 0);
    assert_int_equal(status_of(finite_limit), 0);
    assert_int_equal(status_of(exhausted), 0);
}

static void process_is_prepared(void **state)
{
    (void)state;
    assert_int_equal(status_of(prepared), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits),
        cmocka_unit_test(process_is_prepared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
