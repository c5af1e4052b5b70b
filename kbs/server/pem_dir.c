/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/pem_dir.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "crypt/base/file.h"

static int is_visible(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && entry->d_name[len - 1] != '~';
}

static int is_certificate(const struct dirent *entry)
{
    static const char *const endings[] = {".pem", ".crt", ".cer"};
    size_t len = strlen(entry->d_name);
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        if (entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, endings[i]) == 0)
            return 1;
    return 0;
}

static bool add_file(const char *path, size_t max, struct buf *out, struct err *err)
{
    static const char start[] = "-----BEGIN CERTIFICATE-----";
    auto_buf text = BUF_INIT(max);
    struct stat found;
    if (stat(path, &found) == 0 && !S_ISREG(found.st_mode))
        return true;
    if (!file_read(path, max, &text, err))
        return false;
    if (text.len == 0 || !memmem(text.data, text.len, start, sizeof start - 1))
        return true;
    return (buf_append(out, buf_bytes(&text), err) && buf_append_str(out, "\n", err)) ||
           err_wrap(err, "%s", path);
}

bool pem_dir_read(const char *directory, enum pem_dir_names names, struct buf *out, struct err *err)
{
    struct dirent **entries = NULL;
    bool done = true;
    int count =
        scandir(directory, &entries, names == PEM_DIR_ALL ? is_visible : is_certificate, alphasort);
    if (count < 0)
        return err_set_errno(err, ERR_CONFIG, "directory %s", directory);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
        done = done && add_file(path, out->max, out, err);
        free(entries[i]);
    }
    free(entries);
    return done;
}
