/* SPDX-License-Identifier: Apache-2.0 */
/* Random damage to evidence, the same in every run. */
#pragma once

#include <stdint.h>

#include "crypt/base/json.h"

static uint64_t damage_state = 0x9e3779b97f4a7c15;

static inline uint32_t damage_random(uint32_t below)
{
    damage_state ^= damage_state << 13;
    damage_state ^= damage_state >> 7;
    damage_state ^= damage_state << 17;
    return (uint32_t)(damage_state >> 32) % below;
}

static inline json_t *damage_number(json_t *value)
{
    static const json_int_t others[] = {0, 1, -1, 255, 256, 65536, 4294967296, INT64_MAX};
    if (damage_random(4) > 0)
        return json_integer(json_integer_value(value) ^ (1 << damage_random(8)));
    return json_integer(others[damage_random(8)]);
}

/* One value somewhere below is changed, removed or replaced by one of another type. */
static inline void damage_json(json_t *json)
{
    size_t count = json_is_object(json) ? json_object_size(json) : json_array_size(json);
    if (count == 0)
        return;
    size_t chosen = damage_random((uint32_t)count);
    const char *name = NULL;
    json_t *value = NULL;
    if (json_is_object(json)) {
        void *iter = json_object_iter(json);
        for (size_t i = 0; i < chosen; i++)
            iter = json_object_iter_next(json, iter);
        name = json_object_iter_key(iter);
        value = json_object_iter_value(iter);
    } else {
        value = json_array_get(json, chosen);
    }
    if ((json_is_object(value) || json_is_array(value)) && damage_random(20) > 0) {
        damage_json(value);
        return;
    }
    json_t *other = json_is_integer(value) ? damage_number(value) : json_null();
    if (damage_random(50) == 0)
        name ? json_object_del(json, name) : json_array_remove(json, chosen);
    else
        name ? json_object_set(json, name, other) : json_array_set(json, chosen, other);
    json_decref(other);
}
