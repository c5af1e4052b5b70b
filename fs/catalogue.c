/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "fs/path.h"

static int by_path(const void *a, const void *b)
{
    const struct catalogue_entry *left = a, *right = b;
    return strcmp(left->path, right->path);
}

static int path_to_entry(const void *path, const void *entry)
{
    return strcmp(path, ((const struct catalogue_entry *)entry)->path);
}

const struct catalogue_entry *catalogue_find(const struct catalogue *catalogue, const char *path)
{
    if (catalogue->count == 0)
        return NULL;
    return bsearch(
        path, catalogue->entries, catalogue->count, sizeof *catalogue->entries, path_to_entry);
}

const char *catalogue_name(const struct catalogue_entry *entry)
{
    const char *slash = strrchr(entry->path, '/');
    return slash ? slash + 1 : entry->path;
}

/* -- making ------------------------------------------------------------------------------------ */

static bool add(struct catalogue *catalogue, const char *path, size_t len, bool is_dir, size_t file,
    struct err *err)
{
    if (catalogue->count >= CATALOGUE_MAX)
        return err_set(
            err, ERR_CONFIG, "more than %u files and directories in a catalogue", CATALOGUE_MAX);
    size_t room = catalogue->count + 1;
    if ((room & (room - 1)) == 0) { /* a power of two: it is full */
        struct catalogue_entry *grown =
            realloc(catalogue->entries, 2 * room * sizeof *catalogue->entries);
        if (!grown)
            return err_nomem(err);
        catalogue->entries = grown;
    }
    char *copy = strndup(path, len);
    if (!copy)
        return err_nomem(err);
    catalogue->entries[catalogue->count++] =
        (struct catalogue_entry){.path = copy, .is_dir = is_dir, .file = file};
    return true;
}

/* Every directory above the path. */
static bool add_above(struct catalogue *catalogue, const char *path, struct err *err)
{
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
        if (!add(catalogue, path, (size_t)(slash - path), true, 0, err))
            return false;
    return true;
}

static bool add_all(
    struct catalogue *catalogue, const struct sealedfs_conf *conf, size_t mount, struct err *err)
{
    if (!add(catalogue, "", 0, true, 0, err))
        return false;
    for (size_t i = 0; i < conf->files.count; i++) {
        const struct conf_file *file = &conf->files.items[i];
        if (file->mount == mount &&
            (!add_above(catalogue, file->path, err) ||
                !add(catalogue, file->path, strlen(file->path), false, i, err)))
            return false;
    }
    for (size_t i = 0; i < conf->sources.count; i++) {
        const struct conf_source *source = &conf->sources.items[i];
        if (source->mount == mount && source->at &&
            (!add_above(catalogue, source->at, err) ||
                !add(catalogue, source->at, strlen(source->at), true, 0, err)))
            return false;
    }
    return true;
}

/* Directories that several need are there several times before. */
static bool merge(struct catalogue *catalogue, const struct sealedfs_conf *conf, struct err *err)
{
    struct catalogue_entry *entries = catalogue->entries;
    size_t kept = 0;
    qsort(entries, catalogue->count, sizeof *entries, by_path);
    for (size_t i = 0; i < catalogue->count; i++) {
        bool same = kept > 0 && strcmp(entries[kept - 1].path, entries[i].path) == 0;
        if (same && entries[kept - 1].is_dir != entries[i].is_dir) {
            size_t file = entries[i].is_dir ? entries[kept - 1].file : entries[i].file;
            err_set(err, ERR_CONFIG, "[file:%s]: its path %s would be a directory as well",
                conf->files.items[file].name, entries[i].path);
            /* What lies between was given on or freed already. */
            memmove(entries + kept, entries + i, (catalogue->count - i) * sizeof *entries);
            catalogue->count -= i - kept;
            return false;
        }
        if (same)
            free(entries[i].path);
        else
            entries[kept++] = entries[i];
    }
    catalogue->count = kept;
    return true;
}

static void find_parents(struct catalogue *catalogue)
{
    for (size_t i = 1; i < catalogue->count; i++) {
        char dir[PATH_SIZE];
        const char *path = catalogue->entries[i].path, *slash = strrchr(path, '/');
        if (!slash)
            continue; /* in the root, 0 */
        memcpy(dir, path, (size_t)(slash - path));
        dir[slash - path] = '\0';
        const struct catalogue_entry *parent = catalogue_find(catalogue, dir);
        catalogue->entries[i].parent = (size_t)(parent - catalogue->entries);
    }
}

bool catalogue_make(const struct sealedfs_conf *conf, size_t mount, struct catalogue *ret_catalogue,
    struct err *err)
{
    struct catalogue catalogue = {0};
    if (!add_all(&catalogue, conf, mount, err) || !merge(&catalogue, conf, err)) {
        catalogue_done(&catalogue);
        return false;
    }
    find_parents(&catalogue);
    *ret_catalogue = catalogue;
    return true;
}

void catalogue_done(struct catalogue *catalogue)
{
    for (size_t i = 0; i < catalogue->count; i++)
        free(catalogue->entries[i].path);
    free(catalogue->entries);
    *catalogue = (struct catalogue){0};
}
