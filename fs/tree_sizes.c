/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/tree_private.h"

static bool is_told(const struct node_record *record, const struct stat *st)
{
    return record->told_mode == st->st_mode && record->told_uid == st->st_uid &&
           record->told_gid == st->st_gid;
}

static void note_owner(struct node_record *record, const struct stat *st)
{
    if (record->told_mode != NODE_TOLD_NOTHING) {
        if (!is_told(record, st))
            record->told_mode = NODE_TOLD_MANY;
        return;
    }
    record->told_mode = st->st_mode;
    record->told_uid = st->st_uid;
    record->told_gid = st->st_gid;
}

void tree_told(struct tree *tree, uint64_t id, const struct stat *st, bool is_sealed)
{
    pthread_mutex_lock(&tree->lock);
    struct node *node = tree_find(tree, id);
    if (node) {
        note_owner(node->record, st);
        if (is_sealed)
            node->told = (uint64_t)st->st_size;
    }
    pthread_mutex_unlock(&tree->lock);
}

bool tree_told_only(struct tree *tree, uint64_t id, const struct stat *st)
{
    pthread_mutex_lock(&tree->lock);
    const struct node *node = tree_find(tree, id);
    bool only = node && is_told(node->record, st);
    pthread_mutex_unlock(&tree->lock);
    return only;
}

bool tree_told_many(struct tree *tree, uint64_t id)
{
    pthread_mutex_lock(&tree->lock);
    const struct node *node = tree_find(tree, id);
    bool many = node && node->record->told_mode == NODE_TOLD_MANY;
    pthread_mutex_unlock(&tree->lock);
    return many;
}

uint64_t tree_told_size(struct tree *tree, uint64_t id)
{
    pthread_mutex_lock(&tree->lock);
    const struct node *node = tree_find(tree, id);
    uint64_t told = node ? node->told : 0;
    pthread_mutex_unlock(&tree->lock);
    return told;
}

int64_t tree_open_length(struct tree *tree, uint64_t id)
{
    pthread_mutex_lock(&tree->lock);
    const struct node *node = tree_find(tree, id);
    int64_t length = node ? node->open_length : -1;
    pthread_mutex_unlock(&tree->lock);
    return length;
}

void tree_grown(struct tree *tree, uint64_t id, int64_t length)
{
    pthread_mutex_lock(&tree->lock);
    struct node *node = tree_find(tree, id);
    if (node && node->handles > 0 && node->open_length < length)
        node->open_length = length;
    pthread_mutex_unlock(&tree->lock);
}

size_t tree_count(struct tree *tree)
{
    pthread_mutex_lock(&tree->lock);
    size_t count = tree->count;
    pthread_mutex_unlock(&tree->lock);
    return count;
}

size_t tree_open_nodes(struct tree *tree, uint64_t **ret_nodes)
{
    size_t count = 0, size = 0;
    uint64_t *nodes = NULL;
    pthread_mutex_lock(&tree->lock);
    for (uint32_t slot = 0; slot < tree->table->node_high; slot++) {
        const struct node *node = tree->nodes[slot];
        if (!node || node->handles == 0)
            continue;
        if (count == size) {
            size = size ? 2 * size : 64;
            uint64_t *larger = reallocarray(nodes, size, sizeof *larger);
            if (!larger)
                break;
            nodes = larger;
        }
        nodes[count++] = id_of(node);
    }
    pthread_mutex_unlock(&tree->lock);
    *ret_nodes = nodes;
    return count;
}

void tree_each_sealed(struct tree *tree, void (*fn)(void *arg, uint64_t id), void *arg)
{
    pthread_mutex_lock(&tree->lock);
    for (uint32_t slot = 0; slot < tree->table->node_high; slot++) {
        const struct node *node = tree->nodes[slot];
        if (node && (node->told > 0 || node->handles > 0))
            fn(arg, id_of(node));
    }
    pthread_mutex_unlock(&tree->lock);
}
