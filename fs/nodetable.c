/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/nodetable.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/nodenames.h"
#include "fs/path.h"

#define MAGIC     0x73656c6674616233u /* "selftab3": counts up with each change of what lies where */
#define SLOT_BITS 24
#define SLOT_MASK ((1u << SLOT_BITS) - 1)
/* Deeper than any path of PATH_SIZE bytes can be. */
#define DEPTH_MAX (PATH_SIZE / 2)

_Static_assert(NODETABLE_NODES < SLOT_MASK, "slots fit their bits");

bool nodetable_create(int *ret_fd, struct err *err)
{
    auto_fd int fd = memfd_create("sealedfs-nodes", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, sizeof(struct nodetable_data)) < 0)
        return err_set_errno(err, ERR_NOMEM, "table of nodes");
    /* A worker that went wrong must not be able to make its successor fault on a shorter file. */
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return err_set_errno(err, ERR_INTERNAL, "seal the table of nodes");
    *ret_fd = take_fd(fd);
    return true;
}

bool nodetable_fits(int fd, struct err *err)
{
    struct stat st;
    uint64_t magic;
    if (fstat(fd, &st) < 0 || pread(fd, &magic, sizeof magic, 0) != sizeof magic)
        return err_set_errno(err, ERR_INTERNAL, "read the table of nodes");
    /* 0: no worker has had it yet. */
    if (st.st_size != sizeof(struct nodetable_data) || (magic != MAGIC && magic != 0))
        return err_set(err, ERR_CONFIG,
            "the running daemon keeps its files in a form that this version does not know; stop "
            "it and start this one");
    return true;
}

bool nodetable_map(int fd, struct nodetable_data **ret_table, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size != sizeof(struct nodetable_data))
        return err_set(err, ERR_INTERNAL, "the table of nodes has the wrong size");
    void *at = mmap(NULL, sizeof(struct nodetable_data), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return err_set_errno(err, ERR_NOMEM, "map the table of nodes");
    /* Names are no secrets, and all of it counts against RLIMIT_MEMLOCK when mlockall is on. */
    (void)munlock(at, sizeof(struct nodetable_data));
    struct nodetable_data *table = at;
    if (table->magic != MAGIC)
        table->generation = 0;
    table->magic = MAGIC;
    table->generation++;
    *ret_table = table;
    return true;
}

void nodetable_unmap(struct nodetable_data *table)
{
    if (table)
        munmap(table, sizeof *table);
}

uint32_t nodetable_slot(uint64_t id)
{
    return (uint32_t)(id & SLOT_MASK) - 1;
}

uint64_t nodetable_next_id(const struct nodetable_data *table, uint32_t index)
{
    return (uint64_t)table->nodes[index].uses << SLOT_BITS | (index + 1);
}

struct node_record *nodetable_find(struct nodetable_data *table, uint64_t id)
{
    uint32_t slot = nodetable_slot(id);
    if (id == 0 || slot >= NODETABLE_NODES || table->nodes[slot].id != id)
        return NULL;
    return &table->nodes[slot];
}

struct handle_record *nodetable_find_handle(struct nodetable_data *table, uint64_t fh)
{
    uint32_t slot = nodetable_slot(fh);
    if (fh == 0 || slot >= NODETABLE_HANDLES || table->handles[slot].fh != fh)
        return NULL;
    return &table->handles[slot];
}

static bool is_sound(struct nodetable_data *table, uint32_t slot)
{
    struct node_record *record = &table->nodes[slot];
    if (nodetable_slot(record->id) != slot || record->id == NODE_ROOT)
        return false;
    const char *name = nodenames_check(table, slot);
    return name && path_name_valid(name, strlen(name)) &&
           (record->parent == NODE_ROOT || nodetable_find(table, record->parent));
}

static bool reaches_root(struct nodetable_data *table, const struct node_record *record)
{
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        if (record->parent == NODE_ROOT)
            return true;
        record = nodetable_find(table, record->parent);
        if (!record)
            return false;
    }
    return false;
}

/* One pass frees what is wrong by itself; freeing orphans others, so passes go on until one finds nothing. */
static size_t check_nodes(struct nodetable_data *table)
{
    size_t freed = 0, found;
    do {
        found = 0;
        for (uint32_t slot = 0; slot < table->node_high; slot++) {
            struct node_record *record = &table->nodes[slot];
            if (record->id == 0 || (is_sound(table, slot) && reaches_root(table, record)))
                continue;
            record->id = 0;
            found++;
        }
        freed += found;
    } while (found > 0);
    return freed;
}

static size_t check_handles(struct nodetable_data *table)
{
    size_t freed = 0;
    for (uint32_t slot = 0; slot < table->handle_high; slot++) {
        struct handle_record *record = &table->handles[slot];
        if (record->fh == 0 ||
            (nodetable_slot(record->fh) == slot && nodetable_find(table, record->node)))
            continue;
        record->fh = 0;
        freed++;
    }
    return freed;
}

size_t nodetable_check(struct nodetable_data *table)
{
    if (table->init_len > NODETABLE_INIT)
        table->init_len = 0;
    if (table->node_high > NODETABLE_NODES)
        table->node_high = NODETABLE_NODES;
    if (table->handle_high > NODETABLE_HANDLES)
        table->handle_high = NODETABLE_HANDLES;
    for (uint32_t size = 0; size < NODETABLE_NAME_SIZES; size++)
        if (table->name_high[size] > NODETABLE_NODES)
            table->name_high[size] = NODETABLE_NODES;
    size_t freed = check_nodes(table);
    return freed + check_handles(table);
}
