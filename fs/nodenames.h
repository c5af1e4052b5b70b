/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of nodes, in the node table beside the records: most are short, so a record holds a reference and the name lies in a place of the
 * smallest size that it fits in. A place says whose it is; so two records can never share one, and which places are free is seen
 * by looking at them, after a worker's death as well. Callers serialise (tree's lock).
 *
 *     reference   number of the size << 24 | place
 *     place       u32 slot of its node + 1, text with a NUL
 */
#pragma once

#include "fs/nodetable.h"
#include "fs/slots.h"

struct nodenames {
    struct nodetable_data *table; /* borrowed */
    struct slots free[NODETABLE_NAME_SIZES];
};

/* `table` has been checked (nodetable_check). */
void nodenames_init(struct nodenames *names, struct nodetable_data *table);
void nodenames_done(struct nodenames *names);
/* For the record in `slot`, which has no name now; at most 255 bytes. False: no place is left. */
bool nodenames_put(struct nodenames *names, uint32_t slot, const char *name) MUST_CHECK;
/* The record in `slot` is free now, and so is its name. */
void nodenames_drop(struct nodenames *names, uint32_t slot);
/* Of a record that has one. */
const char *nodenames_get(const struct nodetable_data *table, uint32_t slot);
/* The same of a record that nobody has checked: NULL unless it refers to a place that is its own and holds a terminated text. */
const char *nodenames_check(const struct nodetable_data *table, uint32_t slot);
