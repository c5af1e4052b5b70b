/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/audit_journal.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "fs/cgroup.h"

static bool connect_to(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
}

bool audit_journal_open(const char *path, int *ret_fd, struct err *err)
{
    auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !connect_to(fd, path))
        return err_set_errno(err, ERR_UNREACH, "the journal (%s)", path);
    *ret_fd = take_fd(fd);
    return true;
}

/* NAME, newline, length, value, newline: the form for values that may hold newlines. */
static bool put_field(struct buf *out, const char *name, struct bytes value, struct err *err)
{
    uint64_t len = htole64(value.len);
    return buf_printf(out, err, "%s\n", name) && buf_append(out, bytes_of(&len, sizeof len), err) &&
           buf_append(out, value, err) && buf_append_str(out, "\n", err);
}

/* What somebody may look for: journalctl finds an entry by its fields. MESSAGE has all of them, and more (fs/audit_record.h). */
static bool put_texts(const struct audit_record *record, struct buf *out, struct err *err)
{
    struct cgroup_names names;
    cgroup_names(record->cgroup, &names);
    const struct {
        const char *name, *value;
    } texts[] = {{"SEALED_ID", record->id}, {"SEALED_PATH", record->path},
        {"SEALED_CAUSE", record->cause}, {"SEALED_RULE", record->rule}, {"SEALED_EXE", record->exe},
        {"SEALED_CGROUP", record->cgroup}, {"SEALED_POD", names.pod},
        {"SEALED_CONTAINER", names.container}, {"SEALED_RESOURCE", record->resource},
        {"SEALED_VERSION", record->version}, {"SEALED_REF", record->ref}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (*texts[i].value && !put_field(out, texts[i].name, bytes_str(texts[i].value), err))
            return false;
    return true;
}

static bool put_numbers(const struct audit_record *record, struct buf *out, struct err *err)
{
    const char *name = record->sys_errno ? strerrorname_np(record->sys_errno) : NULL;
    return buf_printf(out, err,
               "SEALED_PID=%d\nSEALED_START=%llu\nSEALED_UID=%u\nSEALED_GID=%u\n"
               "SEALED_MS=%lld.%03d\n",
               (int)record->pid, (unsigned long long)record->start_time, (unsigned)record->uid,
               (unsigned)record->gid, (long long)(record->took_us / 1000),
               (int)(record->took_us % 1000)) &&
           (record->sys_errno == 0 ||
               buf_printf(out, err, "SEALED_ERRNO=%s\n", name ? name : "EIO"));
}

static bool put_entry(
    const struct audit_record *record, struct bytes line, struct buf *out, struct err *err)
{
    bool good = record->verdict == AUDIT_ALLOWED;
    return buf_printf(out, err, "PRIORITY=%d\nSYSLOG_IDENTIFIER=sealedfs\nSEALED_AUDIT=%s\n",
               good ? 6 : 4, audit_verdict_name(record->verdict)) &&
           put_texts(record, out, err) && put_numbers(record, out, err) &&
           put_field(out, "MESSAGE", bytes_trim(line), err);
}

static bool send_entry(int fd, const char *path, struct bytes entry)
{
    if (send(fd, entry.data, entry.len, MSG_NOSIGNAL) >= 0)
        return true;
    return (errno == ECONNREFUSED || errno == ENOTCONN || errno == ECONNRESET) &&
           connect_to(fd, path) && send(fd, entry.data, entry.len, MSG_NOSIGNAL) >= 0;
}

bool audit_journal_send(int fd, const char *path, const struct audit_record *record,
    struct bytes line, int wait_ms, struct err *err)
{
    auto_buf entry = BUF_INIT(2 * AUDIT_LINE_MAX);
    if (!put_entry(record, line, &entry, err))
        return false;
    bool sent = send_entry(fd, path, buf_bytes(&entry));
    if (!sent && errno == EAGAIN && wait_ms > 0) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        (void)poll(&ready, 1, wait_ms);
        sent = send_entry(fd, path, buf_bytes(&entry));
    }
    if (!sent)
        return err_set_errno(err, errno == EAGAIN ? ERR_BUSY : ERR_IO, "the journal (%s)", path);
    return true;
}
