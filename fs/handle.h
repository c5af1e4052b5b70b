/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files by the number that the kernel keeps for us (fh). What a handle is of stands in the node table; what it holds (a descriptor, a
 * plaintext) is this worker's own. A handle of a dead worker is an orphan: it is there, holds nothing, and is taken up
 * again when somebody reads from it, provided that the file is still the same.
 */
#pragma once

#include "fs/lease.h"
#include "fs/nodetable.h"
#include "fs/source.h"

struct handles;

struct handle {
    struct pin *pin;
    struct lease *lease; /* NULL: not a sealed file */
    uint64_t node;
};

bool handles_new(struct nodetable_data *table, struct handles **ret_handles, struct err *err)
    MUST_CHECK;
void handles_free(struct handles *handles);
DEFINE_AUTO(struct handles, handles_free);

/* Takes references. Any thread, as all below. */
bool handle_open(struct handles *handles, uint64_t node, struct pin *pin, struct lease *lease,
    uint64_t *ret_fh, struct err *err) MUST_CHECK;
/* NULL: not known, or an orphan. Valid until handle_close: the kernel closes only after the last read was answered. */
const struct handle *handle_find(struct handles *handles, uint64_t fh);
/* The node of an orphan, and what it was opened on. What of sealed files was open when handles_revoke was called stays revoked, also for
 * the workers to come: record.revoked. */
bool handle_orphan(struct handles *handles, uint64_t fh, struct handle_record *ret_record);
/* An orphan takes these up. ESTALE in err.sys_errno when the file or the length is another one now. */
bool handle_adopt(struct handles *handles, uint64_t fh, struct pin *pin, struct lease *lease,
    struct err *err) MUST_CHECK;
/* *ret_node 0: it was not known. *ret_held: it was no orphan. */
void handle_close(
    struct handles *handles, uint64_t fh, uint64_t *ret_node, bool *ret_held, bool *ret_sealed);
/* Whatever is open of sealed files now is revoked. */
void handles_revoke(struct handles *handles);
/* Whatever is open of this node's sealed file now is revoked. */
void handles_revoke_node(struct handles *handles, uint64_t node);
/* With each that is held by this worker. For a successor, when nothing is served any more. */
void handles_each(struct handles *handles,
    void (*fn)(void *arg, uint64_t fh, const struct handle *handle), void *arg);
/* An orphan takes up what its worker handed over. False, and nothing happens, unless the file and the length are those of its record. */
bool handle_restore(
    struct handles *handles, uint64_t fh, struct pin *pin, struct lease *lease, uint64_t *ret_node);
size_t handles_count(struct handles *handles);
