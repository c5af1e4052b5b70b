/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fs/path.h"
#include "fs/tree_private.h"

bool tree_path_of(const struct tree *tree, const struct node *node, char *out)
{
    char reversed[PATH_SIZE];
    size_t at = sizeof reversed - 1;
    reversed[at] = '\0';
    for (; node->parent; node = node->parent) {
        const char *name = name_of(tree, node);
        size_t len = strlen(name);
        if (at < len + 1)
            return false;
        if (reversed[at] != '\0')
            reversed[--at] = '/';
        at -= len;
        memcpy(reversed + at, name, len);
    }
    memcpy(out, reversed + at, sizeof reversed - at);
    return true;
}

bool tree_path(struct tree *tree, uint64_t id, char *out)
{
    pthread_mutex_lock(&tree->lock);
    struct node *node = tree_find(tree, id);
    bool done = node && tree_path_of(tree, node, out);
    pthread_mutex_unlock(&tree->lock);
    return done;
}
