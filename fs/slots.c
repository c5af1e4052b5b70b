/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/slots.h"

#define SIZE_FIRST 64

void slots_init(struct slots *slots, uint32_t *high, uint32_t limit)
{
    *slots = (struct slots){.high = high, .limit = limit};
}

void slots_done(struct slots *slots)
{
    free(slots->free);
    slots->free = NULL;
    slots->free_count = slots->free_size = 0;
}

bool slots_take(struct slots *slots, uint32_t *ret_slot)
{
    if (slots->free_count > 0)
        *ret_slot = slots->free[--slots->free_count];
    else if (*slots->high < slots->limit)
        *ret_slot = (*slots->high)++;
    else
        return false;
    return true;
}

void slots_give(struct slots *slots, uint32_t slot)
{
    if (slots->free_count == slots->free_size) {
        size_t size = slots->free_size ? 2 * slots->free_size : SIZE_FIRST;
        uint32_t *larger = reallocarray(slots->free, size, sizeof *larger);
        if (!larger)
            return;
        slots->free = larger;
        slots->free_size = size;
    }
    slots->free[slots->free_count++] = slot;
}
