/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/inputs.h"

#include <sys/stat.h>
#include <time.h>

#include "crypt/base/b64.h"
#include "kbs/passport.h"

/* The key of RFC 7515 A.3, as it stands in JSON. */
#define PEM                                                               \
    "-----BEGIN PRIVATE KEY-----\\n"                                      \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\\n" \
    "H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\\n" \
    "7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\\n"         \
    "-----END PRIVATE KEY-----\\n"

static bool parse(const char *text, struct err *err)
{
    auto_free char *token = NULL;
    auto_jwk *key = NULL;
    return passport_parse(bytes_str(text), &token, &key, err);
}

static void what_an_attestation_agent_gives_is_taken(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_free char *token = NULL;
    auto_jwk *key = NULL;
    assert_done(passport_parse(bytes_str("{\"token\":\"a.b.c\",\"tee_keypair\":\"" PEM "\"}"),
                    &token, &key, &err),
        &err);
    assert_string_equal(token, "a.b.c");
    assert_true(jwk_is_private(key));
    assert_int_equal(jwk_kind(key), JWK_EC_P256);
    assert_done(
        parse(" {\n \"tee_keypair\" : \"" PEM "\" , \"token\" : \"a\\/b\" } \n", &err), &err);
    assert_done(
        parse(
            "{\"token\":\"a\",\"tee_keypair\":\"{\\\"kty\\\":\\\"EC\\\",\\\"crv\\\":\\\"P-256\\\","
            "\\\"x\\\":\\\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\\\","
            "\\\"y\\\":\\\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\\\","
            "\\\"d\\\":\\\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\\\"}\"}",
            &err),
        &err);
}

static void what_is_no_passport(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {{"", "no JSON object"}, {"[]", "no JSON object"}, {"{}", "no text where"},
        {"{\"token\":\"a\"}", "a member is missing"}, {"{\"token\":1}", "no text where"},
        {"{\"token\":\"a\",\"token\":\"b\"}", "twice"},
        {"{\"token\":\"a\",\"other\":\"b\"}", "another member"},
        {"{\"token\":\"a\",\"tee_keypair\":\"" PEM "\",\"x\":\"y\"}", "more than two"},
        {"{\"token\":\"a\",\"tee_keypair\":\"" PEM "\"} x", "something behind"},
        {"{\"token\" \"a\"}", "a name without a value"}, {"{\"token\":\"a", "a text without end"},
        {"{\"token\":\"a\\", "escape that is not taken"},
        {"{\"token\":\"a\\u0041\"", "escape that is not taken"},
        {"{\"token\":\"a\nb\"", "a control character"},
        {"{\"token\":\"a\",\"tee_keypair\":\"\"}", "tee_keypair"},
        {"{\"token\":\"a\",\"tee_keypair\":\"{\\\"kty\\\":\\\"EC\\\",\\\"crv\\\":\\\"P-256\\\","
         "\\\"x\\\":\\\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\\\","
         "\\\"y\\\":\\\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\\\"}\"}",
            "a private EC or RSA key"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        bool done = parse(rows[i].text, &err);
        assert_refused(done, &err, err.code, rows[i].why);
    }
}

/* -- from a file and from a descriptor ---------------------------------------------------------- */

struct bench {
    struct loop *loop;
    bool answered;
    struct err err;
    char *token;
};

static void on_passport(void *arg, struct kbs_session *session, const struct err *err)
{
    struct bench *bench = arg;
    assert_false(bench->answered);
    bench->answered = true;
    bench->err = *err;
    bench->token = session ? strdup(kbs_session_token(session)) : NULL;
}

static bool read_one(const struct passport_conf *conf, struct bench *bench)
{
    struct err err = ERR_INIT;
    AUTO(loop_free) struct loop *loop = NULL;
    AUTO(passport_free) struct passport *passport = NULL;
    free(bench->token);
    *bench = (struct bench){0};
    assert_done(loop_new(&loop, &err), &err);
    assert_done(passport_new(loop, conf, on_passport, bench, &passport, &err), &err);
    assert_false(bench->answered); /* never from inside */
    while (!bench->answered)
        assert_done(loop_turn(loop, -1, &err), &err);
    return bench->token != NULL;
}

static char *passport_text(int64_t issued, int64_t begins, int64_t ends)
{
    char claims[200], *text = NULL;
    int len = snprintf(claims, sizeof claims, "{\"iat\":%lld,\"nbf\":%lld,\"exp\":%lld}",
        (long long)issued, (long long)begins, (long long)ends);
    auto_free char *encoded = b64_encode(B64_URL, bytes_of(claims, (size_t)len));
    assert_true(
        asprintf(&text, "{\"token\":\"e30.%s.x\",\"tee_keypair\":\"" PEM "\"}", encoded) > 0);
    return text;
}

static int output;
static bool open_output(void *arg, int *ret_fd, struct err *err)
{
    int ends[2];
    const char *text = arg;
    (void)err;
    assert_return_code(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    if (text) {
        assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
        close(ends[1]);
    } else {
        output = ends[1];
    }
    *ret_fd = ends[0];
    return true;
}

static void times_are_told_apart(void **state)
{
    (void)state;
    enum { HOUR = 3600, YEAR = 365 * 24 * HOUR };
    static const struct {
        int64_t issued, begins, ends; /* from now */
        const char *why;              /* NULL: taken */
    } rows[] = {{-10, -10, HOUR, NULL}, {30, 30, HOUR, NULL}, {-YEAR, -YEAR, HOUR, NULL},
        {-HOUR, -HOUR, -1, "has expired: it ended"},
        {-YEAR - HOUR, -YEAR - HOUR, -YEAR, "has expired: it ended"},
        {HOUR, HOUR, 2 * HOUR, "is not yet valid: it begins"},
        {YEAR, YEAR, YEAR + HOUR, "is not yet valid: it begins"},
        {0, HOUR, 2 * HOUR, "is not yet valid: it begins"}};
    int64_t now = (int64_t)time(NULL);
    struct bench bench = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        auto_free char *text =
            passport_text(now + rows[i].issued, now + rows[i].begins, now + rows[i].ends);
        struct passport_conf conf = {
            .open = open_output, .arg = text, .command = "/bin/x", .timeout_ms = 5000};
        bool done = read_one(&conf, &bench);
        if (!rows[i].why) {
            assert_done(done, &bench.err);
            continue;
        }
        assert_refused(done, &bench.err, ERR_ATTEST, rows[i].why);
        assert_non_null(strstr(bench.err.message, "token_command /bin/x: "));
        assert_non_null(strstr(bench.err.message, "this machine's clock says "));
    }
    free(bench.token);
}

static void commands_that_give_nothing_good(void **state)
{
    (void)state;
    char nothing[] = "", complaint[] = "curl: (7) refused";
    struct bench bench = {0};
    struct passport_conf conf = {
        .open = open_output, .arg = nothing, .command = "/bin/x", .timeout_ms = 50};
    assert_refused(read_one(&conf, &bench), &bench.err, ERR_ATTEST, "gave nothing");
    conf.arg = NULL;
    assert_refused(read_one(&conf, &bench), &bench.err, ERR_TIMEOUT, "gave no token within 50 ms");
    close(output);
    conf.arg = complaint;
    conf.timeout_ms = 5000;
    assert_refused(read_one(&conf, &bench), &bench.err, ERR_ATTEST, "no JSON object");
}

static void files_are_credentials(void **state)
{
    (void)state;
    struct bench bench = {0};
    int64_t now = (int64_t)time(NULL);
    auto_free char *text = passport_text(now, now, now + 600);
    char path[] = "/tmp/test-passport.XXXXXX";
    auto_fd int fd = mkstemp(path);
    struct passport_conf conf = {.file = path};
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_done(read_one(&conf, &bench), &bench.err);
    assert_return_code(fchmod(fd, 0644), 0);
    assert_refused(read_one(&conf, &bench), &bench.err, ERR_ATTEST, "lets others use it");
    unlink(path);
    assert_refused(
        read_one(&conf, &bench), &bench.err, ERR_ATTEST, "token_file /tmp/test-passport");
    free(bench.token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_attestation_agent_gives_is_taken),
        cmocka_unit_test(what_is_no_passport),
        cmocka_unit_test(times_are_told_apart),
        cmocka_unit_test(commands_that_give_nothing_good),
        cmocka_unit_test(files_are_credentials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
