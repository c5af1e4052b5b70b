/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/audit_record.h"

#include <string.h>
#include <time.h>

#include "crypt/base/utf8.h"
#include "fs/cgroup.h"

static const char *const verdicts[AUDIT_VERDICTS] = {"allowed", "stale", "refused", "failed"};

const char *audit_verdict_name(enum audit_verdict verdict)
{
    return verdicts[verdict];
}

/* Control characters (C0, DEL, C1), line and paragraph separators, marks and isolates of direction, the byte order mark. */
static bool is_plain(uint32_t rune)
{
    return rune >= 0x20 && rune != '\\' && !(rune >= 0x7f && rune < 0xa0) && rune != 0x61c &&
           !(rune >= 0x200b && rune <= 0x200f) && !(rune >= 0x2028 && rune <= 0x202e) &&
           !(rune >= 0x2060 && rune <= 0x206f) && rune != 0xfeff &&
           !(rune >= 0xe0000 && rune <= 0xe007f);
}

/* Longest run of plain characters that need no escape at the front of `text`. */
static size_t plain_run(struct bytes text)
{
    struct bytes rest = text;
    uint32_t rune;
    while (rest.len > 0 && *rest.data != '"') {
        struct bytes after = rest;
        if (!utf8_next(&after, &rune) || !is_plain(rune))
            break;
        rest = after;
    }
    return text.len - rest.len;
}

static bool put_text(struct buf *out, const char *text, struct err *err)
{
    struct bytes rest = bytes_str(text);
    while (rest.len > 0) {
        size_t run = plain_run(rest);
        if (!buf_append(out, bytes_of(rest.data, run), err))
            return false;
        rest = bytes_slice(rest, run, rest.len);
        if (rest.len == 0)
            break;
        bool done = *rest.data == '"' ? buf_append_str(out, "\\\"", err)
                                      : buf_printf(out, err, "\\\\x%02x", *rest.data);
        if (!done)
            return false;
        rest = bytes_slice(rest, 1, rest.len);
    }
    return true;
}

static bool put_member(struct buf *out, const char *name, const char *text, struct err *err)
{
    return !*text || (buf_printf(out, err, ",\"%s\":\"", name) && put_text(out, text, err) &&
                         buf_append_str(out, "\"", err));
}

static bool put_time(struct buf *out, int64_t time_us, struct err *err)
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    return buf_printf(out, err, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"",
        tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
        (int)(time_us % 1000000));
}

static bool put_decision(struct buf *out, const struct audit_record *record, struct err *err)
{
    const char *name = record->sys_errno ? strerrorname_np(record->sys_errno) : "";
    return buf_append_str(out, ",\"id\":\"", err) && put_text(out, record->id, err) &&
           buf_printf(out, err, "\",\"verdict\":\"%s\"", audit_verdict_name(record->verdict)) &&
           put_member(out, "cause", record->cause, err) &&
           put_member(out, "rule", record->rule, err) &&
           put_member(out, "errno", name ? name : "EIO", err);
}

static bool put_caller(struct buf *out, const struct audit_record *record, struct err *err)
{
    struct cgroup_names names;
    cgroup_names(record->cgroup, &names);
    return buf_printf(out, err, ",\"pid\":%d", (int)record->pid) &&
           (record->start_time == 0 ||
               buf_printf(out, err, ",\"start\":%llu", (unsigned long long)record->start_time)) &&
           buf_printf(
               out, err, ",\"uid\":%u,\"gid\":%u", (unsigned)record->uid, (unsigned)record->gid) &&
           put_member(out, "cgroup", record->cgroup, err) &&
           put_member(out, "pod", names.pod, err) &&
           put_member(out, "container", names.container, err) &&
           put_member(out, "exe", record->exe, err) &&
           (!record->exe_deleted || buf_append_str(out, ",\"exe_deleted\":true", err));
}

bool audit_record_line(const struct audit_record *record, struct buf *out, struct err *err)
{
    return put_time(out, record->time_us, err) && put_decision(out, record, err) &&
           put_caller(out, record, err) && buf_append_str(out, ",\"path\":\"", err) &&
           put_text(out, record->path, err) && buf_append_str(out, "\"", err) &&
           put_member(out, "resource", record->resource, err) &&
           put_member(out, "version", record->version, err) &&
           put_member(out, "ref", record->ref, err) &&
           buf_printf(out, err, ",\"ms\":%lld.%03d}\n", (long long)(record->took_us / 1000),
               (int)(record->took_us % 1000));
}
