/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must survive the death of a worker, in memory that the monitor keeps (a sealed memfd) and each worker maps: the kernel's own
 * FUSE_INIT, which node id stands for which name, and what each open handle was opened on. No plaintext, no blobs. A
 * record is complete before the reply that publishes it is written.
 *
 *     header      magic, generation, INIT request
 *     nodes       id (0: free), parent id, lookups, where the name is, what was told of its owner and mode
 *     handles     fh (0: free), node id, identity of the source file, length of the plaintext
 *     names       fs/nodenames.h
 *
 * Node id = slot + 1 in the low 24 bits and a count of the slot's uses above, so an id is never given twice; 1 is the root.
 * A successor trusts nothing in here: nodetable_check drops what is not well-formed. Callers serialise (tree's lock for nodes,
 * one owner for each handle).
 */
#pragma once

#include <stdint.h>

#include "crypt/base/err.h"

#define NODETABLE_NODES      (1u << 20)
#define NODETABLE_HANDLES    65536u
#define NODETABLE_INIT       256u
#define NODETABLE_NAME_SIZES 5u
#define NODETABLE_NAMES      (NODETABLE_NODES * 500ul) /* bytes; what is never touched takes none */
#define NODE_ROOT            1u

/* Of the owner, group and mode of a node the kernel was told nothing, or not always the same. */
#define NODE_TOLD_NOTHING 0u
#define NODE_TOLD_MANY    0x80000000u

struct node_record {
    uint64_t id;
    uint64_t parent;
    uint64_t dev, ino; /* of the source file that the kernel knows under this id */
    uint64_t lookups;
    uint32_t type; /* S_IFMT bits */
    uint32_t uses;
    uint32_t name;      /* fs/nodenames.h */
    uint32_t told_mode; /* NODE_TOLD_*, or the mode that the kernel was told last */
    uint32_t told_uid, told_gid;
};

struct handle_record {
    uint64_t fh;
    uint64_t node;
    uint64_t dev, ino;
    int64_t ctime_sec, ctime_nsec;
    int64_t length; /* of the plaintext; -1: not a sealed file */
    uint32_t uses;
    uint32_t revoked; /* 1: what was read from it is not to be had any more */
};

struct nodetable_data {
    uint64_t magic;
    uint64_t generation;                /* of the worker */
    uint32_t node_high, handle_high;    /* slots from here on were never used */
    uint64_t request_low, request_high; /* orphans.h: before this worker, and seen since */
    uint32_t name_high[NODETABLE_NAME_SIZES];
    uint32_t init_len;
    uint8_t init[NODETABLE_INIT];
    struct node_record nodes[NODETABLE_NODES];
    struct handle_record handles[NODETABLE_HANDLES];
    _Alignas(4096) uint8_t names[NODETABLE_NAMES];
};

/* A new table in a memfd of fixed size. */
bool nodetable_create(int *ret_fd, struct err *err) MUST_CHECK;
/* ERR_CONFIG unless it is a table as this version makes them: another's must not be read. Asked by the monitor, before a worker gets it. */
bool nodetable_fits(int fd, struct err *err) MUST_CHECK;
/* Maps it; the mapping lives as long as the process. Counts the generation up. */
bool nodetable_map(int fd, struct nodetable_data **ret_table, struct err *err) MUST_CHECK;
void nodetable_unmap(struct nodetable_data *table);
/* After the death of a worker: frees records that are malformed, orphaned, or part of a cycle. Returns how many it freed. */
size_t nodetable_check(struct nodetable_data *table);
/* The record of a live node, or NULL. */
struct node_record *nodetable_find(struct nodetable_data *table, uint64_t id);
struct handle_record *nodetable_find_handle(struct nodetable_data *table, uint64_t fh);
/* The id that slot `index` gives to its next user. */
uint64_t nodetable_next_id(const struct nodetable_data *table, uint32_t index);
uint32_t nodetable_slot(uint64_t id);
