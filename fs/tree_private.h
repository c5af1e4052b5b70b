/* SPDX-License-Identifier: Apache-2.0 */
/* What a tree is made of, for fs/tree.c (names and pins) and fs/tree_*.c. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "fs/mounts_watch.h"
#include "fs/nodenames.h"
#include "fs/tree.h"

struct node {
    struct node *parent; /* NULL: the root */
    struct node *next;   /* in its bucket */
    struct node_record *record;
    struct pin *pin;
    /* The directory that the pin was found in. Only while that is still the parent does the pin say where the file is. */
    dev_t parent_dev;
    ino_t parent_ino;
    uint32_t mounts; /* and only while nothing was mounted or unmounted since */
    bool placed;
    bool detached; /* not in a bucket: its name belongs to another node, or is gone */
    bool recent;   /* used since the clock hand came by */
    unsigned children;
    unsigned handles;
    int64_t open_length;
    uint64_t told;
};

struct tree {
    const struct source *source;
    struct nodetable_data *table;
    pthread_mutex_t lock; /* protects all below; never held while the monitor is asked */
    struct node **nodes;  /* by slot */
    struct node root;
    struct node_record root_record;
    struct node **buckets;
    uint32_t bucket_count;
    struct slots slots;
    struct nodenames names;
    size_t count;
    size_t pins, pins_max;
    atomic_flag told_files; /* that descriptors have run out is in the log */
    struct mounts_watch mounts;
    uint32_t hand; /* slot where the search for a pin to drop goes on */
};

static inline uint64_t id_of(const struct node *node)
{
    return node->record->id;
}

/* Of any but the root. */
static inline const char *name_of(const struct tree *tree, const struct node *node)
{
    return nodenames_get(tree->table, nodetable_slot(id_of(node)));
}

/* Under the lock. */
static inline struct node *tree_find(struct tree *tree, uint64_t id)
{
    if (id == NODE_ROOT)
        return &tree->root;
    return nodetable_find(tree->table, id) ? tree->nodes[nodetable_slot(id)] : NULL;
}

/* Under the lock: is what is pinned of the node, and above it, as it was? */
bool tree_holds(struct tree *tree, struct node *node, struct stat *ret_st);
/* Under the lock. NULL: the name is not known. */
struct node *tree_child(struct tree *tree, const struct node *dir, const char *name);
/* Under the lock: as tree_path. */
bool tree_path_of(const struct tree *tree, const struct node *node, char *out);
