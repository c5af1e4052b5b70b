/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/collateral.h"

#define COMPONENTS_MAX 5

struct object {
    char name[COLLATERAL_NAME_MAX];
    uint8_t *data; /* body, then chain */
    size_t body_len, chain_len;
};

struct collateral {
    size_t count;
    size_t total; /* bytes that the objects take as a block */
    struct object objects[COLLATERAL_COUNT_MAX];
};

bool collateral_new(struct collateral **ret_collateral, struct err *err)
{
    struct collateral *collateral = calloc(1, sizeof *collateral);
    if (!collateral)
        return err_nomem(err);
    *ret_collateral = collateral;
    return true;
}

void collateral_free(struct collateral *collateral)
{
    if (!collateral)
        return;
    for (size_t i = 0; i < collateral->count; i++)
        free(collateral->objects[i].data);
    free(collateral);
}

bool collateral_name_ok(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t components = 0;
    if (strncmp(name, "amd/", 4) != 0 && strncmp(name, "intel/", 6) != 0)
        return false;
    if (strnlen(name, COLLATERAL_NAME_MAX) == COLLATERAL_NAME_MAX)
        return false;
    for (const char *at = name;; at++) {
        size_t len = strspn(at, letters);
        components++;
        at += len;
        if (len == 0 || components > COMPONENTS_MAX || (*at != '/' && *at != '\0'))
            return false;
        if (*at == '\0')
            return true;
    }
}

static struct object *find(const struct collateral *collateral, const char *name)
{
    for (size_t i = 0; collateral && i < collateral->count; i++)
        if (strcmp(collateral->objects[i].name, name) == 0)
            return (struct object *)(uintptr_t)&collateral->objects[i];
    return NULL;
}

/* What collateral_encode() writes of it: three lengths, and what they count. */
static size_t packed_size(size_t name_len, size_t body_len, size_t chain_len)
{
    return 12 + name_len + body_len + chain_len;
}

static bool check_limits(const struct collateral *collateral, const struct object *old,
    const char *name, struct bytes body, struct bytes chain, struct err *err)
{
    if (!collateral_name_ok(name))
        return err_set(err, ERR_FORMAT, "\"%.80s\" is no name of a collateral object", name);
    if (body.len == 0)
        return err_set(err, ERR_FORMAT, "collateral %s is empty", name);
    if (body.len > COLLATERAL_OBJECT_MAX || chain.len > COLLATERAL_OBJECT_MAX - body.len)
        return err_set(
            err, ERR_FORMAT, "collateral %s: over %u bytes", name, COLLATERAL_OBJECT_MAX);
    if (!old && collateral->count == COLLATERAL_COUNT_MAX)
        return err_set(err, ERR_FORMAT, "more than %d collateral objects", COLLATERAL_COUNT_MAX);
    size_t freed = old ? packed_size(strlen(name), old->body_len, old->chain_len) : 0;
    if (2 + collateral->total - freed + packed_size(strlen(name), body.len, chain.len) >
        COLLATERAL_TOTAL_MAX)
        return err_set(err, ERR_FORMAT, "collateral of more than %u bytes", COLLATERAL_TOTAL_MAX);
    return true;
}

bool collateral_put(struct collateral *collateral, const char *name, struct bytes body,
    struct bytes chain, struct err *err)
{
    struct object *object = find(collateral, name);
    if (!check_limits(collateral, object, name, body, chain, err))
        return false;
    uint8_t *data = malloc(body.len + chain.len);
    if (!data)
        return err_nomem(err);
    memcpy(data, body.data, body.len);
    if (chain.len > 0)
        memcpy(data + body.len, chain.data, chain.len);
    if (object)
        collateral->total -= packed_size(strlen(name), object->body_len, object->chain_len);
    else
        object = &collateral->objects[collateral->count++];
    free(object->data);
    *object = (struct object){.data = data, .body_len = body.len, .chain_len = chain.len};
    memcpy(object->name, name, strlen(name));
    collateral->total += packed_size(strlen(name), body.len, chain.len);
    return true;
}

bool collateral_get(const struct collateral *collateral, const char *name, struct bytes *ret_body,
    struct bytes *ret_chain)
{
    const struct object *object = find(collateral, name);
    if (!object)
        return false;
    *ret_body = bytes_of(object->data, object->body_len);
    if (ret_chain)
        *ret_chain = bytes_of(object->data + object->body_len, object->chain_len);
    return true;
}

size_t collateral_count(const struct collateral *collateral)
{
    return collateral ? collateral->count : 0;
}

const char *collateral_name(const struct collateral *collateral, size_t index)
{
    return collateral->objects[index].name;
}

bool collateral_encode(const struct collateral *collateral, struct buf *out, struct err *err)
{
    struct pack_writer pack = pack_writer(out);
    size_t count = collateral_count(collateral);
    pack_put_u16(&pack, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        const struct object *object = &collateral->objects[i];
        pack_put_text(&pack, object->name);
        pack_put_block(&pack, bytes_of(object->data, object->body_len));
        pack_put_block(&pack, bytes_of(object->data + object->body_len, object->chain_len));
    }
    return pack_written(&pack, "collateral", err);
}

bool collateral_decode(struct bytes message, struct collateral **ret_collateral, struct err *err)
{
    struct pack_reader in = pack_reader(message);
    auto_collateral *collateral = NULL;
    if (!collateral_new(&collateral, err))
        return false;
    size_t count = pack_get_u16(&in);
    for (size_t i = 0; i < count && !in.failed; i++) {
        char name[COLLATERAL_NAME_MAX] = "";
        pack_get_text(&in, name, sizeof name);
        struct bytes body = pack_get_block(&in, COLLATERAL_OBJECT_MAX);
        struct bytes chain = pack_get_block(&in, COLLATERAL_OBJECT_MAX);
        if (in.failed)
            break;
        if (find(collateral, name))
            return err_set(err, ERR_FORMAT, "collateral %s comes twice", name);
        if (!collateral_put(collateral, name, body, chain, err))
            return false;
    }
    if (!pack_finish(&in, "collateral", err))
        return false;
    *ret_collateral = take_ptr(collateral);
    return true;
}
