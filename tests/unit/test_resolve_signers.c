/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
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

/* As if the file had been there for an hour: the age is what decides whether a change would show. */
static void age(struct resolve_signers *signers, const char *name, struct jwk *signer)
{
    char path[128];
    path_of(name, path);
    resolve_signers_drop(signers);
    assert_int_equal(stat(path, &signers->st), 0);
    signers->path = strdup(path);
    signers->signer = jwk_ref(signer);
    signers->until_ms = INT64_MAX;
}

static void a_young_file_is_read_each_time(void **state)
{
    (void)state;
    struct resolve_signers signers = {.keep_ms = 60000};
    write_key("team");
    auto_jwk *first = get(&signers, "team");
    auto_jwk *second = get(&signers, "team");
    assert_ptr_not_equal(first, second);
    assert_null(signers.path);
}

static void a_kept_signer_serves_its_own_file_only(void **state)
{
    (void)state;
    struct resolve_signers signers = {.keep_ms = 60000};
    write_key("team");
    write_key("other");
    auto_jwk *first = get(&signers, "team");
    age(&signers, "team", first);
    auto_jwk *kept = get(&signers, "team");
    assert_ptr_equal(kept, first);
    auto_jwk *other = get(&signers, "other");
    assert_ptr_not_equal(other, first);
    resolve_signers_drop(&signers);
}

static void a_changed_file_is_read_again(void **state)
{
    (void)state;
    struct resolve_signers signers = {.keep_ms = 60000};
    struct err err = ERR_INIT;
    struct jwk *none = NULL;
    write_key("team");
    auto_jwk *first = get(&signers, "team");
    age(&signers, "team", first);
    signers.st.st_ctim.tv_nsec ^= 1; /* the one thing that a write of the same length must change */
    auto_jwk *second = get(&signers, "team");
    assert_ptr_not_equal(second, first);

    age(&signers, "team", first);
    write_key("next");
    char from[128], to[128];
    path_of("next", from);
    path_of("team", to);
    assert_int_equal(rename(from, to), 0);
    auto_jwk *third = get(&signers, "team");
    assert_ptr_not_equal(third, first);

    age(&signers, "team", first);
    assert_int_equal(unlink(to), 0);
    assert_refused(
        resolve_signers_get(&signers, dir, "team", &none, &err), &err, ERR_NOTFOUND, "team");
    resolve_signers_drop(&signers);
}

static void time_ends_the_keeping(void **state)
{
    (void)state;
    struct resolve_signers signers = {.keep_ms = 60000};
    write_key("team");
    auto_jwk *first = get(&signers, "team");
    age(&signers, "team", first);
    signers.until_ms = 0;
    auto_jwk *second = get(&signers, "team");
    assert_ptr_not_equal(second, first);
    resolve_signers_drop(&signers);
}

static void refuses_what_is_no_signer(void **state)
{
    (void)state;
    struct resolve_signers signers = {.keep_ms = 60000};
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
        cmocka_unit_test(a_young_file_is_read_each_time),
        cmocka_unit_test(a_kept_signer_serves_its_own_file_only),
        cmocka_unit_test(a_changed_file_is_read_again),
        cmocka_unit_test(time_ends_the_keeping),
        cmocka_unit_test(refuses_what_is_no_signer),
    };
    if (!mkdtemp(dir))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    static const char *const files[] = {"team", "other", "next", "text"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[128];
        path_of(files[i], path);
        unlink(path);
    }
    rmdir(dir);
    return failed;
}
