/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes in the place of an encrypted record: only what this run's own key made may open, and it does so under its own name alone. */
#include <stdint.h>
#include <stdlib.h>

#include "kbs/server/store/store_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store_keys *make_keys(void)
{
    struct err err = ERR_INIT;
    auto_secret *kek = NULL;
    struct store_keys *keys = NULL;
    if (!secret_new(STORE_KEK_SIZE, &kek, &err) || !store_keys_add(&keys, kek, &err))
        abort();
    return keys;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct store_keys *keys;
    struct store_head head;
    auto_secret *value = NULL, *other = NULL;
    auto_buf again = BUF_INIT(STORE_RECORD_MAX);
    struct bytes record = bytes_of(data, size);
    struct err err = ERR_INIT;
    if (!keys)
        keys = make_keys();
    bool whole = store_record_head(record, &head, &err);
    bool open = store_record_open(keys, STORE_RESOURCE, "a/b/c", record, &value, &err);
    if (open && (!whole || secret_len(value) + STORE_RECORD_EXTRA != size ||
                    store_record_open(keys, STORE_RESOURCE, "a/b/d", record, &other, &err)))
        abort();
    if (store_record_rewrap(keys, record, &again, &err) && again.len != size)
        abort();
    return 0;
}
