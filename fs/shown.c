/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/shown.h"

static int64_t cached_length(const struct shown *shown, uint64_t id, const struct pin *pin)
{
    char path[PATH_SIZE], full[PATH_FULL_SIZE];
    if (!tree_path(shown->tree, id, path))
        return -1;
    path_full(shown->mountpoint, path, full);
    return cache_length(shown->cache, full, pin->blob);
}

/* The kernel asks for the attributes of each file twice at an open; the text is parsed once. */
static size_t length_hint(const struct shown *shown, struct blob *blob)
{
    size_t known = atomic_load_explicit(&blob->known_hint, memory_order_relaxed);
    if (known == 0) {
        known = shown->resolver->length_hint(buf_bytes(&blob->text)) + 1;
        atomic_store_explicit(&blob->known_hint, known, memory_order_relaxed);
    }
    return known - 1;
}

static off_t sealed_size(const struct shown *shown, uint64_t id, const struct pin *pin)
{
    int64_t length = cached_length(shown, id, pin);
    if (length < 0)
        length = tree_open_length(shown->tree, id);
    if (length >= 0)
        return length;
    bool is_string = !pin->blob->is_name && !pin->blob->missing;
    size_t hint = is_string ? length_hint(shown, pin->blob) : 0;
    return hint > 0 ? (off_t)hint : shown->maximum;
}

static void show_mode(const struct pin *pin, struct stat *st)
{
    st->st_mode &= S_IFMT | pin->allowed;
}

void shown_stat(const struct shown *shown, uint64_t id, const struct pin *pin, struct stat *st)
{
    show_mode(pin, st);
    if (pin->is_sealed) {
        st->st_size = sealed_size(shown, id, pin);
        st->st_blocks = (st->st_size + 511) / 512;
    }
    tree_told(shown->tree, id, st, pin->is_sealed);
}

bool shown_mode_known(
    const struct shown *shown, uint64_t id, const struct pin *pin, struct stat *st)
{
    show_mode(pin, st);
    return tree_told_only(shown->tree, id, st);
}
