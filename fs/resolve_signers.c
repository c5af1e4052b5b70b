/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/resolve_signers.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "crypt/base/file.h"

void resolve_signers_done(struct resolve_signers *signers)
{
    jwk_unref(signers->signer);
    signers->signer = NULL;
}

/* A file of public keys is no secret, so a JWK needs no locked memory; PEM is read where keys are. */
static bool parse(const struct buf *text, struct jwk **ret_signer, struct err *err)
{
    auto_secret *copy = NULL;
    auto_json *json = NULL;
    if (buf_text(text)[0] != '{')
        return secret_copy(buf_bytes(text), &copy, err) && jwk_from_secret(copy, ret_signer, err);
    return json_load_strict(buf_bytes(text), JWK_TEXT_MAX, "JWK", &json, err) &&
           jwk_from_json(json, true, ret_signer, err);
}

static bool get(struct resolve_signers *signers, const char *path, struct err *err)
{
    auto_buf text = BUF_INIT(JWK_TEXT_MAX);
    auto_jwk *signer = NULL;
    struct hash digest;
    if (!file_read(path, JWK_TEXT_MAX, &text, err) ||
        !hash_bytes(HASH_SHA256, buf_bytes(&text), &digest, err))
        return false;
    if (signers->signer && bytes_equal(hash_view(&digest), hash_view(&signers->digest)))
        return true;
    if (!parse(&text, &signer, err))
        return false;
    resolve_signers_done(signers);
    *signers = (struct resolve_signers){digest, take_ptr(signer)};
    return true;
}

bool resolve_signers_get(struct resolve_signers *signers, const char *dir, const char *name,
    struct jwk **ret_signer, struct err *err)
{
    char path[PATH_MAX];
    if (!dir)
        return err_set(err, ERR_CRYPTO,
            "signer '%.200s' is a file name, and no signer_files directory is configured", name);
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') || strlen(name) > NAME_MAX)
        return err_set(err, ERR_FORMAT,
            "signer '%.200s' is neither a kbs:/// URI nor a plain file name", name);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!get(signers, path, err))
        return err_wrap(err, "signer %.200s", name);
    *ret_signer = jwk_ref(signers->signer);
    return true;
}
