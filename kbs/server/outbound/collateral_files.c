/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/outbound/collateral_files.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "attest/verify/collateral_object.h"
#include "crypt/base/file.h"

#define PATH_SIZE 4096

static bool take(
    void *context, const char *name, struct bytes body, struct bytes chain, struct err *err)
{
    struct collateral_files *files = context;
    files->objects++;
    return files->take(files->context, name, body, chain, err);
}

static bool is_pcs_file(struct bytes file)
{
    static const char member[] = "\"collaterals\"";
    return file.len > 0 && file.data[0] == '{' &&
           memmem(file.data, file.len, member, sizeof member - 1) != NULL;
}

static bool read_file(struct collateral_files *files, const char *path, bool named, struct err *err)
{
    auto_buf file = BUF_INIT(COLLATERAL_PCS_MAX);
    char name[COLLATERAL_NAME_MAX];
    struct err none = ERR_INIT;
    if (!file_read(path, COLLATERAL_PCS_MAX, &file, err))
        return false;
    if (is_pcs_file(buf_bytes(&file)))
        return collateral_pcs_read(buf_bytes(&file), files->update, take, files, err) ||
               err_wrap(err, "%s", path);
    if (collateral_identify(buf_bytes(&file), name, &none))
        return take(files, name, buf_bytes(&file), BYTES_EMPTY, err) || err_wrap(err, "%s", path);
    if (named) {
        *err = none;
        return err_wrap(err, "%s", path);
    }
    files->others++;
    return true;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool read_any(
    struct collateral_files *files, const char *path, int depth, bool named, struct err *err);

static bool read_directory(
    struct collateral_files *files, const char *path, int depth, struct err *err)
{
    struct dirent **entries = NULL;
    bool done = true;
    int count = scandir(path, &entries, is_visible, alphasort);
    if (count < 0)
        return err_set_errno(err, ERR_IO, "directory %s", path);
    for (int i = 0; i < count; i++) {
        char below[PATH_SIZE];
        int len = snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name);
        if (done && len < PATH_SIZE)
            done = read_any(files, below, depth + 1, false, err);
        free(entries[i]);
    }
    free(entries);
    return done;
}

static bool read_any(
    struct collateral_files *files, const char *path, int depth, bool named, struct err *err)
{
    struct stat found;
    if (stat(path, &found) < 0)
        return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "%s", path);
    if (S_ISDIR(found.st_mode))
        return depth > COLLATERAL_FILES_DEPTH || read_directory(files, path, depth, err);
    if (!S_ISREG(found.st_mode))
        return !named || err_set(err, ERR_FORMAT, "%s is neither a file nor a directory", path);
    if (files->objects + files->others > COLLATERAL_FILES_MAX)
        return err_set(err, ERR_FORMAT, "%s: over %d files; give a part of them at a time", path,
            COLLATERAL_FILES_MAX);
    return read_file(files, path, named, err);
}

bool collateral_files_read(struct collateral_files *files, const char *path, struct err *err)
{
    return read_any(files, path, 0, true, err);
}
