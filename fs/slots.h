/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of free places in a table of fixed size: those given back first, then those never used. Callers serialise. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "crypt/base/err.h"

struct slots {
    uint32_t *high; /* first place never used; borrowed (it lives in the table) */
    uint32_t limit;
    uint32_t *free;
    size_t free_count, free_size;
};

void slots_init(struct slots *slots, uint32_t *high, uint32_t limit);
void slots_done(struct slots *slots);
/* False when all places are taken. */
bool slots_take(struct slots *slots, uint32_t *ret_slot);
/* When memory is out the place is lost to this process, and nothing else is. */
void slots_give(struct slots *slots, uint32_t slot);
