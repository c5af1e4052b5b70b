/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/nodenames.h"

#include <string.h>

#define PLACE_BITS 24
#define PLACE_MASK ((1u << PLACE_BITS) - 1)

/* Bytes of a place; the first four are its owner. */
static const uint32_t sizes[NODETABLE_NAME_SIZES] = {16, 32, 64, 128, 260};

_Static_assert(NODETABLE_NAMES == (size_t)NODETABLE_NODES * (16 + 32 + 64 + 128 + 260),
    "the table has a place of each size for each node");

struct place {
    uint32_t owner; /* slot + 1 */
    char text[];
};

static struct place *place_of(const struct nodetable_data *table, uint32_t reference)
{
    size_t at = 0;
    uint32_t size = reference >> PLACE_BITS;
    for (uint32_t i = 0; i < size; i++)
        at += (size_t)NODETABLE_NODES * sizes[i];
    at += (size_t)(reference & PLACE_MASK) * sizes[size];
    return (struct place *)(void *)(uintptr_t)(table->names + at);
}

const char *nodenames_get(const struct nodetable_data *table, uint32_t slot)
{
    return place_of(table, table->nodes[slot].name)->text;
}

const char *nodenames_check(const struct nodetable_data *table, uint32_t slot)
{
    uint32_t reference = table->nodes[slot].name, size = reference >> PLACE_BITS;
    if (size >= NODETABLE_NAME_SIZES || (reference & PLACE_MASK) >= table->name_high[size])
        return NULL;
    const struct place *place = place_of(table, reference);
    size_t room = sizes[size] - sizeof place->owner;
    return place->owner == slot + 1 && strnlen(place->text, room) < room ? place->text : NULL;
}

static bool is_used(const struct nodetable_data *table, uint32_t reference)
{
    uint32_t owner = place_of(table, reference)->owner;
    if (owner == 0 || owner > NODETABLE_NODES)
        return false;
    const struct node_record *record = &table->nodes[owner - 1];
    return record->id != 0 && record->name == reference;
}

void nodenames_init(struct nodenames *names, struct nodetable_data *table)
{
    names->table = table;
    for (uint32_t size = 0; size < NODETABLE_NAME_SIZES; size++) {
        slots_init(&names->free[size], &table->name_high[size], NODETABLE_NODES);
        for (uint32_t place = 0; place < table->name_high[size]; place++)
            if (!is_used(table, size << PLACE_BITS | place))
                slots_give(&names->free[size], place);
    }
}

void nodenames_done(struct nodenames *names)
{
    for (uint32_t size = 0; size < NODETABLE_NAME_SIZES; size++)
        slots_done(&names->free[size]);
}

bool nodenames_put(struct nodenames *names, uint32_t slot, const char *name)
{
    size_t len = strlen(name) + 1;
    uint32_t size = 0, number;
    while (size < NODETABLE_NAME_SIZES && len + sizeof(uint32_t) > sizes[size])
        size++;
    if (size == NODETABLE_NAME_SIZES || !slots_take(&names->free[size], &number))
        return false;
    uint32_t reference = size << PLACE_BITS | number;
    struct place *place = place_of(names->table, reference);
    place->owner = slot + 1;
    memcpy(place->text, name, len);
    names->table->nodes[slot].name = reference;
    return true;
}

void nodenames_drop(struct nodenames *names, uint32_t slot)
{
    uint32_t reference = names->table->nodes[slot].name;
    place_of(names->table, reference)->owner = 0;
    slots_give(&names->free[reference >> PLACE_BITS], reference & PLACE_MASK);
}
