/* SPDX-License-Identifier: Apache-2.0 */
/* The PCS Client Tool's file; and that what raw_json makes of a text is to jansson what the text was. */
#include "attest/verify/collateral_pcs.h"
#include "attest/verify/raw_json.h"
#include "crypt/base/json.h"

static void check_members(const json_t *json, struct bytes text)
{
    const char *name;
    json_t *value;
    json_t *members = (json_t *)(uintptr_t)json;
    json_object_foreach(members, name, value)
    {
        struct err err = ERR_INIT;
        struct bytes raw;
        auto_json *again = NULL;
        if (!raw_json_member(text, name, &raw) || !(json_is_object(value) || json_is_array(value)))
            continue;
        if (!json_load_strict(raw, 1u << 20, "member", &again, &err) || !json_equal(value, again))
            __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    auto_collateral *set = NULL;
    auto_json *json = NULL, *again = NULL;
    auto_buf compact = BUF_INIT(1u << 20);
    struct bytes text = bytes_of(data, size);
    if (!collateral_new(&set, &err) || size > 1u << 20)
        return 0;
    if (!collateral_pcs_load(text, COLLATERAL_PCS_EARLY, NULL, 0, set, &err) &&
        err.code != ERR_FORMAT)
        __builtin_trap();
    if (!json_load_strict(text, 1u << 20, "input", &json, &err))
        return 0;
    if (!raw_json_compact(text, &compact, &err) ||
        !json_load_strict(buf_bytes(&compact), 1u << 20, "compact", &again, &err) ||
        !json_equal(json, again))
        __builtin_trap();
    check_members(json, text);
    return 0;
}
