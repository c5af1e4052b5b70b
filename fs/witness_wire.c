/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/witness_wire.h"

#include <limits.h>
#include <string.h>

#define VERSION   1
#define ERRNO_MAX 4095

static bool check_head(uint8_t version, uint8_t operation, struct err *err)
{
    if (version != VERSION)
        return err_set(
            err, ERR_FORMAT, "witness message of version %u; this is version %d", version, VERSION);
    if (operation < WITNESS_LOOK || operation > WITNESS_OPERATION_MAX)
        return err_set(err, ERR_FORMAT, "witness operation %u does not exist", operation);
    return true;
}

/* Bytes that others chose, not UTF-8: so no pack_get_text. */
static void get_name(struct pack_reader *in, char *out, size_t size)
{
    struct bytes name = pack_get_block(in, size - 1);
    if (name.len > 0 && memchr(name.data, '\0', name.len))
        in->failed = true;
    if (name.len > 0)
        memcpy(out, name.data, name.len);
    out[name.len] = '\0';
}

/* Cut at the front: the end of a path says more. */
static void put_name(struct pack_writer *out, const char *text, size_t max)
{
    size_t len = strlen(text);
    pack_put_text(out, len > max ? text + len - max : text);
}

static bool get_flag(struct pack_reader *in)
{
    uint8_t flag = pack_get_u8(in);
    if (flag > 1)
        in->failed = true;
    return flag == 1;
}

/* -- requests ---------------------------------------------------------------------------------- */

static pid_t get_thread(struct pack_reader *in)
{
    uint32_t tid = pack_get_u32(in);
    if (tid == 0 || tid > INT_MAX)
        in->failed = true;
    return (pid_t)tid;
}

static void put_permission(struct pack_writer *out, const struct permission *asked)
{
    pack_put_u32(out, asked->uid);
    pack_put_u32(out, asked->gid);
    pack_put_u32(out, asked->owner);
    pack_put_u32(out, asked->group);
    pack_put_u16(out, (uint16_t)asked->mode);
    pack_put_u8(out, (uint8_t)asked->want);
}

static void get_permission(struct pack_reader *in, struct permission *asked)
{
    asked->uid = pack_get_u32(in);
    asked->gid = pack_get_u32(in);
    asked->owner = pack_get_u32(in);
    asked->group = pack_get_u32(in);
    asked->mode = pack_get_u16(in);
    asked->want = pack_get_u8(in);
    if (asked->mode > 0777 || asked->want == 0 ||
        (asked->want & ~(PERMISSION_READ | PERMISSION_SEARCH)))
        in->failed = true;
}

static void put_record(struct pack_writer *out, const struct audit_record *record)
{
    pack_put_u64(out, (uint64_t)record->time_us);
    pack_put_u8(out, (uint8_t)record->verdict);
    pack_put_u32(out, (uint32_t)record->pid);
    pack_put_u64(out, record->start_time);
    pack_put_u32(out, record->uid);
    pack_put_u32(out, record->gid);
    pack_put_u32(out, (uint32_t)record->sys_errno);
    pack_put_u8(out, record->exe_deleted);
    pack_put_u64(out, (uint64_t)record->took_us);
    put_name(out, record->id, WITNESS_WORD_MAX);
    put_name(out, record->cause, WITNESS_WORD_MAX);
    put_name(out, record->rule, WITNESS_WORD_MAX);
    put_name(out, record->cgroup, WITNESS_TEXT_MAX);
    put_name(out, record->exe, WITNESS_TEXT_MAX);
    put_name(out, record->path, WITNESS_TEXT_MAX);
    put_name(out, record->resource, WITNESS_TEXT_MAX);
    put_name(out, record->version, WITNESS_WORD_MAX);
    put_name(out, record->ref, WITNESS_WORD_MAX);
}

static void get_numbers(struct pack_reader *in, struct audit_record *record)
{
    uint64_t time_us = pack_get_u64(in);
    uint8_t verdict = pack_get_u8(in);
    uint32_t pid = pack_get_u32(in);
    record->start_time = pack_get_u64(in);
    record->uid = pack_get_u32(in);
    record->gid = pack_get_u32(in);
    uint32_t sys_errno = pack_get_u32(in);
    record->exe_deleted = get_flag(in);
    uint64_t took_us = pack_get_u64(in);
    /* Up to the year 9999, for the line's time, and numbers that readers of JSON take. */
    if (time_us > UINT64_C(253402300799999999) || verdict >= AUDIT_VERDICTS || pid > INT_MAX ||
        sys_errno > ERRNO_MAX || took_us > INT64_MAX || record->start_time > INT64_MAX)
        in->failed = true;
    record->time_us = (int64_t)time_us;
    record->verdict = verdict < AUDIT_VERDICTS ? (enum audit_verdict)verdict : AUDIT_FAILED;
    record->pid = (pid_t)pid;
    record->sys_errno = (int)sys_errno;
    record->took_us = (int64_t)took_us;
}

static void get_record(
    struct pack_reader *in, struct witness_texts *texts, struct audit_record *record)
{
    get_numbers(in, record);
    get_name(in, texts->id, sizeof texts->id);
    get_name(in, texts->cause, sizeof texts->cause);
    get_name(in, texts->rule, sizeof texts->rule);
    get_name(in, texts->cgroup, sizeof texts->cgroup);
    get_name(in, texts->exe, sizeof texts->exe);
    get_name(in, texts->path, sizeof texts->path);
    get_name(in, texts->resource, sizeof texts->resource);
    get_name(in, texts->version, sizeof texts->version);
    get_name(in, texts->ref, sizeof texts->ref);
    record->id = texts->id;
    record->cause = texts->cause;
    record->rule = texts->rule;
    record->cgroup = texts->cgroup;
    record->exe = texts->exe;
    record->path = texts->path;
    record->resource = texts->resource;
    record->version = texts->version;
    record->ref = texts->ref;
}

bool witness_request_encode(const struct witness_request *request, struct buf *out, struct err *err)
{
    struct pack_writer writer = pack_writer(out);
    pack_put_u8(&writer, VERSION);
    pack_put_u8(&writer, (uint8_t)request->operation);
    pack_put_u32(&writer, request->number);
    if (request->operation == WITNESS_LOOK) {
        pack_put_u32(&writer, (uint32_t)request->tid);
        pack_put_u8(&writer, (uint8_t)request->needs);
    } else if (request->operation == WITNESS_RECORD) {
        pack_put_u8(&writer, request->want_answer);
        put_record(&writer, &request->record);
    } else if (request->operation == WITNESS_MAY) {
        pack_put_u32(&writer, (uint32_t)request->tid);
        put_permission(&writer, &request->permission);
    }
    return pack_written(&writer, "witness request", err);
}

bool witness_request_decode(struct bytes message, struct witness_texts *texts,
    struct witness_request *ret_request, struct err *err)
{
    struct pack_reader in = pack_reader(message);
    struct witness_request request = {0};
    uint8_t version = pack_get_u8(&in), operation = pack_get_u8(&in);
    if (!in.failed && !check_head(version, operation, err))
        return false;
    request.operation = (enum witness_operation)operation;
    request.number = pack_get_u32(&in);
    if (operation == WITNESS_LOOK) {
        request.tid = get_thread(&in);
        request.needs = pack_get_u8(&in);
        if (request.needs & ~(unsigned)(CALLER_NEEDS | CALLER_QUICK))
            in.failed = true;
    } else if (operation == WITNESS_RECORD) {
        request.want_answer = get_flag(&in);
        get_record(&in, texts, &request.record);
    } else if (operation == WITNESS_MAY) {
        request.tid = get_thread(&in);
        get_permission(&in, &request.permission);
    }
    if (!pack_finish(&in, "witness request", err))
        return false;
    *ret_request = request;
    return true;
}

/* -- answers ----------------------------------------------------------------------------------- */

static void put_look(struct pack_writer *out, const struct caller_look *look)
{
    pack_put_u32(out, (uint32_t)look->pid);
    pack_put_u64(out, look->start_time);
    pack_put_text(out, look->exe);
    pack_put_u8(out, look->exe_deleted);
    pack_put_block(
        out, look->has_digest ? bytes_of(look->digest, sizeof look->digest) : BYTES_EMPTY);
}

static void get_look(struct pack_reader *in, struct caller_look *look)
{
    uint32_t pid = pack_get_u32(in);
    look->start_time = pack_get_u64(in);
    get_name(in, look->exe, sizeof look->exe);
    look->exe_deleted = get_flag(in);
    struct bytes digest = pack_get_block(in, sizeof look->digest);
    if (pid == 0 || pid > INT_MAX || (digest.len != 0 && digest.len != sizeof look->digest))
        in->failed = true;
    look->pid = (pid_t)pid;
    look->has_digest = digest.len == sizeof look->digest;
    if (look->has_digest)
        memcpy(look->digest, digest.data, digest.len);
}

bool witness_answer_encode(const struct witness_answer *answer, struct buf *out, struct err *err)
{
    struct pack_writer writer = pack_writer(out);
    pack_put_u8(&writer, VERSION);
    pack_put_u8(&writer, (uint8_t)answer->operation);
    pack_put_u32(&writer, answer->number);
    pack_put_u32(&writer, (uint32_t)answer->sys_errno);
    if (answer->operation == WITNESS_LOOK && answer->sys_errno == 0)
        put_look(&writer, &answer->look);
    return pack_written(&writer, "witness answer", err);
}

bool witness_answer_decode(struct bytes message, struct witness_answer *ret_answer, struct err *err)
{
    struct pack_reader in = pack_reader(message);
    struct witness_answer answer = {.look = {.cgroup_fd = -1, .status_fd = -1}};
    uint8_t version = pack_get_u8(&in), operation = pack_get_u8(&in);
    if (!in.failed && !check_head(version, operation, err))
        return false;
    answer.operation = (enum witness_operation)operation;
    answer.number = pack_get_u32(&in);
    uint32_t sys_errno = pack_get_u32(&in);
    if (operation == WITNESS_LOOK && sys_errno == 0)
        get_look(&in, &answer.look);
    if (!pack_finish(&in, "witness answer", err))
        return false;
    if (sys_errno > ERRNO_MAX)
        return err_set(err, ERR_FORMAT, "witness answer with an errno out of range");
    answer.sys_errno = (int)sys_errno;
    *ret_answer = answer;
    return true;
}
