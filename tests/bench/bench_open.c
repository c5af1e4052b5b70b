/* SPDX-License-Identifier: Apache-2.0 */
/* bench_open FILE COUNT: microseconds of open+read+close, as "median p99 minimum". */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t once(const char *path)
{
    char data[4096];
    int64_t start = now_ns();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, data, sizeof data) <= 0) {
        perror(path);
        exit(1);
    }
    close(fd);
    return now_ns() - start;
}

int main(int argc, char **argv)
{
    int count = argc == 3 ? atoi(argv[2]) : 0;
    int64_t *times = count > 0 ? calloc((size_t)count, sizeof *times) : NULL;
    if (!times) {
        fprintf(stderr, "usage: bench_open FILE COUNT\n");
        return 2;
    }
    for (int i = 0; i < 100; i++)
        once(argv[1]);
    for (int i = 0; i < count; i++)
        times[i] = once(argv[1]);
    qsort(times, (size_t)count, sizeof *times, order);
    printf("%.2f %.2f %.2f\n", (double)times[count / 2] / 1e3,
        (double)times[(int64_t)count * 99 / 100] / 1e3, (double)times[0] / 1e3);
    free(times);
    return 0;
}
