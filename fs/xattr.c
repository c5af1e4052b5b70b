/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/xattr.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool status_value(const struct cache_state *state, int64_t now, char out[XATTR_VALUE_SIZE])
{
    static const char *const words[] = {[CACHE_MISS] = "absent",
        [CACHE_HIT] = "fresh",
        [CACHE_STALE] = "stale",
        [CACHE_AGED] = "aged"};
    (void)now;
    const char *word =
        state->result == CACHE_REFUSED ? err_info(state->code)->name : words[state->result];
    snprintf(out, XATTR_VALUE_SIZE, "%s", word);
    return true;
}

static bool version_value(const struct cache_state *state, int64_t now, char out[XATTR_VALUE_SIZE])
{
    (void)now;
    snprintf(out, XATTR_VALUE_SIZE, "%s", state->version);
    return state->version[0] != '\0';
}

static bool expires_value(const struct cache_state *state, int64_t now, char out[XATTR_VALUE_SIZE])
{
    time_t when = (time_t)(now + state->left_ms / 1000);
    struct tm utc;
    return state->left_ms > 0 && gmtime_r(&when, &utc) &&
           strftime(out, XATTR_VALUE_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0;
}

static const struct attribute {
    const char *name;
    bool (*value)(const struct cache_state *state, int64_t now, char out[XATTR_VALUE_SIZE]);
} attributes[] = {
    {"user.sealed.status", status_value},
    {"user.sealed.version", version_value},
    {"user.sealed.expires", expires_value},
};

bool xattr_value(
    const struct cache_state *state, int64_t now, const char *name, char out[XATTR_VALUE_SIZE])
{
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        if (strcmp(attributes[i].name, name) == 0)
            return attributes[i].value(state, now, out);
    return false;
}

size_t xattr_names(const struct cache_state *state, char *out, size_t size)
{
    char value[XATTR_VALUE_SIZE];
    size_t used = 0;
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        size_t len = strlen(attributes[i].name) + 1;
        if (attributes[i].value(state, 0, value) && used + len <= size) {
            memcpy(out + used, attributes[i].name, len);
            used += len;
        }
    }
    return used;
}
