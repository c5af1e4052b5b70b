/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_store CONFIGURATION fill FROM TO        resources bench/secret/FROM … TO-1 of 64 bytes into the store of a kbs.conf
 * bench_store CONFIGURATION read COUNT READS    READS of them at random, one after the other: median and 99th percentile in microseconds
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "kbs/server/store/store_open.h"

#define SIZE    64
#define FILLERS 8

static struct kbs_conf conf;
static struct store_secrets secrets;
static struct store *store;
static long from, to;

static void die_of(const struct err *err)
{
    fprintf(stderr, "bench_store: %s\n", err->message);
    exit(1);
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void key_of(long number, char out[STORE_KEY_MAX + 1])
{
    snprintf(out, STORE_KEY_MAX + 1, "bench/secret/%ld", number);
}

/* What a put leaves, without its fsyncs, of which there would be some hundred thousand. */
static void plant(long number)
{
    struct err err = ERR_INIT;
    char key[STORE_KEY_MAX + 1], path[4096];
    uint8_t value[SIZE] = {0};
    const struct store_version at = {.version = 1, .created = 1};
    auto_buf record = BUF_INIT(STORE_RECORD_MAX);
    key_of(number, key);
    snprintf(path, sizeof path, "%s/repository/%s", conf.server.state_dir, key);
    if (!store_record_seal(
            secrets.keys, STORE_RESOURCE, key, &at, bytes_of(value, sizeof value), &record, &err))
        die_of(&err);
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, record.data, record.len) != (ssize_t)record.len) {
        perror(path);
        exit(1);
    }
}

static void *fill_part(void *arg)
{
    struct err err = ERR_INIT;
    auto_secret *value = NULL;
    if (!secret_new(SIZE, &value, &err))
        die_of(&err);
    for (long i = from + (long)(intptr_t)arg; i < to; i += FILLERS) {
        char key[STORE_KEY_MAX + 1];
        key_of(i, key);
        if (!store_write(store, key, value, 0, NULL, &err))
            die_of(&err);
    }
    return NULL;
}

static void fill(void)
{
    pthread_t threads[FILLERS];
    if (conf.server.store == KBS_STORE_DIRECTORY) {
        char path[4096];
        for (const char *const *name = (const char *const[]){"", "/secret", NULL}; *name; name++) {
            snprintf(path, sizeof path, "%s/repository/bench%s", conf.server.state_dir, *name);
            mkdir(path, 0700);
        }
        for (long i = from; i < to; i++)
            plant(i);
        return;
    }
    for (long i = 0; i < FILLERS; i++)
        if (pthread_create(&threads[i], NULL, fill_part, (void *)(intptr_t)i) != 0)
            exit(1);
    for (long i = 0; i < FILLERS; i++)
        pthread_join(threads[i], NULL);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void read_some(long count, long reads)
{
    struct err err = ERR_INIT;
    auto_free double *times = calloc((size_t)reads, sizeof *times);
    if (!times)
        exit(1);
    srand(1);
    for (long i = -reads / 10; i < reads; i++) { /* the first tenth warms up */
        char key[STORE_KEY_MAX + 1];
        auto_secret *value = NULL;
        key_of(rand() % count, key);
        double begin = now_us();
        if (!store_read(store, key, 0, NULL, &value, &err))
            die_of(&err);
        if (i >= 0)
            times[i] = now_us() - begin;
    }
    qsort(times, (size_t)reads, sizeof *times, compare);
    printf("%.1f %.1f\n", times[reads / 2], times[reads * 99 / 100]);
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    if (argc != 5) {
        fprintf(stderr, "usage: bench_store CONFIGURATION fill FROM TO | read COUNT READS\n");
        return 2;
    }
    if (!secret_init_process(1u << 20, &err) || !kbs_conf_load(argv[1], &conf, &err) ||
        !store_secrets_read(&conf, &secrets, &err) || !store_open(&conf, &secrets, &store, &err))
        die_of(&err);
    from = atol(argv[3]);
    to = atol(argv[4]);
    if (argv[2][0] == 'f')
        fill();
    else
        read_some(from, to);
    store_free(store);
    store_secrets_done(&secrets);
    kbs_conf_done(&conf);
    return 0;
}
