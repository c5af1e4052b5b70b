/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/token/token_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "crypt/base/conf.h"
#include "crypt/base/log.h"

static bool is_absent(const char *path)
{
    return access(path, F_OK) < 0 && errno == ENOENT;
}

bool token_file_read(const char *path, struct jwk **ret_key, struct err *err)
{
    auto_secret *text = NULL;
    auto_jwk *key = NULL;
    if (is_absent(path))
        return err_set(err, ERR_CONFIG,
            "[token] key %s does not exist, and the state directory is not that of a first start; "
            "put the key back (each replica needs a copy), or make one with: sealed kbs init",
            path);
    if (!conf_credential(path, JWK_TEXT_MAX, false, &text, err) ||
        !jwk_from_secret(text, &key, err))
        return err_wrap(err, "[token] key %s", path);
    if (!jwk_is_private(key) || jwk_kind(key) != JWK_EC_P256)
        return err_set(err, ERR_CONFIG,
            "[token] key %s is no private P-256 key; make one with: sealed kbs init", path);
    *ret_key = take_ptr(key);
    return true;
}

bool token_file_is_first(const char *path, const char *state_dir)
{
    if (!is_absent(path))
        return false;
    DIR *dir = opendir(state_dir);
    if (!dir)
        return errno == ENOENT;
    bool empty = true;
    for (const struct dirent *entry; (entry = readdir(dir));)
        empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    closedir(dir);
    return empty;
}

bool token_file_make(const char *path, struct jwk **ret_key, struct err *err)
{
    auto_jwk *key = NULL;
    auto_secret *text = NULL;
    if (!jwk_generate(JWK_EC_P256, NULL, &key, err) || !jwk_private_text(key, &text, err))
        return err_wrap(err, "[token] key");
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set_errno(err, ERR_CONFIG, "[token] key %s cannot be made", path);
    if (!secret_write_fd(text, fd, err) || fsync(fd) != 0) {
        if (err->code == ERR_OK)
            err_set_errno(err, ERR_IO, "fsync");
        (void)unlink(path); /* a part of a key looks like a key */
        return err_wrap(err, "[token] key %s", path);
    }
    log_notice(
        "made the key that signs tokens, %s; keep a copy, and give one to every replica", path);
    *ret_key = take_ptr(key);
    return true;
}
