/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/wiping.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* In front of each piece: its size. The union keeps malloc's alignment. */
union piece {
    size_t size;
    max_align_t align;
};

void *wiping_malloc(size_t size)
{
    union piece *piece = size <= SIZE_MAX - sizeof *piece ? malloc(sizeof *piece + size) : NULL;
    if (!piece)
        return NULL;
    piece->size = size;
    return piece + 1;
}

void *wiping_calloc(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    void *data = wiping_malloc(count * size);
    if (data)
        memset(data, 0, count * size);
    return data;
}

void *wiping_realloc(void *data, size_t size)
{
    void *grown = wiping_malloc(size);
    if (!data || !grown)
        return grown;
    const union piece *old = (union piece *)data - 1;
    memcpy(grown, data, old->size < size ? old->size : size);
    wiping_free(data);
    return grown;
}

char *wiping_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = wiping_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void wiping_free(void *data)
{
    if (!data)
        return;
    union piece *piece = (union piece *)data - 1;
    OPENSSL_cleanse(data, piece->size);
    free(piece);
}
