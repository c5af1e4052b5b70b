/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/monitor_wire.h"

#include <limits.h>
#include <string.h>

#define VERSION   1
#define ERRNO_MAX 4095

static bool check_version(struct pack_reader *in, struct err *err)
{
    uint8_t version = pack_get_u8(in);
    if (!in->failed && version != VERSION)
        return err_set(
            err, ERR_FORMAT, "monitor message of version %u; this is version %d", version, VERSION);
    return true;
}

static bool check_operation(uint8_t operation, struct err *err)
{
    if (operation < MONITOR_OPEN || operation > MONITOR_OPERATION_MAX)
        return err_set(err, ERR_FORMAT, "monitor operation %u does not exist", operation);
    return true;
}

bool monitor_request_encode(const struct monitor_request *request, struct buf *out, struct err *err)
{
    struct pack_writer writer = pack_writer(out);
    pack_put_u8(&writer, VERSION);
    pack_put_u8(&writer, (uint8_t)request->operation);
    pack_put_u32(&writer, request->number);
    pack_put_u16(&writer, request->mount);
    pack_put_text(&writer, request->path);
    pack_put_u64(&writer, request->cookie);
    return pack_written(&writer, "monitor request", err);
}

/* A file name is bytes, not UTF-8: so no pack_get_text. */
static void get_name(struct pack_reader *in, char *out, size_t size)
{
    struct bytes name = pack_get_block(in, size - 1);
    if (name.len > 0 && memchr(name.data, '\0', name.len))
        in->failed = true;
    if (name.len > 0)
        memcpy(out, name.data, name.len);
    out[name.len] = '\0';
}

bool monitor_request_decode(
    struct bytes message, struct monitor_request *ret_request, struct err *err)
{
    struct pack_reader in = pack_reader(message);
    struct monitor_request request = {0};
    if (!check_version(&in, err))
        return false;
    uint8_t operation = pack_get_u8(&in);
    request.number = pack_get_u32(&in);
    request.mount = pack_get_u16(&in);
    get_name(&in, request.path, sizeof request.path);
    request.cookie = pack_get_u64(&in);
    if (!pack_finish(&in, "monitor request", err) || !check_operation(operation, err))
        return false;
    request.operation = (enum monitor_operation)operation;
    if (!path_valid(request.path))
        return err_set(err, ERR_FORMAT, "monitor request with a path that leaves the source");
    if (request.cookie > INT64_MAX)
        return err_set(err, ERR_FORMAT, "monitor request with a cookie out of range");
    *ret_request = request;
    return true;
}

bool monitor_answer_encode(const struct monitor_answer *answer, struct buf *out, struct err *err)
{
    struct pack_writer writer = pack_writer(out);
    pack_put_u8(&writer, VERSION);
    pack_put_u8(&writer, (uint8_t)answer->operation);
    pack_put_u32(&writer, answer->number);
    pack_put_u32(&writer, (uint32_t)answer->sys_errno);
    pack_put_u64(&writer, answer->cookie);
    pack_put_u8(&writer, answer->more);
    pack_put_u8(&writer, answer->origin.kind);
    pack_put_u16(&writer, answer->origin.index);
    pack_put_u8(&writer, answer->elsewhere);
    pack_put_u32(&writer, (uint32_t)answer->content_errno);
    pack_put_u16(&writer, answer->count);
    pack_put_fixed(&writer, answer->entries);
    return pack_written(&writer, "monitor answer", err);
}

static void get_entry(struct pack_reader *in, struct monitor_entry *ret_entry)
{
    ret_entry->inode = pack_get_u64(in);
    ret_entry->cookie = pack_get_u64(in);
    ret_entry->type = pack_get_u8(in);
    get_name(in, ret_entry->name, sizeof ret_entry->name);
    if (strchr(ret_entry->name, '/') || ret_entry->name[0] == '\0')
        in->failed = true;
}

bool monitor_answer_decode(struct bytes message, struct monitor_answer *ret_answer, struct err *err)
{
    struct pack_reader in = pack_reader(message);
    struct monitor_answer answer = {0};
    if (!check_version(&in, err))
        return false;
    uint8_t operation = pack_get_u8(&in);
    answer.number = pack_get_u32(&in);
    uint32_t sys_errno = pack_get_u32(&in);
    answer.cookie = pack_get_u64(&in);
    uint8_t more = pack_get_u8(&in);
    answer.origin.kind = pack_get_u8(&in);
    answer.origin.index = pack_get_u16(&in);
    uint8_t elsewhere = pack_get_u8(&in);
    uint32_t content_errno = pack_get_u32(&in);
    answer.count = pack_get_u16(&in);
    answer.entries = in.rest;
    for (unsigned i = 0; i < answer.count && !in.failed; i++) {
        struct monitor_entry entry;
        get_entry(&in, &entry);
    }
    if (!pack_finish(&in, "monitor answer", err) || !check_operation(operation, err))
        return false;
    if (sys_errno > ERRNO_MAX || content_errno > ERRNO_MAX || more > 1 || elsewhere > 1 ||
        answer.origin.kind > ORIGIN_KIND_MAX)
        return err_set(err, ERR_FORMAT, "monitor answer with a field out of range");
    answer.operation = (enum monitor_operation)operation;
    answer.sys_errno = (int)sys_errno;
    answer.more = more;
    answer.elsewhere = elsewhere;
    answer.content_errno = (int)content_errno;
    *ret_answer = answer;
    return true;
}

bool monitor_entry_encode(const struct monitor_entry *entry, struct buf *out, struct err *err)
{
    struct pack_writer writer = pack_writer(out);
    pack_put_u64(&writer, entry->inode);
    pack_put_u64(&writer, entry->cookie);
    pack_put_u8(&writer, entry->type);
    pack_put_text(&writer, entry->name);
    return pack_written(&writer, "monitor entry", err);
}

bool monitor_entry_next(struct bytes *entries, struct monitor_entry *ret_entry)
{
    if (entries->len == 0)
        return false;
    struct pack_reader in = pack_reader(*entries);
    get_entry(&in, ret_entry);
    *entries = in.rest;
    return !in.failed;
}

bool monitor_event_encode(const struct monitor_event *event, struct buf *out, struct err *err)
{
    struct pack_writer writer = pack_writer(out);
    pack_put_u8(&writer, VERSION);
    pack_put_u8(&writer, (uint8_t)event->kind);
    pack_put_u16(&writer, event->mount);
    pack_put_text(&writer, event->code == ERR_OK ? "" : err_info(event->code)->name);
    pack_put_text(&writer, event->message);
    return pack_written(&writer, "monitor event", err);
}

bool monitor_event_decode(struct bytes message, struct monitor_event *ret_event, struct err *err)
{
    struct pack_reader in = pack_reader(message);
    struct monitor_event event = {0};
    char code[32];
    if (!check_version(&in, err))
        return false;
    uint8_t kind = pack_get_u8(&in);
    event.mount = pack_get_u16(&in);
    get_name(&in, code, sizeof code);
    get_name(&in, event.message, sizeof event.message);
    if (!pack_finish(&in, "monitor event", err))
        return false;
    if (kind < MONITOR_READY || kind > MONITOR_EVENT_MAX)
        return err_set(err, ERR_FORMAT, "monitor event %u does not exist", kind);
    event.kind = (enum monitor_event_kind)kind;
    event.code = code[0] ? err_code_from_name(code) : ERR_OK;
    *ret_event = event;
    return true;
}
