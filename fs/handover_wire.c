/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fs/handover.h"

#define VERSION 1
/* Milliseconds: far above any that can be configured, far below where sums overflow. */
#define TIME_MAX ((uint64_t)1 << 48)

bool handover_encode(const struct handover_item *item, struct buf *out, struct err *err)
{
    struct pack_writer writer = pack_writer(out);
    pack_put_u8(&writer, VERSION);
    pack_put_u8(&writer, (uint8_t)item->kind);
    switch (item->kind) {
    case HANDOVER_LEASE:
        pack_put_block(&writer, bytes_str(item->path));
        pack_put_text(&writer, item->resource);
        pack_put_u64(&writer, (uint64_t)item->age_ms);
        pack_put_u32(&writer, item->length);
        break;
    case HANDOVER_KEPT:
        pack_put_u32(&writer, item->number);
        pack_put_u8(&writer, item->is_name);
        pack_put_u64(&writer, (uint64_t)item->fresh_ms);
        pack_put_u64(&writer, (uint64_t)item->limit_ms);
        pack_put_u32(&writer, item->length);
        break;
    case HANDOVER_OPEN:
        pack_put_block(&writer, bytes_str(item->path));
        pack_put_u64(&writer, item->fh);
        pack_put_u32(&writer, item->has_number ? item->number + 1 : 0);
        break;
    case HANDOVER_KEY:
        pack_put_u32(&writer, item->length);
        break;
    case HANDOVER_HELD:
        pack_put_u32(&writer, item->number);
        break;
    case HANDOVER_PAST:
        pack_put_block(&writer, bytes_str(item->path));
        pack_put_text(&writer, item->past.version);
        pack_put_u64(&writer, item->past.text_hash);
        pack_put_u8(&writer, (uint8_t)(item->past.withdrawn | item->past.has_limit << 1));
        pack_put_u64(&writer, (uint64_t)item->past.left_ms);
        break;
    case HANDOVER_CREDENTIAL:
    case HANDOVER_WELL:
    case HANDOVER_END:
    case HANDOVER_TAKEN:
        break;
    }
    return pack_written(&writer, "handover", err);
}

/* An absolute path is bytes, not UTF-8. */
static void get_path(struct pack_reader *in, char *out, size_t size)
{
    struct bytes path = pack_get_block(in, size - 1);
    if (path.len == 0 || path.data[0] != '/' || memchr(path.data, '\0', path.len)) {
        in->failed = true;
        return;
    }
    memcpy(out, path.data, path.len);
    out[path.len] = '\0';
}

static void get_length(struct pack_reader *in, struct handover_item *item)
{
    item->length = pack_get_u32(in);
    if (item->length > SECRET_SIZE_MAX)
        in->failed = true;
}

static int64_t get_time(struct pack_reader *in)
{
    uint64_t ms = pack_get_u64(in);
    if (ms > TIME_MAX)
        in->failed = true;
    return (int64_t)ms;
}

static void get_lease(struct pack_reader *in, struct handover_item *item)
{
    get_path(in, item->path, sizeof item->path);
    pack_get_text(in, item->resource, sizeof item->resource);
    item->age_ms = get_time(in);
    get_length(in, item);
}

static void get_kept(struct pack_reader *in, struct handover_item *item)
{
    item->has_number = true;
    item->number = pack_get_u32(in);
    uint8_t is_name = pack_get_u8(in);
    item->is_name = is_name == 1;
    item->fresh_ms = get_time(in);
    item->limit_ms = get_time(in);
    get_length(in, item);
    if (is_name > 1)
        in->failed = true;
}

static void get_open(struct pack_reader *in, struct handover_item *item)
{
    get_path(in, item->path, sizeof item->path);
    item->fh = pack_get_u64(in);
    uint32_t number = pack_get_u32(in);
    item->has_number = number > 0;
    item->number = number > 0 ? number - 1 : 0;
}

static void get_past(struct pack_reader *in, struct handover_item *item)
{
    get_path(in, item->path, sizeof item->path);
    pack_get_text(in, item->past.version, sizeof item->past.version);
    item->past.text_hash = pack_get_u64(in);
    uint8_t flags = pack_get_u8(in);
    item->past.withdrawn = flags & 1;
    item->past.has_limit = flags & 2;
    item->past.left_ms = get_time(in);
    if (flags > 3)
        in->failed = true;
}

bool handover_decode(struct bytes message, struct handover_item *ret_item, struct err *err)
{
    struct pack_reader in = pack_reader(message);
    struct handover_item item = {0};
    uint8_t version = pack_get_u8(&in), kind = pack_get_u8(&in);
    if (!in.failed && version != VERSION)
        return err_set(
            err, ERR_FORMAT, "handover of version %u; this is version %d", version, VERSION);
    if (!in.failed && (kind < HANDOVER_LEASE || kind > HANDOVER_KIND_MAX))
        return err_set(err, ERR_FORMAT, "handover of kind %u, which does not exist", kind);
    item.kind = (enum handover_kind)kind;
    if (kind == HANDOVER_LEASE)
        get_lease(&in, &item);
    else if (kind == HANDOVER_KEPT)
        get_kept(&in, &item);
    else if (kind == HANDOVER_OPEN)
        get_open(&in, &item);
    else if (kind == HANDOVER_KEY)
        get_length(&in, &item);
    else if (kind == HANDOVER_PAST)
        get_past(&in, &item);
    else if (kind == HANDOVER_HELD)
        item.number = pack_get_u32(&in);
    if (!pack_finish(&in, "handover", err))
        return false;
    *ret_item = item;
    return true;
}
