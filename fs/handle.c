/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/handle.h"

#include <errno.h>
#include <pthread.h>

#include "fs/slots.h"

#define SLOT_BITS 24

struct handles {
    struct nodetable_data *table;
    pthread_mutex_t lock; /* for finding slots; a slot itself is its opener's */
    struct handle *held;  /* by slot */
    struct slots slots;
    size_t count;
};

static bool take_slot(struct handles *handles, uint32_t *ret_slot)
{
    pthread_mutex_lock(&handles->lock);
    bool found = slots_take(&handles->slots, ret_slot);
    handles->count += found;
    pthread_mutex_unlock(&handles->lock);
    return found;
}

static void give_slot(struct handles *handles, uint32_t slot)
{
    pthread_mutex_lock(&handles->lock);
    slots_give(&handles->slots, slot);
    handles->count--;
    pthread_mutex_unlock(&handles->lock);
}

static void hold(struct handle *handle, uint64_t node, struct pin *pin, struct lease *lease)
{
    handle->pin = pin_ref(pin);
    handle->lease = lease ? lease_ref(lease) : NULL;
    __atomic_store_n(&handle->node, node, __ATOMIC_RELEASE);
}

bool handle_open(struct handles *handles, uint64_t node, struct pin *pin, struct lease *lease,
    uint64_t *ret_fh, struct err *err)
{
    uint32_t slot;
    if (!take_slot(handles, &slot))
        return err_set_at(
            err, ERR_NOMEM, ENFILE, __FILE__, __LINE__, "%u files are open", NODETABLE_HANDLES);
    struct handle_record *record = &handles->table->handles[slot];
    uint32_t uses = record->uses + 1;
    *record = (struct handle_record){.node = node,
        .dev = pin->st.st_dev,
        .ino = pin->st.st_ino,
        .ctime_sec = pin->st.st_ctim.tv_sec,
        .ctime_nsec = pin->st.st_ctim.tv_nsec,
        .length = lease ? (int64_t)lease->len : -1,
        .uses = uses};
    hold(&handles->held[slot], node, pin, lease);
    __atomic_store_n(&record->fh, (uint64_t)uses << SLOT_BITS | (slot + 1), __ATOMIC_RELEASE);
    *ret_fh = record->fh;
    return true;
}

const struct handle *handle_find(struct handles *handles, uint64_t fh)
{
    if (!nodetable_find_handle(handles->table, fh))
        return NULL;
    struct handle *handle = &handles->held[nodetable_slot(fh)];
    return __atomic_load_n(&handle->node, __ATOMIC_ACQUIRE) ? handle : NULL;
}

bool handle_orphan(struct handles *handles, uint64_t fh, struct handle_record *ret_record)
{
    const struct handle_record *record = nodetable_find_handle(handles->table, fh);
    if (!record || handle_find(handles, fh))
        return false;
    *ret_record = *record;
    return true;
}

static bool is_same(
    const struct handle_record *record, const struct pin *pin, const struct lease *lease)
{
    return record->dev == pin->st.st_dev && record->ino == pin->st.st_ino &&
           record->ctime_sec == pin->st.st_ctim.tv_sec &&
           record->ctime_nsec == pin->st.st_ctim.tv_nsec &&
           record->length == (lease ? (int64_t)lease->len : -1);
}

bool handle_adopt(
    struct handles *handles, uint64_t fh, struct pin *pin, struct lease *lease, struct err *err)
{
    const struct handle_record *record = nodetable_find_handle(handles->table, fh);
    if (!record || !is_same(record, pin, lease))
        return err_set_at(err, ERR_IO, ESTALE, __FILE__, __LINE__,
            "the file has changed since it was opened, and the worker that had it open is gone");
    struct handle *handle = &handles->held[nodetable_slot(fh)];
    pthread_mutex_lock(&handles->lock);
    if (!handle->node) /* two reads may come at once */
        hold(handle, record->node, pin, lease);
    pthread_mutex_unlock(&handles->lock);
    return true;
}

void handle_close(
    struct handles *handles, uint64_t fh, uint64_t *ret_node, bool *ret_held, bool *ret_sealed)
{
    *ret_node = 0;
    *ret_held = false;
    *ret_sealed = false;
    struct handle_record *record = nodetable_find_handle(handles->table, fh);
    if (!record)
        return;
    uint32_t slot = nodetable_slot(fh);
    struct handle *handle = &handles->held[slot];
    *ret_node = record->node;
    *ret_held = handle->node != 0;
    *ret_sealed = record->length >= 0;
    record->fh = 0;
    pin_unref(handle->pin);
    lease_unref(handle->lease);
    *handle = (struct handle){0};
    give_slot(handles, slot);
}

/* `node` 0: any. A handle that is being opened meanwhile has its lease already, which is revoked as well. */
static void revoke_of(struct handles *handles, uint64_t node)
{
    for (uint32_t slot = 0; slot < handles->table->handle_high; slot++) {
        struct handle_record *record = &handles->table->handles[slot];
        if (__atomic_load_n(&record->fh, __ATOMIC_ACQUIRE) != 0 && record->length >= 0 &&
            (node == 0 || record->node == node))
            record->revoked = 1;
    }
}

void handles_revoke(struct handles *handles)
{
    revoke_of(handles, 0);
}

void handles_revoke_node(struct handles *handles, uint64_t node)
{
    revoke_of(handles, node);
}

void handles_each(struct handles *handles,
    void (*fn)(void *arg, uint64_t fh, const struct handle *handle), void *arg)
{
    for (uint32_t slot = 0; slot < handles->table->handle_high; slot++)
        if (handles->held[slot].node != 0 && handles->table->handles[slot].fh != 0)
            fn(arg, handles->table->handles[slot].fh, &handles->held[slot]);
}

/* Unlike handle_adopt without regard to what has become of the file since: it is the very one that was open. */
bool handle_restore(
    struct handles *handles, uint64_t fh, struct pin *pin, struct lease *lease, uint64_t *ret_node)
{
    struct handle_record record;
    if (!handle_orphan(handles, fh, &record) || record.revoked || record.dev != pin->st.st_dev ||
        record.ino != pin->st.st_ino || record.length != (lease ? (int64_t)lease->len : -1))
        return false;
    hold(&handles->held[nodetable_slot(fh)], record.node, pin, lease);
    *ret_node = record.node;
    return true;
}

size_t handles_count(struct handles *handles)
{
    pthread_mutex_lock(&handles->lock);
    size_t count = handles->count;
    pthread_mutex_unlock(&handles->lock);
    return count;
}

bool handles_new(struct nodetable_data *table, struct handles **ret_handles, struct err *err)
{
    AUTO(handles_free) struct handles *handles = calloc(1, sizeof *handles);
    if (!handles)
        return err_nomem(err);
    handles->table = table;
    pthread_mutex_init(&handles->lock, NULL);
    handles->held = calloc(NODETABLE_HANDLES, sizeof *handles->held);
    slots_init(&handles->slots, &table->handle_high, NODETABLE_HANDLES);
    if (!handles->held)
        return err_nomem(err);
    for (uint32_t slot = 0; slot < table->handle_high; slot++)
        if (table->handles[slot].fh == 0)
            slots_give(&handles->slots, slot);
        else
            handles->count++;
    *ret_handles = take_ptr(handles);
    return true;
}

void handles_free(struct handles *handles)
{
    if (!handles)
        return;
    for (uint32_t slot = 0; handles->held && slot < handles->table->handle_high; slot++) {
        pin_unref(handles->held[slot].pin);
        lease_unref(handles->held[slot].lease);
    }
    pthread_mutex_destroy(&handles->lock);
    free(handles->held);
    slots_done(&handles->slots);
    free(handles);
}
