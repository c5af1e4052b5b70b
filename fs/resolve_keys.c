/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/resolve_keys.h"

#include <stdlib.h>
#include <string.h>

#include "crypt/base/loop.h"

static void key_clear(struct resolve_key *key)
{
    free(key->uri);
    secret_unref(key->value);
    *key = (struct resolve_key){0};
}

const struct resolve_key *resolve_keys_find(struct resolve_keys *keys, const char *uri)
{
    int64_t now = loop_now_ms();
    const struct resolve_key *found = NULL;
    for (size_t i = 0; i < RESOLVE_KEYS_MAX; i++) {
        struct resolve_key *key = &keys->slots[i];
        if (key->uri && key->until_ms <= now)
            key_clear(key);
        else if (key->uri && strcmp(key->uri, uri) == 0)
            found = key;
    }
    return found;
}

void resolve_keys_keep(struct resolve_keys *keys, const char *uri, struct secret *value)
{
    if (keys->keep_ms <= 0)
        return;
    resolve_keys_drop(keys, uri);
    struct resolve_key *slot = &keys->slots[0];
    for (size_t i = 0; i < RESOLVE_KEYS_MAX && slot->uri; i++)
        if (!keys->slots[i].uri || keys->slots[i].until_ms < slot->until_ms)
            slot = &keys->slots[i];
    char *copy = strdup(uri);
    if (!copy)
        return;
    key_clear(slot);
    int64_t now = loop_now_ms();
    *slot = (struct resolve_key){copy, secret_ref(value), now, now + keys->keep_ms};
}

void resolve_keys_drop(struct resolve_keys *keys, const char *uri)
{
    for (size_t i = 0; i < RESOLVE_KEYS_MAX; i++)
        if (keys->slots[i].uri && (!uri || strcmp(keys->slots[i].uri, uri) == 0))
            key_clear(&keys->slots[i]);
}
