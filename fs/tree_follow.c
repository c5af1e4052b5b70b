/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node whose name went to another file, asked for by somebody who cannot walk the path again: a single file that is bind-mounted
 * elsewhere (a Kubernetes subPath) is one node for good. It follows its name, and that of a rotated volume follows "..data".
 */
#include <stdio.h>
#include <string.h>

#include "fs/path.h"
#include "fs/tree_private.h"

#define LINK "..data"

/* "..2026_01_31_10_11_12.123", the directory of one turn of a volume. */
static bool is_turn(const char *name, size_t len)
{
    return len > 2 && strncmp(name, "..", 2) == 0 &&
           (len != strlen(LINK) || strncmp(name, LINK, len) != 0);
}

/* The first component of that form: its start and length. */
static const char *find_turn(const char *path, size_t *ret_len)
{
    for (const char *at = path; *at;) {
        size_t len = strcspn(at, "/");
        if (is_turn(at, len)) {
            *ret_len = len;
            return at;
        }
        at += len + (at[len] == '/');
    }
    return NULL;
}

/* The same file of the volume's present turn: "DIR/..old/REST" -> "DIR/..new/REST", as DIR/..data says. */
static bool path_now(const struct source *source, const char *path, char *out, struct err *err)
{
    size_t len;
    auto_pin *link = NULL;
    const char *turn = find_turn(path, &len);
    if (!turn)
        return false;
    int made = snprintf(out, PATH_SIZE, "%.*s" LINK, (int)(turn - path), path);
    if (made >= PATH_SIZE || !source_pin(source, out, &link, err) || !link->target ||
        !path_name_valid(link->target, strlen(link->target)))
        return false;
    made = snprintf(out, PATH_SIZE, "%.*s%s%s", (int)(turn - path), path, link->target, turn + len);
    return made < PATH_SIZE;
}

/* Under the lock: what is remembered of the link beside the turn's directory. Who came by it has just had it looked up. */
static bool link_says(struct tree *tree, const struct node *turn)
{
    struct stat st;
    struct node *link = tree_child(tree, turn->parent, LINK);
    return link && tree_holds(tree, link, &st) && link->pin->target &&
           strcmp(link->pin->target, name_of(tree, turn)) == 0;
}

bool tree_is_left_behind(struct tree *tree, uint64_t id)
{
    char path[PATH_SIZE], now[PATH_SIZE];
    struct err err = ERR_INIT;
    bool behind = false;
    pthread_mutex_lock(&tree->lock);
    for (const struct node *node = tree_find(tree, id); node && node->parent; node = node->parent)
        if (is_turn(name_of(tree, node), strlen(name_of(tree, node))))
            behind = !link_says(tree, node);
    pthread_mutex_unlock(&tree->lock);
    return behind && tree_path(tree, id, path) && path_now(tree->source, path, now, &err) &&
           strcmp(path, now) != 0;
}

bool tree_follow(
    struct tree *tree, uint64_t id, struct pin **ret_pin, struct stat *ret_st, struct err *err)
{
    char path[PATH_SIZE], now[PATH_SIZE];
    auto_pin *pin = NULL;
    struct err why = ERR_INIT;
    if (!tree_path(tree, id, path))
        return false;
    bool turned = path_now(tree->source, path, now, &why);
    err_clear(&why);
    if (!source_pin(tree->source, turned ? now : path, &pin, &why) || !S_ISREG(pin->st.st_mode))
        return false;
    err_clear(err);
    *ret_st = pin->st;
    *ret_pin = take_ptr(pin);
    return true;
}
