/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "fs/resolve_signers.h"

static char dir[] = "/tmp/sealed-signers-XXXXXX";

static void path_of(const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", dir, name);
}

static void write_text(const char *name, const char *text)
{
    char path[128];
    path_of(name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void write_key(const char *name)
{
    struct err err = ERR_INIT;
    auto_jwk *key = NULL;
    auto_json *json = NULL;
    assert_done(jwk_generate(JWK_EC_P256, NULL, &key, &err), &err);
    assert_done(jwk_public_json(key, NULL, &json, &err), &err);
    auto_free char *text = json_text(json);
    assert_non_null(text);
    write_text(name, text);
}

static struct jwk *get(struct resolve_signers *signers, const char *name)
{
    struct err err = ERR_INIT;
    struct jwk *signer = NULL;
    assert_done(resolve_signers_get(signers, dir, name, &signer, &err), &err);
    return signer;
}

static void an_unchanged_file_is_parsed_once(void **state)
{
    (void)state;
    AUTO_DONE(resolve_signers_done) struct resolve_signers signers = {0};
    write_key("team");
    auto_jwk *first = get(&signers, "team");
    auto_jwk *second = get(&signers, "team");
    assert_ptr_equal(first, second);
}

static void a_changed_file_counts_at_once(void **state)
{
    (void)state;
    AUTO_DONE(resolve_signers_done) struct resolve_signers signers = {0};
    struct err err = ERR_INIT;
    struct jwk *none = NULL;
    write_key("team");
    auto_jwk *first = get(&signers, "team");
    write_key("team");
    auto_jwk *second = get(&signers, "team");
    assert_ptr_not_equal(second, first);
    write_text("team", "{\"kty\":\"EC\"}");
    assert_refused(
        resolve_signers_get(&signers, dir, "team", &none, &err), &err, ERR_FORMAT, "crv");
    write_key("team");
    auto_jwk *third = get(&signers, "team");
    assert_ptr_not_equal(third, second);
    char path[128];
    path_of("team", path);
    assert_int_equal(unlink(path), 0);
    assert_refused(
        resolve_signers_get(&signers, dir, "team", &none, &err), &err, ERR_NOTFOUND, "team");
    assert_null(none);
}

static void each_name_has_its_own_key(void **state)
{
    (void)state;
    AUTO_DONE(resolve_signers_done) struct resolve_signers signers = {0};
    write_key("team");
    write_key("other");
    auto_jwk *team = get(&signers, "team");
    auto_jwk *other = get(&signers, "other");
    assert_ptr_not_equal(team, other);
}

static void refuses_what_is_no_signer(void **state)
{
    (void)state;
    AUTO_DONE(resolve_signers_done) struct resolve_signers signers = {0};
    struct jwk *none = NULL;
    struct err err = ERR_INIT;
    static const char *const names[] = {"", ".", "..", ".team", "a/b", "../team"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_refused(resolve_signers_get(&signers, dir, names[i], &none, &err), &err, ERR_FORMAT,
            "plain file name");
    write_text("text", "{\"kty\":\"EC\"}");
    assert_refused(
        resolve_signers_get(&signers, dir, "text", &none, &err), &err, ERR_FORMAT, "text");
    assert_refused(
        resolve_signers_get(&signers, dir, "absent", &none, &err), &err, ERR_NOTFOUND, "absent");
    assert_refused(
        resolve_signers_get(&signers, NULL, "team", &none, &err), &err, ERR_CRYPTO, "signer_files");
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unchanged_file_is_parsed_once),
        cmocka_unit_test(a_changed_file_counts_at_once),
        cmocka_unit_test(each_name_has_its_own_key),
        cmocka_unit_test(refuses_what_is_no_signer),
    };
    if (!mkdtemp(dir))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    static const char *const files[] = {"team", "other", "text"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[128];
        path_of(files[i], path);
        unlink(path);
    }
    rmdir(dir);
    return failed;
}
