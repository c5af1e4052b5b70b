/* SPDX-License-Identifier: Apache-2.0 */
/* Test inputs from files: vectors, and the directories of malformed inputs with what each must be refused for. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>

#include "crypt/base/secret.h"
#include "tests/unit/unit.h"

/* A file below tests/; fails the test when it cannot be read. */
static inline struct secret *input_secret(const char *path)
{
    char whole[2048];
    struct err err = ERR_INIT;
    struct secret *secret = NULL;
    snprintf(whole, sizeof whole, TEST_SOURCE_DIR "/%s", path);
    int fd = open(whole, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail_msg("%s cannot be opened", whole);
    assert_done(secret_read_fd(fd, SECRET_SIZE_MAX, &secret, &err), &err);
    close(fd);
    return secret;
}

/* The same as text that the caller frees. */
static inline char *input_text(const char *path)
{
    struct secret *secret = input_secret(path);
    struct bytes bytes = secret_bytes(secret);
    char *text = malloc(bytes.len + 1);
    assert_non_null(text);
    memcpy(text, bytes.data, bytes.len);
    text[bytes.len] = '\0';
    secret_unref(secret);
    return text;
}

struct bad_input {
    const char *file;
    enum err_code code;
    const char *text; /* a part of the message */
};

/* `refuse` is given each file of the directory and must return false; every file must be in the table and every row
 * must have its file, so that neither can be forgotten. */
static inline void assert_all_bad(const char *dir, const struct bad_input *inputs, size_t count,
    bool (*refuse)(const struct secret *input, struct err *err))
{
    char path[1024];
    size_t files = 0;
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/%s", dir);
    DIR *entries = opendir(path);
    if (!entries)
        fail_msg("%s cannot be opened", path);
    for (struct dirent *entry; (entry = readdir(entries));) {
        size_t row = 0;
        struct err err = ERR_INIT;
        if (entry->d_name[0] == '.')
            continue;
        while (row < count && strcmp(inputs[row].file, entry->d_name) != 0)
            row++;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        struct secret *input = input_secret(path);
        bool taken = refuse(input, &err);
        secret_unref(input);
        if (taken)
            fail_msg("%s was taken", path);
        if (row == count || err.code != inputs[row].code || !strstr(err.message, inputs[row].text))
            fail_msg("%s: %s: [%s] %s", path, row == count ? "not in the table" : "wrong refusal",
                err_info(err.code)->name, err.message);
        files++;
    }
    closedir(entries);
    if (files != count)
        fail_msg("%s: %zu files, %zu rows", dir, files, count);
}
