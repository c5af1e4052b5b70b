/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/tree.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "fs/path.h"
#include "fs/slots.h"

#define BUCKETS_FIRST 1024u
#define MESSAGE_STALE "another file has taken this name"

struct node {
    struct node *parent; /* NULL: the root */
    struct node *next;   /* in its bucket */
    struct node_record *record;
    struct pin *pin;
    /* The directory that the pin was found in. Only while that is still the parent does the pin say where the file is. */
    dev_t parent_dev;
    ino_t parent_ino;
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
    size_t count;
    size_t pins, pins_max;
    uint32_t hand; /* slot where the search for a pin to drop goes on */
};

/* -- finding ----------------------------------------------------------------------------------- */

static uint32_t bucket_of(const struct tree *tree, uint64_t parent, const char *name)
{
    return path_hash(parent, name) & (tree->bucket_count - 1);
}

static uint64_t id_of(const struct node *node)
{
    return node->record->id;
}

static struct node *find(struct tree *tree, uint64_t id)
{
    if (id == NODE_ROOT)
        return &tree->root;
    return nodetable_find(tree->table, id) ? tree->nodes[nodetable_slot(id)] : NULL;
}

static struct node *find_child(struct tree *tree, uint64_t parent, const char *name)
{
    for (struct node *node = tree->buckets[bucket_of(tree, parent, name)]; node; node = node->next)
        if (node->record->parent == parent && strcmp(node->record->name, name) == 0)
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
                &buckets[bucket_of(tree, node->record->parent, node->record->name)];
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
        &tree->buckets[bucket_of(tree, node->record->parent, node->record->name)];
    node->next = *bucket;
    *bucket = node;
    node->detached = false;
}

static void detach(struct tree *tree, struct node *node)
{
    if (node->detached || !node->parent)
        return;
    struct node **at = &tree->buckets[bucket_of(tree, node->record->parent, node->record->name)];
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

/* Leaf first, root last: at the moment of the first look the whole chain was as it had been pinned. */
static bool chain_holds(struct node *node, struct stat *ret_st)
{
    struct stat above;
    if (!node->parent)
        return fstat(node->pin->fd, ret_st) == 0;
    const struct node *parent = node->parent;
    if (!node->pin || !node->placed || !parent->pin || node->parent_ino != parent->pin->st.st_ino ||
        node->parent_dev != parent->pin->st.st_dev || !pin_holds(node->pin, ret_st))
        return false;
    node->recent = true;
    return chain_holds(node->parent, &above);
}

static bool is_node_of(const struct node *node, const struct pin *pin)
{
    const struct node_record *record = node->record;
    return record->dev == pin->st.st_dev && record->ino == pin->st.st_ino &&
           record->type == (pin->st.st_mode & S_IFMT);
}

/* What the monitor found under the node's name. */
static void place(struct tree *tree, struct node *node, struct pin *pin)
{
    struct stat st;
    set_pin(tree, node, pin);
    node->placed = chain_holds(node->parent, &st);
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
    *record = (struct node_record){.parent = id_of(parent),
        .dev = pin->st.st_dev,
        .ino = pin->st.st_ino,
        .type = pin->st.st_mode & S_IFMT,
        .uses = uses};
    memcpy(record->name, name, strlen(name) + 1);
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
    struct node *node = find(tree, id);
    if (node && node->parent) {
        node->record->lookups -= count < node->record->lookups ? count : node->record->lookups;
        free_unused(tree, node);
    }
    pthread_mutex_unlock(&tree->lock);
}

/* -- paths ------------------------------------------------------------------------------------- */

static bool path_of(const struct node *node, char *out)
{
    char reversed[PATH_SIZE];
    size_t at = sizeof reversed - 1;
    reversed[at] = '\0';
    for (; node->parent; node = node->parent) {
        size_t len = strlen(node->record->name);
        if (at < len + 1)
            return false;
        if (reversed[at] != '\0')
            reversed[--at] = '/';
        at -= len;
        memcpy(reversed + at, node->record->name, len);
    }
    memcpy(out, reversed + at, sizeof reversed - at);
    return true;
}

bool tree_path(struct tree *tree, uint64_t id, char *out)
{
    pthread_mutex_lock(&tree->lock);
    struct node *node = find(tree, id);
    bool done = node && path_of(node, out);
    pthread_mutex_unlock(&tree->lock);
    return done;
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
    struct node *node = find(tree, id);
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
    if (node && chain_holds(node, ret_st)) {
        node->record->lookups++;
        *ret_id = id_of(node);
        *ret_pin = pin_ref(node->pin);
        return true;
    }
    if (!path_of(dir, dir_path) || !path_join(dir_path, name, path))
        return refuse(ENAMETOOLONG, "path", err);
    return true;
}

/* Under the lock: the monitor found this file under the name. */
static bool enter_child(struct tree *tree, uint64_t parent, const char *name, struct pin *pin,
    uint64_t *ret_id, struct err *err)
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
    place(tree, node, pin);
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
    if (!source_pin(tree->source, path, &pin, err))
        return refuse_walk(err);
    *ret_st = pin->st;
    pthread_mutex_lock(&tree->lock);
    done = enter_child(tree, parent, name, pin, ret_id, err);
    pthread_mutex_unlock(&tree->lock);
    if (done)
        *ret_pin = take_ptr(pin);
    return done;
}

/* Under the lock: from memory (*ret_pin set), or the path to ask for and whose parent to pin first. */
static bool look_node(struct tree *tree, uint64_t id, struct pin **ret_pin, struct stat *ret_st,
    char *path, uint64_t *ret_parent, struct err *err)
{
    struct node *node = find_live(tree, id, err);
    if (!node)
        return false;
    if (chain_holds(node, ret_st)) {
        *ret_pin = pin_ref(node->pin);
        return true;
    }
    if (!node->parent)
        return refuse(EIO, "the source directory cannot be read", err);
    *ret_parent = id_of(node->parent);
    return path_of(node, path) || refuse(ENAMETOOLONG, "path", err);
}

static bool enter_node(struct tree *tree, uint64_t id, struct pin *pin, struct err *err)
{
    struct node *node = find_live(tree, id, err);
    if (!node)
        return false;
    if (!is_node_of(node, pin)) {
        detach(tree, node);
        return refuse(ESTALE, MESSAGE_STALE, err);
    }
    place(tree, node, pin);
    return true;
}

bool tree_pin(
    struct tree *tree, uint64_t id, struct pin **ret_pin, struct stat *ret_st, struct err *err)
{
    char path[PATH_SIZE];
    auto_pin *pin = NULL, *dir_pin = NULL;
    struct stat dir_st;
    uint64_t parent = NODE_ROOT;
    pthread_mutex_lock(&tree->lock);
    bool done = look_node(tree, id, &pin, ret_st, path, &parent, err);
    pthread_mutex_unlock(&tree->lock);
    if (!done)
        return false;
    if (pin) {
        *ret_pin = take_ptr(pin);
        return true;
    }
    if (!tree_pin(tree, parent, &dir_pin, &dir_st, err))
        return false;
    if (!source_pin(tree->source, path, &pin, err))
        return refuse_walk(err);
    pthread_mutex_lock(&tree->lock);
    done = enter_node(tree, id, pin, err);
    pthread_mutex_unlock(&tree->lock);
    if (!done)
        return false;
    *ret_st = pin->st;
    *ret_pin = take_ptr(pin);
    return true;
}

bool tree_stat(
    struct tree *tree, uint64_t id, struct pin **ret_pin, struct stat *ret_st, struct err *err)
{
    if (tree_pin(tree, id, ret_pin, ret_st, err))
        return true;
    pthread_mutex_lock(&tree->lock);
    struct node *node = find(tree, id);
    bool open = node && node->handles > 0 && node->pin && fstat(node->pin->fd, ret_st) == 0;
    if (open)
        *ret_pin = pin_ref(node->pin);
    pthread_mutex_unlock(&tree->lock);
    return open;
}

/* -- sizes ------------------------------------------------------------------------------------- */

void tree_told(struct tree *tree, uint64_t id, uint64_t size)
{
    pthread_mutex_lock(&tree->lock);
    struct node *node = find(tree, id);
    if (node)
        node->told = size;
    pthread_mutex_unlock(&tree->lock);
}

uint64_t tree_told_size(struct tree *tree, uint64_t id)
{
    pthread_mutex_lock(&tree->lock);
    const struct node *node = find(tree, id);
    uint64_t told = node ? node->told : 0;
    pthread_mutex_unlock(&tree->lock);
    return told;
}

void tree_opened(struct tree *tree, uint64_t id, struct pin *pin, int64_t length)
{
    pthread_mutex_lock(&tree->lock);
    struct node *node = find(tree, id);
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
    struct node *node = find(tree, id);
    if (node && node->handles > 0 && --node->handles == 0) {
        last = true;
        node->open_length = -1;
        free_unused(tree, node);
    }
    pthread_mutex_unlock(&tree->lock);
    return last;
}

int64_t tree_open_length(struct tree *tree, uint64_t id)
{
    pthread_mutex_lock(&tree->lock);
    const struct node *node = find(tree, id);
    int64_t length = node ? node->open_length : -1;
    pthread_mutex_unlock(&tree->lock);
    return length;
}

size_t tree_count(struct tree *tree)
{
    pthread_mutex_lock(&tree->lock);
    size_t count = tree->count;
    pthread_mutex_unlock(&tree->lock);
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
        node->parent = find(tree, node->record->parent);
        node->parent->children++;
        if (!find_child(tree, node->record->parent, node->record->name))
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
    pthread_mutex_init(&tree->lock, NULL);
    tree->root_record = (struct node_record){.id = NODE_ROOT, .lookups = 1};
    tree->root = (struct node){.record = &tree->root_record, .placed = true, .open_length = -1};
    tree->nodes = calloc(NODETABLE_NODES, sizeof(struct node *));
    if (!tree->nodes || !grow_buckets(tree))
        return err_nomem(err);
    (void)nodetable_check(table);
    slots_init(&tree->slots, &table->node_high, NODETABLE_NODES);
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
    pthread_mutex_destroy(&tree->lock);
    free(tree->nodes);
    free(tree->buckets);
    slots_done(&tree->slots);
    free(tree);
}
