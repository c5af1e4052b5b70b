/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest of tests/vm needs and busybox does not have:
 *
 *     vm_probe exit VALUE      ends qemu with status 2 * VALUE + 1 (isa-debug-exit at port 0x501)
 *     vm_probe read FILE       content to standard output; to standard error the microseconds of open+read+close, or the name of errno
 *     vm_probe hunt PID TEXT   where in the memory of another process TEXT is; status 1 if that is not locked, or goes into dumps or children
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <time.h>
#include <unistd.h>

#define PAGE      4096u
#define EXIT_PORT 0x501
#define PRESENT   (1ull << 63) /* Documentation/admin-guide/mm/pagemap.rst */

static int end_qemu(const char *value)
{
    if (iopl(3) < 0) { /* these kernels have no /dev/port */
        perror("iopl");
        return 1;
    }
    outb((unsigned char)atoi(value), EXIT_PORT);
    return 1; /* not reached */
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static int read_file(const char *path)
{
    char data[65536];
    int64_t begin = now_us();
    int fd = open(path, O_RDONLY);
    ssize_t len = fd >= 0 ? read(fd, data, sizeof data) : -1;
    if (len < 0 || close(fd) < 0) {
        fprintf(stderr, "%s\n", strerrorname_np(errno));
        return 1;
    }
    fprintf(stderr, "%lld\n", (long long)(now_us() - begin));
    return fwrite(data, 1, (size_t)len, stdout) == (size_t)len ? 0 : 1;
}

struct hunt {
    int memory, pages; /* /proc/PID/mem and pagemap */
    const char *text;
    unsigned locked, exposed, secretmem;
};

/* Pages that are there, one by one: a text across two of them is missed, but secrets begin on a page of their own. */
static bool has_text(const struct hunt *hunt, uint64_t start, uint64_t end)
{
    char data[PAGE];
    for (uint64_t at = start; at < end; at += PAGE) {
        uint64_t entry = 0;
        if (pread(hunt->pages, &entry, sizeof entry, (off_t)(at / PAGE * sizeof entry)) !=
                sizeof entry ||
            !(entry & PRESENT))
            continue;
        if (pread(hunt->memory, data, PAGE, (off_t)at) == PAGE &&
            memmem(data, PAGE, hunt->text, strlen(hunt->text)))
            return true;
    }
    return false;
}

static bool has_flag(const char *flags, const char *flag)
{
    const char *at = strstr(flags, flag);
    return at && at[-1] == ' ' && (at[2] == ' ' || at[2] == '\n');
}

static void judge(struct hunt *hunt, const char *mapping, const char *flags)
{
    uint64_t start, end;
    if (sscanf(mapping, "%" SCNx64 "-%" SCNx64, &start, &end) != 2)
        return;
    if (strstr(mapping, "/secretmem"))
        hunt->secretmem++;
    if (!has_text(hunt, start, end))
        return;
    bool safe = has_flag(flags, "lo") && has_flag(flags, "dd") && has_flag(flags, "dc");
    ++*(safe ? &hunt->locked : &hunt->exposed);
    printf("%s %s%s", safe ? "in locked memory:" : "EXPOSED:", mapping, flags);
}

static int hunt_text(const char *pid, const char *text)
{
    char path[3][64], line[512], mapping[512] = "";
    const char *const names[] = {"mem", "pagemap", "smaps"};
    for (size_t i = 0; i < 3; i++)
        snprintf(path[i], sizeof path[i], "/proc/%s/%s", pid, names[i]);
    struct hunt hunt = {open(path[0], O_RDONLY), open(path[1], O_RDONLY), text, 0, 0, 0};
    FILE *smaps = fopen(path[2], "re");
    if (hunt.memory < 0 || hunt.pages < 0 || !smaps) {
        perror(path[0]);
        return 1;
    }
    while (fgets(line, sizeof line, smaps))
        if (strncmp(line, "VmFlags:", 8) == 0)
            judge(&hunt, mapping, line);
        else if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' '))
            memcpy(mapping, line, sizeof mapping);
    printf("locked %u\nexposed %u\nsecretmem %u\n", hunt.locked, hunt.exposed, hunt.secretmem);
    return hunt.exposed > 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "exit") == 0)
        return end_qemu(argv[2]);
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return read_file(argv[2]);
    if (argc == 4 && strcmp(argv[1], "hunt") == 0)
        return hunt_text(argv[2], argv[3]);
    fprintf(stderr, "usage: vm_probe exit VALUE | read FILE | hunt PID TEXT\n");
    return 2;
}
