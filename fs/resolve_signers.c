/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/resolve_signers.h"

#include <limits.h>
#include <string.h>
#include <time.h>

#include "crypt/base/file.h"
#include "crypt/base/loop.h"

/* The coarsest time stamp that a file system keeps (FAT: two seconds): within it a second change may look like none. */
#define STAMP_S 3

void resolve_signers_drop(struct resolve_signers *signers)
{
    free(signers->path);
    jwk_unref(signers->signer);
    signers->path = NULL;
    signers->signer = NULL;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           same_time(a->st_mtim, b->st_mtim) && same_time(a->st_ctim, b->st_ctim);
}

static bool is_kept(const struct resolve_signers *signers, const char *path, const struct stat *st)
{
    return signers->path && strcmp(signers->path, path) == 0 && same_file(&signers->st, st) &&
           loop_now_ms() < signers->until_ms;
}

/* `st` is from before the file was read: had it changed since, the next look would tell. */
static void keep(
    struct resolve_signers *signers, const char *path, const struct stat *st, struct jwk *signer)
{
    resolve_signers_drop(signers);
    if (signers->keep_ms <= 0 || time(NULL) - st->st_ctim.tv_sec < STAMP_S)
        return;
    char *copy = strdup(path);
    if (!copy)
        return;
    signers->path = copy;
    signers->st = *st;
    signers->until_ms = loop_now_ms() + signers->keep_ms;
    signers->signer = jwk_ref(signer);
}

/* A file of public keys is no secret, so a JWK needs no locked memory; PEM is read where keys are. */
static bool load(const char *path, struct jwk **ret_signer, struct err *err)
{
    auto_buf text = BUF_INIT(JWK_TEXT_MAX);
    auto_secret *copy = NULL;
    auto_json *json = NULL;
    if (!file_read(path, JWK_TEXT_MAX, &text, err))
        return false;
    if (buf_text(&text)[0] != '{')
        return secret_copy(buf_bytes(&text), &copy, err) && jwk_from_secret(copy, ret_signer, err);
    return json_load_strict(buf_bytes(&text), JWK_TEXT_MAX, "JWK", &json, err) &&
           jwk_from_json(json, true, ret_signer, err);
}

bool resolve_signers_get(struct resolve_signers *signers, const char *dir, const char *name,
    struct jwk **ret_signer, struct err *err)
{
    char path[PATH_MAX];
    struct stat st;
    auto_jwk *signer = NULL;
    if (!dir)
        return err_set(err, ERR_CRYPTO,
            "signer '%.200s' is a file name, and no signer_files directory is configured", name);
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') || strlen(name) > NAME_MAX)
        return err_set(err, ERR_FORMAT,
            "signer '%.200s' is neither a kbs:/// URI nor a plain file name", name);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    bool known = stat(path, &st) == 0;
    if (known && is_kept(signers, path, &st)) {
        *ret_signer = jwk_ref(signers->signer);
        return true;
    }
    if (!load(path, &signer, err))
        return err_wrap(err, "signer %.200s", name);
    if (known)
        keep(signers, path, &st, signer);
    *ret_signer = take_ptr(signer);
    return true;
}
