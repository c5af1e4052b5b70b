/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/provider.h"
#include "crypt/sealed.h"
#include "tests/unit/unit.h"

static void found_without_regard_to_case(void **state)
{
    (void)state;
    static const char *const names[] = {"kbs", "KBS", "Kbs"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct err err = ERR_INIT;
        const struct provider *provider = NULL;
        assert_done(provider_find(names[i], &provider, &err), &err);
        assert_ptr_equal(provider, &provider_kbs);
    }
}

static void unknown_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"aws", "aliyun", "ehsm", "", "kbs ", "kb"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct err err = ERR_INIT;
        const struct provider *provider = NULL;
        assert_refused(
            provider_find(names[i], &provider, &err), &err, ERR_FORMAT, "is not known here");
        assert_non_null(strstr(err.message, names[i]));
        assert_null(provider);
    }
}

static void resource_uris(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        bool good;
    } rows[] = {
        {"kbs:///default/key/1", true},
        {"KBS://host:8080/default/key/1", true},
        {"kbs+resource:///default/key/1", true},
        {"kbs:/default/key/1", false},
        {"kbs+x", false},
        {"file:///etc/passwd", false},
        {"default/key/1", false},
        {"", false},
        {"kbs:///a/b/c\r\nX: y", false},
        {"kbs:///a/b/\xc3\xa9", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        const struct sealed_payload payload = {.type = SEALED_VAULT, .name = rows[i].uri};
        const char *uri = NULL;
        if (rows[i].good) {
            assert_done(provider_kbs.vault_uri(&payload, &uri, &err), &err);
            assert_ptr_equal(uri, rows[i].uri);
        } else {
            assert_refused(provider_kbs.vault_uri(&payload, &uri, &err), &err, ERR_FORMAT,
                "kbs:///repository/type/tag");
        }
    }
}

static void wrapping_key_must_be_32_bytes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 16, 31, 33, 44, 64};
    const uint8_t wrapped[40] = {0};
    const struct sealed_payload payload = {.type = SEALED_ENVELOPE,
        .key_id = "kbs:///default/wrap/1",
        .encrypted_key = bytes_of(wrapped, sizeof wrapped)};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct err err = ERR_INIT;
        auto_secret *fetched = NULL;
        struct secret *key = NULL;
        assert_done(secret_random(sizes[i], &fetched, &err), &err);
        assert_refused(provider_kbs.envelope_unwrap(&payload, fetched, &key, &err), &err,
            ERR_CRYPTO, "store exactly 32 random bytes");
        assert_null(key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_without_regard_to_case),
        cmocka_unit_test(unknown_is_refused_by_name),
        cmocka_unit_test(resource_uris),
        cmocka_unit_test(wrapping_key_must_be_32_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
