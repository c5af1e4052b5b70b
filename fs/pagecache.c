/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/pagecache.h"

#include <pthread.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS 256u

struct page_file {
    LIST_ENTRY(page_file) link;
    uint64_t node;
    char *path;
    struct lease *lease;              /* NULL: nobody has it open */
    bool settled;                     /* the kernel has no other pages than of this version */
    char version[LEASE_VERSION_SIZE]; /* of what the kernel has; "": it shall have nothing */
};

LIST_HEAD(page_list, page_file);

struct pagecache {
    pthread_mutex_t lock;
    struct page_list buckets[BUCKETS];
};

static struct page_list *bucket_of(struct pagecache *pagecache, uint64_t node)
{
    return &pagecache->buckets[node % BUCKETS];
}

static struct page_file *find(struct pagecache *pagecache, uint64_t node)
{
    struct page_file *file;
    LIST_FOREACH(file, bucket_of(pagecache, node), link)
    if (file->node == node)
        return file;
    return NULL;
}

static void file_free(struct page_file *file)
{
    LIST_REMOVE(file, link);
    lease_unref(file->lease);
    free(file->path);
    free(file);
}

static struct page_file *file_new(struct pagecache *pagecache, uint64_t node, const char *path)
{
    struct page_file *file = calloc(1, sizeof *file);
    char *copy = strdup(path);
    if (!file || !copy) {
        free(file);
        free(copy);
        return NULL;
    }
    file->node = node;
    file->path = copy;
    LIST_INSERT_HEAD(bucket_of(pagecache, node), file, link);
    return file;
}

/* The kernel drops the old pages on its way back from an open that was answered so, or when it is told to: until then an open that kept them
 * would show the old content. A read through a descriptor of the new one proves that it has done so. */
static void set_lease(struct page_file *file, struct lease *lease)
{
    if (strcmp(file->version, lease->version) != 0)
        file->settled = false;
    lease_unref(file->lease);
    file->lease = lease_ref(lease);
    memcpy(file->version, lease->version, sizeof file->version);
}

bool pagecache_open(struct pagecache *pagecache, uint64_t node, const char *path,
    struct lease *lease, bool *ret_keep)
{
    pthread_mutex_lock(&pagecache->lock);
    struct page_file *file = find(pagecache, node);
    if (!file)
        file = file_new(pagecache, node, path);
    bool older = file && file->lease && file->lease->taken_ms > lease->taken_ms &&
                 !lease_is_revoked(file->lease);
    if (file) {
        *ret_keep = file->settled && strcmp(file->version, lease->version) == 0;
        if (!older)
            set_lease(file, lease);
    }
    pthread_mutex_unlock(&pagecache->lock);
    return file != NULL;
}

struct lease *pagecache_read(struct pagecache *pagecache, uint64_t node, const struct lease *own)
{
    pthread_mutex_lock(&pagecache->lock);
    struct page_file *file = find(pagecache, node);
    struct lease *lease = file && file->lease ? lease_ref(file->lease) : NULL;
    if (lease && strcmp(file->version, own->version) == 0)
        file->settled = true;
    pthread_mutex_unlock(&pagecache->lock);
    return lease;
}

bool pagecache_closed(struct pagecache *pagecache, uint64_t node)
{
    pthread_mutex_lock(&pagecache->lock);
    struct page_file *file = find(pagecache, node);
    bool stay = file && file->version[0] != '\0';
    if (stay)
        lease_unref(take_ptr(file->lease));
    else if (file)
        file_free(file);
    pthread_mutex_unlock(&pagecache->lock);
    return stay;
}

/* -- dropping ------------------------------------------------------------------------------------ */

struct nodes {
    uint64_t *items;
    size_t count, size;
};

/* Out of memory, the pages stay until the next time. */
static bool nodes_add(struct nodes *nodes, uint64_t node)
{
    if (nodes->count == nodes->size) {
        size_t size = nodes->size ? 2 * nodes->size : 64;
        uint64_t *larger = reallocarray(nodes->items, size, sizeof *larger);
        if (!larger)
            return false;
        nodes->items = larger;
        nodes->size = size;
    }
    nodes->items[nodes->count++] = node;
    return true;
}

static void drop_all(const struct nodes *nodes, pagecache_drop_fn *drop, void *arg)
{
    for (size_t i = 0; i < nodes->count; i++)
        drop(arg, nodes->items[i]);
    free(nodes->items);
}

/* A revoked lease stays where it is open, and says so to each read. */
static void file_over(struct page_file *file, struct lease *lease)
{
    if (lease && file->lease)
        set_lease(file, lease);
    else if (file->lease)
        file->version[0] = '\0';
    else
        file_free(file);
}

void pagecache_over(struct pagecache *pagecache, const char *path, struct lease *lease,
    pagecache_drop_fn *drop, void *arg)
{
    struct nodes nodes = {0};
    pthread_mutex_lock(&pagecache->lock);
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct page_file *file = LIST_FIRST(&pagecache->buckets[i]), *after; file;
             file = after) {
            after = LIST_NEXT(file, link);
            if ((!path || strcmp(file->path, path) == 0) && nodes_add(&nodes, file->node))
                file_over(file, lease);
        }
    pthread_mutex_unlock(&pagecache->lock);
    drop_all(&nodes, drop, arg);
}

void pagecache_sweep(
    struct pagecache *pagecache, struct cache *cache, pagecache_drop_fn *drop, void *arg)
{
    struct nodes nodes = {0};
    pthread_mutex_lock(&pagecache->lock);
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct page_file *file = LIST_FIRST(&pagecache->buckets[i]), *after; file;
             file = after) {
            after = LIST_NEXT(file, link);
            if (!file->lease && !cache_keeps(cache, file->path, file->version) &&
                nodes_add(&nodes, file->node))
                file_free(file);
        }
    pthread_mutex_unlock(&pagecache->lock);
    drop_all(&nodes, drop, arg);
}

/* -- life ---------------------------------------------------------------------------------------- */

bool pagecache_new(struct pagecache **ret_pagecache, struct err *err)
{
    struct pagecache *pagecache = calloc(1, sizeof *pagecache);
    if (!pagecache)
        return err_nomem(err);
    pthread_mutex_init(&pagecache->lock, NULL);
    *ret_pagecache = pagecache;
    return true;
}

void pagecache_free(struct pagecache *pagecache)
{
    if (!pagecache)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (!LIST_EMPTY(&pagecache->buckets[i]))
            file_free(LIST_FIRST(&pagecache->buckets[i]));
    pthread_mutex_destroy(&pagecache->lock);
    free(pagecache);
}
