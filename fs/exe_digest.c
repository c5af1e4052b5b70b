/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/exe_digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/local_fs.h"

#define KEPT       64
#define PIECE_SIZE (256 * 1024)
/* A change this shortly after another may leave ctime as it is (coarse clocks, file systems of whole seconds). */
#define SETTLED_S 3

struct known {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec ctime;
    uint8_t digest[EXE_DIGEST_SIZE];
};

struct exe_digests {
    pthread_mutex_t lock; /* protects what follows */
    struct known known[KEPT];
    size_t count; /* ever; the next goes to count % KEPT */
};

static bool is_of(const struct known *known, const struct stat *st)
{
    return known->device == st->st_dev && known->inode == st->st_ino &&
           known->size == st->st_size && known->ctime.tv_sec == st->st_ctim.tv_sec &&
           known->ctime.tv_nsec == st->st_ctim.tv_nsec;
}

static bool recall(struct exe_digests *digests, const struct stat *st, uint8_t *ret_digest)
{
    bool found = false;
    pthread_mutex_lock(&digests->lock);
    for (size_t i = 0; !found && i < KEPT && i < digests->count; i++) {
        found = is_of(&digests->known[i], st);
        if (found)
            memcpy(ret_digest, digests->known[i].digest, EXE_DIGEST_SIZE);
    }
    pthread_mutex_unlock(&digests->lock);
    return found;
}

static void keep(struct exe_digests *digests, const struct stat *st, const uint8_t *digest)
{
    struct known known = {st->st_dev, st->st_ino, st->st_size, st->st_ctim, {0}};
    memcpy(known.digest, digest, EXE_DIGEST_SIZE);
    pthread_mutex_lock(&digests->lock);
    digests->known[digests->count++ % KEPT] = known;
    pthread_mutex_unlock(&digests->lock);
}

static bool feed(EVP_MD_CTX *ctx, int fd, uint8_t *piece, struct err *err)
{
    off_t offset = 0;
    for (;;) {
        ssize_t len = pread(fd, piece, PIECE_SIZE, offset);
        if (len < 0)
            return err_set_errno(err, ERR_IO, "read the executable");
        if (len == 0)
            return true;
        offset += len;
        if (offset > EXE_SIZE_MAX || EVP_DigestUpdate(ctx, piece, (size_t)len) != 1)
            return err_set(err, ERR_IO, "the executable cannot be hashed");
    }
}

static bool digest_file(int fd, uint8_t *ret_digest, struct err *err)
{
    auto_free uint8_t *piece = malloc(PIECE_SIZE);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool done = piece && ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    if (!done)
        err_nomem(err);
    done = done && feed(ctx, fd, piece, err);
    if (done && EVP_DigestFinal_ex(ctx, ret_digest, NULL) != 1)
        done = err_set(err, ERR_INTERNAL, "SHA-256 fails");
    EVP_MD_CTX_free(ctx);
    return done;
}

bool exe_digest_known(struct exe_digests *digests, int fd, uint8_t ret_digest[EXE_DIGEST_SIZE])
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && local_fs(fd) &&
           recall(digests, &st, ret_digest);
}

bool exe_digest(
    struct exe_digests *digests, int fd, uint8_t ret_digest[EXE_DIGEST_SIZE], struct err *err)
{
    struct stat before, after;
    uint8_t digest[EXE_DIGEST_SIZE];
    if (fstat(fd, &before) < 0)
        return err_set_errno(err, ERR_IO, "look at the executable");
    if (!S_ISREG(before.st_mode) || !local_fs(fd))
        return err_set(err, ERR_CONFIG, "the executable is not on a local file system");
    if (before.st_size > EXE_SIZE_MAX)
        return err_set(err, ERR_CONFIG, "the executable is longer than %lld MiB",
            (long long)(EXE_SIZE_MAX >> 20));
    if (recall(digests, &before, ret_digest))
        return true;
    if (!digest_file(fd, digest, err))
        return false;
    struct known known = {before.st_dev, before.st_ino, before.st_size, before.st_ctim, {0}};
    if (fstat(fd, &after) < 0 || !is_of(&known, &after))
        return err_set(err, ERR_IO, "the executable changed while it was read");
    if (time(NULL) - before.st_ctim.tv_sec > SETTLED_S)
        keep(digests, &before, digest);
    memcpy(ret_digest, digest, sizeof digest);
    return true;
}

bool exe_digests_new(struct exe_digests **ret_digests, struct err *err)
{
    struct exe_digests *digests = calloc(1, sizeof *digests);
    if (!digests)
        return err_nomem(err);
    pthread_mutex_init(&digests->lock, NULL);
    *ret_digests = digests;
    return true;
}

void exe_digests_free(struct exe_digests *digests)
{
    if (digests)
        pthread_mutex_destroy(&digests->lock);
    free(digests);
}
