/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/tree.h"

#include <errno.h>
#include <string.h>

#include "crypt/base/log.h"
#include "fs/path.h"
#include "fs/tree_private.h"

#define BUCKETS_FIRST 1024u
/* Deeper than any path of PATH_SIZE bytes can be. */
#define DEPTH_MAX (PATH_SIZE / 2)
/* Pins that are kept however few descriptors there are. */
#define PINS_LEAST    4u
#define MESSAGE_STALE "another file has taken this name"

/* -- finding ----------------------------------------------------------------------------------- */

static uint32_t bucket_of(const struct tree *tree, uint64_t parent, const char *name)
{
    return path_hash(parent, name) & (tree->bucket_count - 1);
}

static struct node *find_child(struct tree *tree, uint64_t parent, const char *name)
{
    for (struct node *node = tree->buckets[bucket_of(tree, parent, name)]; node; node = node->next)
        if (node->record->parent == parent && strcmp(name_of(tree, node), name) == 0)
            return node;
    return NULL;
}

static bool grow_buckets(struct tree *tree)
{
    uint32_t old_count = tree->bucket_count, count = old_count ? 2 * old_count : BUCKETS_FIRST;
    struct node **old = tree->buckets, **buckets = calloc(count, sizeof(struct node *));
    if (!buckets)
        return old_count > 0; /* longer chains are better than no file */
    tree->buckets = buckets;
    tree->bucket_count = count;
    for (uint32_t i = 0; i < old_count; i++)
        for (struct node *node = old[i], *next; node; node = next) {
            next = node->next;
            struct node **bucket =
                &buckets[bucket_of(tree, node->record->parent, name_of(tree, node))];
            node->next = *bucket;
            *bucket = node;
        }
    free(old);
    return true;
}

static void attach(struct tree *tree, struct node *node)
{
    if (tree->count > tree->bucket_count)
        (void)grow_buckets(tree);
    struct node **bucket =
        &tree->buckets[bucket_of(tree, node->record->parent, name_of(tree, node))];
    node->next = *bucket;
    *bucket = node;
    node->detached = false;
}

static void detach(struct tree *tree, struct node *node)
{
    if (node->detached || !node->parent)
        return;
    struct node **at = &tree->buckets[bucket_of(tree, node->record->parent, name_of(tree, node))];
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    node->detached = true;
    node->placed = false;
}

/* -- pins -------------------------------------------------------------------------------------- */

static void drop_pin(struct tree *tree, struct node *node)
{
    if (!node->pin)
        return;
    pin_unref(node->pin);
    node->pin = NULL;
    tree->pins--;
}

/* Second chance: a node that was used since the hand last came by is passed over once. */
static void make_room(struct tree *tree)
{
    uint32_t high = tree->table->node_high;
    for (uint32_t steps = 0; tree->pins >= tree->pins_max && steps < 2 * high; steps++) {
        tree->hand = tree->hand + 1 < high ? tree->hand + 1 : 0;
        struct node *node = tree->nodes[tree->hand];
        if (!node || !node->pin || node->handles > 0)
            continue;
        if (!node->recent)
            drop_pin(tree, node);
        else
            node->recent = false;
    }
}

static void set_pin(struct tree *tree, struct node *node, struct pin *pin)
{
    drop_pin(tree, node);
    make_room(tree);
    node->pin = pin_ref(pin);
    node->recent = true;
    tree->pins++;
}

/* Leaf first, root last: at the moment of the first look the whole chain was as it had been pinned. Not recursive: paths can be deep. */
static bool chain_holds(struct node *node, uint32_t mounts, struct stat *ret_st)
{
    struct stat above, *st = ret_st;
    for (; node->parent; node = node->parent, st = &above) {
        const struct pin *dir = node->parent->pin;
        if (!node->pin || !node->placed || node->mounts != mounts || !dir ||
            node->parent_ino != dir->st.st_ino || node->parent_dev != dir->st.st_dev ||
            !pin_holds(node->pin, st))
            return false;
        node->recent = true;
    }
    return fstat(node->pin->fd, st) == 0;
}

bool tree_holds(struct tree *tree, struct node *node, struct stat *ret_st)
{
    return chain_holds(node, mounts_watch_count(&tree->mounts), ret_st);
}

struct node *tree_child(struct tree *tree, const struct node *dir, const char *name)
{
    return find_child(tree, id_of(dir), name);
}

static bool is_node_of(const struct node *node, const struct pin *pin)
{
    const struct node_record *record = node->record;
    return record->dev == pin->st.st_dev && record->ino == pin->st.st_ino &&
           record->type == (pin->st.st_mode & S_IFMT);
}

/* What the monitor found under the node's name, asked after `mounts` was read. */
static void place(struct tree *tree, struct node *node, struct pin *pin, uint32_t mounts)
{
    struct stat st;
    set_pin(tree, node, pin);
    node->placed = chain_holds(node->parent, mounts, &st);
    node->mounts = mounts;
    if (!node->placed)
        return;
    node->parent_dev = node->parent->pin->st.st_dev;
    node->parent_ino = node->parent->pin->st.st_ino;
}

/* -- life of nodes ----------------------------------------------------------------------------- */

static void free_unused(struct tree *tree, struct node *node)
{
    while (
        node->parent && node->record->lookups == 0 && node->children == 0 && node->handles == 0) {
        struct node *parent = node->parent;
        uint32_t slot = nodetable_slot(id_of(node));
        detach(tree, node);
        drop_pin(tree, node);
        node->record->id = 0;
        nodenames_drop(&tree->names, slot);
        tree->nodes[slot] = NULL;
        tree->count--;
        slots_give(&tree->slots, slot);
        free(node);
        parent->children--;
        node = parent;
    }
}

static struct node *node_new(
    struct tree *tree, struct node *parent, const char *name, const struct pin *pin)
{
    uint32_t slot;
    struct node *node = calloc(1, sizeof *node);
    if (!node || !slots_take(&tree->slots, &slot)) {
        free(node);
        return NULL;
    }
    struct node_record *record = &tree->table->nodes[slot];
    uint32_t uses = record->uses + 1;
    if (!nodenames_put(&tree->names, slot, name)) {
        slots_give(&tree->slots, slot);
        free(node);
        return NULL;
    }
    *record = (struct node_record){.parent = id_of(parent),
        .dev = pin->st.st_dev,
        .ino = pin->st.st_ino,
        .type = pin->st.st_mode & S_IFMT,
        .uses = uses,
        .name = record->name};
    __atomic_store_n(&record->id, nodetable_next_id(tree->table, slot), __ATOMIC_RELEASE);
    *node = (struct node){.parent = parent, .record = record, .open_length = -1, .detached = true};
    parent->children++;
    tree->nodes[slot] = node;
    tree->count++;
    attach(tree, node);
    return node;
}

void tree_forget(struct tree *tree, uint64_t id, uint64_t count)
{
    pthread_mutex_lock(&tree->lock);
    struct node *node = tree_find(tree, id);
    if (node && node->parent) {
        node->record->lookups -= count < node->record->lookups ? count : node->record->lookups;
        free_unused(tree, node);
    }
    pthread_mutex_unlock(&tree->lock);
}

/* -- the monitor ------------------------------------------------------------------------------- */

/* Keeps half as many pins from now on; at least as many as a path of some depth has. */
static void keep_fewer(struct tree *tree)
{
    pthread_mutex_lock(&tree->lock);
    tree->pins_max = tree->pins / 2 < PINS_LEAST ? PINS_LEAST : tree->pins / 2;
    make_room(tree);
    pthread_mutex_unlock(&tree->lock);
}

/* As source_pin. When descriptors have run out, those that are kept for the next time give way. */
static bool pin_path(struct tree *tree, const char *path, struct pin **ret_pin, struct err *err)
{
    if (source_pin(tree->source, path, ret_pin, err))
        return true;
    if (err->sys_errno != EMFILE)
        return false;
    keep_fewer(tree);
    if (source_pin(tree->source, path, ret_pin, err))
        return true;
    if (err->sys_errno == EMFILE) {
        if (!atomic_flag_test_and_set(&tree->told_files))
            log_warning("the worker has no descriptor left; raise RLIMIT_NOFILE (LimitNOFILE= in "
                        "the unit)");
        err->sys_errno = ENFILE; /* it is not the caller's limit */
    }
    return false;
}

/* -- the two ways to a file -------------------------------------------------------------------- */

static bool refuse(int sys_errno, const char *what, struct err *err)
{
    return err_set_at(err, ERR_IO, sys_errno, __FILE__, __LINE__, "%s", what);
}

/* The directory is no directory any more, or a link now: the kernel shall walk again. */
static bool refuse_walk(struct err *err)
{
    if (err->sys_errno == ENOTDIR || err->sys_errno == ELOOP)
        return refuse(ESTALE, MESSAGE_STALE, err);
    return false;
}

/* NULL with ESTALE. */
static struct node *find_live(struct tree *tree, uint64_t id, struct err *err)
{
    struct node *node = tree_find(tree, id);
    if (node && !node->detached)
        return node;
    refuse(ESTALE, MESSAGE_STALE, err);
    return NULL;
}

/* Under the lock: from memory, or the path to ask for. */
static bool look_child(struct tree *tree, uint64_t parent, const char *name, uint64_t *ret_id,
    struct pin **ret_pin, struct stat *ret_st, char *path, struct err *err)
{
    char dir_path[PATH_SIZE];
    const struct node *dir = find_live(tree, parent, err);
    if (!dir)
        return false;
    struct node *node = find_child(tree, parent, name);
    if (node && chain_holds(node, mounts_watch_count(&tree->mounts), ret_st)) {
        node->record->lookups++;
        *ret_id = id_of(node);
        *ret_pin = pin_ref(node->pin);
        return true;
    }
    if (!tree_path_of(tree, dir, dir_path) || !path_join(dir_path, name, path))
        return refuse(ENAMETOOLONG, "path", err);
    return true;
}

/* Under the lock: the monitor found this file under the name. */
static bool enter_child(struct tree *tree, uint64_t parent, const char *name, struct pin *pin,
    uint32_t mounts, uint64_t *ret_id, struct err *err)
{
    struct node *dir = find_live(tree, parent, err);
    if (!dir)
        return false;
    struct node *node = find_child(tree, parent, name);
    if (node && !is_node_of(node, pin)) {
        detach(tree, node);
        node = NULL;
    }
    if (!node)
        node = node_new(tree, dir, name, pin);
    if (!node)
        return refuse(ENFILE, "the table of nodes is full", err);
    node->record->lookups++;
    place(tree, node, pin, mounts);
    *ret_id = id_of(node);
    return true;
}

bool tree_lookup(struct tree *tree, uint64_t parent, const char *name, uint64_t *ret_id,
    struct pin **ret_pin, struct stat *ret_st, struct err *err)
{
    char path[PATH_SIZE];
    auto_pin *pin = NULL, *dir_pin = NULL;
    struct stat dir_st;
    if (!path_name_valid(name, strlen(name)))
        return refuse(strlen(name) > 255 ? ENAMETOOLONG : ENOENT, "name", err);
    pthread_mutex_lock(&tree->lock);
    bool done = look_child(tree, parent, name, ret_id, &pin, ret_st, path, err);
    uint32_t mounts = tree->mounts.count;
    pthread_mutex_unlock(&tree->lock);
    if (!done)
        return false;
    if (pin) {
        *ret_pin = take_ptr(pin);
        return true;
    }
    /* The directory first: only under a pinned directory can the child's pin be of use again. */
    if (!tree_pin(tree, parent, &dir_pin, &dir_st, err))
        return false;
    if (!pin_path(tree, path, &pin, err))
        return refuse_walk(err);
    *ret_st = pin->st;
    pthread_mutex_lock(&tree->lock);
    done = enter_child(tree, parent, name, pin, mounts, ret_id, err);
    pthread_mutex_unlock(&tree->lock);
    if (done)
        *ret_pin = take_ptr(pin);
    return done;
}

static bool enter_node(
    struct tree *tree, uint64_t id, struct pin *pin, uint32_t mounts, struct err *err)
{
    struct node *node = find_live(tree, id, err);
    if (!node)
        return false;
    if (!is_node_of(node, pin)) {
        detach(tree, node);
        return refuse(ESTALE, MESSAGE_STALE, err);
    }
    place(tree, node, pin, mounts);
    return true;
}

/* Asks the monitor for one node, whose parent was just looked at. */
static bool pin_one(struct tree *tree, uint64_t id, uint32_t mounts, struct pin **ret_pin,
    struct stat *ret_st, struct err *err)
{
    char path[PATH_SIZE];
    auto_pin *pin = NULL;
    pthread_mutex_lock(&tree->lock);
    const struct node *node = find_live(tree, id, err);
    bool done = node && (tree_path_of(tree, node, path) || refuse(ENAMETOOLONG, "path", err));
    pthread_mutex_unlock(&tree->lock);
    if (!done)
        return false;
    if (!pin_path(tree, path, &pin, err))
        return refuse_walk(err);
    *ret_st = pin->st;
    pthread_mutex_lock(&tree->lock);
    done = enter_node(tree, id, pin, mounts, err);
    pthread_mutex_unlock(&tree->lock);
    if (done)
        *ret_pin = take_ptr(pin);
    return done;
}

/* Under the lock: the node's pin if its chain holds, else the ids (leaf first) of what must be pinned anew: the node and what is above it
 * up to a directory that holds. An array, since a thread's stack is smaller than the deepest path. */
static bool look_node(struct tree *tree, uint64_t id, uint64_t **ret_ids, size_t *ret_count,
    struct pin **ret_pin, struct stat *ret_st, struct err *err)
{
    struct stat above;
    struct node *node = find_live(tree, id, err);
    uint32_t mounts = mounts_watch_count(&tree->mounts);
    *ret_count = 0;
    if (!node)
        return false;
    if (chain_holds(node, mounts, ret_st)) {
        *ret_pin = pin_ref(node->pin);
        return true;
    }
    uint64_t *ids = *ret_ids = malloc(DEPTH_MAX * sizeof *ids);
    if (!ids)
        return err_nomem(err);
    for (; node->parent; node = node->parent) {
        if (*ret_count == DEPTH_MAX)
            return refuse(ENAMETOOLONG, "path", err);
        if (*ret_count > 0 && chain_holds(node, mounts, &above))
            return true;
        ids[(*ret_count)++] = id_of(node);
    }
    return *ret_count > 0 || refuse(EIO, "the source directory cannot be read", err);
}

bool tree_pin(
    struct tree *tree, uint64_t id, struct pin **ret_pin, struct stat *ret_st, struct err *err)
{
    auto_free uint64_t *ids = NULL;
    auto_pin *pin = NULL;
    size_t count;
    pthread_mutex_lock(&tree->lock);
    bool done = look_node(tree, id, &ids, &count, &pin, ret_st, err);
    uint32_t mounts = tree->mounts.count;
    pthread_mutex_unlock(&tree->lock);
    while (done && count > 0) {
        pin_unref(pin);
        pin = NULL;
        done = pin_one(tree, ids[--count], mounts, &pin, ret_st, err);
    }
    if (done)
        *ret_pin = take_ptr(pin);
    return done;
}

bool tree_pin_read(
    struct tree *tree, uint64_t id, struct pin **ret_pin, struct stat *ret_st, struct err *err)
{
    auto_pin *pin = NULL;
    if (!tree_pin(tree, id, &pin, ret_st, err))
        return false;
    if (!source_content_holds(tree->source, pin)) {
        pthread_mutex_lock(&tree->lock);
        struct node *node = tree_find(tree, id);
        if (node)
            node->placed = false;
        pthread_mutex_unlock(&tree->lock);
        pin_unref(pin);
        pin = NULL;
        if (!tree_pin(tree, id, &pin, ret_st, err))
            return false;
    }
    *ret_pin = take_ptr(pin);
    return true;
}

bool tree_stat(
    struct tree *tree, uint64_t id, struct pin **ret_pin, struct stat *ret_st, struct err *err)
{
    if (tree_pin(tree, id, ret_pin, ret_st, err))
        return true;
    pthread_mutex_lock(&tree->lock);
    struct node *node = tree_find(tree, id);
    bool open = node && node->handles > 0 && node->pin && fstat(node->pin->fd, ret_st) == 0;
    if (open)
        *ret_pin = pin_ref(node->pin);
    pthread_mutex_unlock(&tree->lock);
    return open;
}

/* -- open files ------------------------------------------------------------------------------------- */

void tree_opened(struct tree *tree, uint64_t id, struct pin *pin, int64_t length)
{
    pthread_mutex_lock(&tree->lock);
    struct node *node = tree_find(tree, id);
    if (node) {
        node->handles++;
        node->open_length = length;
        if (!node->pin)
            set_pin(tree, node, pin);
    }
    pthread_mutex_unlock(&tree->lock);
}

bool tree_closed(struct tree *tree, uint64_t id)
{
    bool last = false;
    pthread_mutex_lock(&tree->lock);
    struct node *node = tree_find(tree, id);
    if (node && node->handles > 0 && --node->handles == 0) {
        last = true;
        node->open_length = -1;
        free_unused(tree, node);
    }
    pthread_mutex_unlock(&tree->lock);
    return last;
}

/* -- making ------------------------------------------------------------------------------------ */

static struct node *adopt(struct tree *tree, uint32_t slot)
{
    struct node *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    *node = (struct node){.record = &tree->table->nodes[slot], .open_length = -1, .detached = true};
    tree->nodes[slot] = node;
    tree->count++;
    return node;
}

/* Two nodes of one name: the one made later (or pinned first) is found by lookups; which is of no matter, as the first
 * look at the file shows whose it is. */
static bool take_over(struct tree *tree, struct err *err)
{
    struct nodetable_data *table = tree->table;
    for (uint32_t slot = 0; slot < table->node_high; slot++)
        if (table->nodes[slot].id == 0)
            slots_give(&tree->slots, slot);
        else if (!adopt(tree, slot))
            return err_nomem(err);
    for (uint32_t slot = 0; slot < table->node_high; slot++) {
        struct node *node = tree->nodes[slot];
        if (!node)
            continue;
        node->parent = tree_find(tree, node->record->parent);
        node->parent->children++;
        if (!find_child(tree, node->record->parent, name_of(tree, node)))
            attach(tree, node);
    }
    return true;
}

bool tree_new(const struct source *source, struct nodetable_data *table, size_t pins_max,
    struct tree **ret_tree, struct err *err)
{
    AUTO(tree_free) struct tree *tree = calloc(1, sizeof *tree);
    if (!tree)
        return err_nomem(err);
    *tree = (struct tree){.source = source, .table = table, .pins_max = pins_max};
    /* Often held across an fstat(2): the other threads come to it sooner by spinning a little than by sleeping. */
    tree->lock = (pthread_mutex_t)PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
    /* The table has no record of the root: what a predecessor told of it is not known. */
    tree->root_record = (struct node_record){.id = NODE_ROOT,
        .lookups = 1,
        .told_mode = table->init_len > 0 ? NODE_TOLD_MANY : NODE_TOLD_NOTHING};
    tree->root = (struct node){.record = &tree->root_record, .placed = true, .open_length = -1};
    tree->nodes = calloc(NODETABLE_NODES, sizeof(struct node *));
    if (!tree->nodes || !grow_buckets(tree))
        return err_nomem(err);
    if (!mounts_watch_init(&tree->mounts, err))
        return false;
    (void)nodetable_check(table);
    slots_init(&tree->slots, &table->node_high, NODETABLE_NODES);
    nodenames_init(&tree->names, table);
    if (!source_pin(source, "", &tree->root.pin, err))
        return err_wrap(err, "source directory");
    if (!take_over(tree, err))
        return false;
    *ret_tree = take_ptr(tree);
    return true;
}

void tree_free(struct tree *tree)
{
    if (!tree)
        return;
    for (uint32_t slot = 0; tree->nodes && slot < NODETABLE_NODES && slot < tree->table->node_high;
         slot++)
        if (tree->nodes[slot]) {
            pin_unref(tree->nodes[slot]->pin);
            free(tree->nodes[slot]);
        }
    pin_unref(tree->root.pin);
    mounts_watch_done(&tree->mounts);
    pthread_mutex_destroy(&tree->lock);
    free(tree->nodes);
    free(tree->buckets);
    slots_done(&tree->slots);
    nodenames_done(&tree->names);
    free(tree);
}
