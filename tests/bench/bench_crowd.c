/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_crowd PREFIX COUNT PROCESSES: the files PREFIX0 … are read, each by one of that many processes, which wait for the start first.
 * Prints the milliseconds from the start to the end of the last.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void read_file(const char *path)
{
    char data[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, data, sizeof data) <= 0) {
        perror(path);
        _exit(1);
    }
    close(fd);
}

/* A process of the crowd. `ready` tells that it runs; `start` ends when all may begin. */
static void reader(const char *prefix, int first, int count, int step, int ready, int start)
{
    char path[4096], byte = 0;
    if (write(ready, &byte, 1) != 1 || read(start, &byte, 1) != 0)
        _exit(1);
    for (int i = first; i < count; i += step) {
        snprintf(path, sizeof path, "%s%d", prefix, i);
        read_file(path);
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    int count = argc == 4 ? atoi(argv[2]) : 0, processes = argc == 4 ? atoi(argv[3]) : 0;
    int ready[2], start[2], status, failed = 0;
    if (count <= 0 || processes <= 0) {
        fprintf(stderr, "usage: bench_crowd PREFIX COUNT PROCESSES\n");
        return 2;
    }
    if (pipe(ready) < 0 || pipe(start) < 0)
        return 1;
    for (int i = 0; i < processes; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return 1;
        if (pid == 0) {
            close(start[1]);
            reader(argv[1], i, count, processes, ready[1], start[0]);
        }
    }
    for (int i = 0; i < processes; i++) {
        char byte;
        if (read(ready[0], &byte, 1) != 1)
            return 1;
    }
    double begin = now_ms();
    close(start[1]);
    while (wait(&status) > 0)
        failed |= status;
    printf("%.2f\n", now_ms() - begin);
    return failed ? 1 : 0;
}
