/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <dirent.h>

#include "crypt/base/b64.h"
#include "crypt/base/file.h"
#include "kbs/proto.h"

static json_t *vector_load(const char *name)
{
    struct err err = ERR_INIT;
    auto_buf text = BUF_INIT(1024 * 1024);
    json_t *json = NULL;
    char path[256];
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/vectors/%s", name);
    assert_done(file_read(path, 1024 * 1024, &text, &err), &err);
    assert_done(json_load_strict(buf_bytes(&text), 1024 * 1024, name, &json, &err), &err);
    return json;
}

static struct bytes member(const json_t *json, const char *name)
{
    const char *text = json_member_text(json, name);
    assert_non_null(text);
    return bytes_str(text);
}

/* What real clients and a real Trustee said to each other. */
static void recorded_exchanges_decode(void **state)
{
    (void)state;
    static const struct {
        const char *file, *tee, *status_member;
    } cases[] = {{"rcar-sample.json", "sample", "svn"}, {"rcar-tpm.json", "tpm", "tpm_quote"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        struct proto_auth auth;
        struct proto_challenge challenge;
        struct proto_token_claims claims;
        AUTO_DONE(proto_attest_done) struct proto_attest attest = {0};
        auto_json *json = vector_load(cases[i].file);
        auto_free char *token = NULL;
        assert_done(proto_auth_decode(member(json, "auth_request"), &auth, &err), &err);
        assert_string_equal(auth.version, PROTO_VERSION);
        assert_string_equal(auth.tee, cases[i].tee);
        assert_done(proto_challenge_decode(member(json, "auth_answer"), &challenge, &err), &err);
        assert_int_equal(challenge.hash, HASH_SHA384);
        assert_done(proto_attest_decode(member(json, "attest_request"), &attest, &err), &err);
        assert_string_equal(attest.nonce, challenge.nonce);
        assert_non_null(json_object_get(attest.evidence, cases[i].status_member));
        assert_string_equal(json_member_text(attest.tee_pubkey, "crv"), "P-256");
        assert_string_equal(attest.additional, "");
        assert_null(attest.init_data);
        int64_t next_s = -1;
        assert_done(proto_token_decode(member(json, "attest_answer"), &token, &next_s, &err), &err);
        assert_int_equal(next_s, 0);
        assert_done(proto_token_claims(token, &claims, &err), &err);
        assert_int_equal(claims.expires_at - claims.issued_at, 300);
        assert_int_equal(claims.not_before, 0);
        assert_false(claims.affirming);
    }
}

/* Our /attest request is the recorded client's, member for member. */
static void attest_request_is_the_recorded_one(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO_DONE(proto_attest_done) struct proto_attest attest = {0};
    auto_json *json = vector_load("rcar-tpm.json");
    auto_json *ours = NULL;
    auto_json *theirs = NULL;
    auto_free char *text = NULL;
    struct bytes recorded = member(json, "attest_request");
    assert_done(proto_attest_decode(recorded, &attest, &err), &err);
    auto_free char *evidence = json_text(attest.evidence);
    assert_done(
        proto_attest_encode(attest.nonce, attest.tee_pubkey, bytes_str(evidence), &text, &err),
        &err);
    assert_done(json_load_strict(bytes_str(text), PROTO_BODY_MAX, "ours", &ours, &err), &err);
    assert_done(json_load_strict(recorded, PROTO_BODY_MAX, "theirs", &theirs, &err), &err);
    assert_true(json_equal(ours, theirs));
}

static void evidence_goes_out_byte_for_byte(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *key = NULL;
    auto_free char *text = NULL;
    auto_free char *bad = NULL;
    const char *evidence = "{ \"z\":1 , \"a\" : \"\\u0041\" }";
    assert_done(json_build(&key, &err, "{s:s}", "kty", "EC"), &err);
    assert_done(proto_attest_encode("n\"1", key, bytes_str(evidence), &text, &err), &err);
    assert_string_equal(text,
        "{\"init-data\":null,\"runtime-data\":{\"nonce\":\"n\\\"1\",\"tee-pubkey\":{\"kty\":\"EC\"}"
        "},"
        "\"tee-evidence\":{\"primary_evidence\":{ \"z\":1 , \"a\" : \"\\u0041\" },"
        "\"additional_evidence\":\"\"}}");
    assert_refused(proto_attest_encode("n", key, bytes_str("{},\"x\":{}"), &bad, &err), &err,
        ERR_FORMAT, "evidence");
}

static void auth_goes_both_ways(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct proto_auth auth = {.version = PROTO_VERSION, .tee = "tpm"}, again;
    auto_free char *text = NULL;
    assert_done(proto_auth_encode(&auth, &text, &err), &err);
    assert_string_equal(text,
        "{\"version\":\"0.4.0\",\"tee\":\"tpm\",\"extra-params\":{\"supported-hash-algorithms\":"
        "[\"sha256\",\"sha384\",\"sha512\"]}}");
    assert_done(proto_auth_decode(bytes_str(text), &again, &err), &err);
    assert_string_equal(again.tee, "tpm");
}

static void challenge_selects_the_hash(void **state)
{
    (void)state;
    static const struct {
        const char *extra;
        enum hash_alg hash;
    } cases[] = {
        {"\"\"", HASH_SHA384},
        {"null", HASH_SHA384},
        {"{}", HASH_SHA384},
        {"{\"selected-hash-algorithm\":\"SHA512\"}", HASH_SHA512},
        {"{\"selected-hash-algorithm\":\"sha256\",\"x\":1}", HASH_SHA256},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        struct proto_challenge challenge, again;
        auto_free char *text = NULL;
        char body[128];
        snprintf(body, sizeof body, "{\"nonce\":\"AA==\",\"extra-params\":%s}", cases[i].extra);
        assert_done(proto_challenge_decode(bytes_str(body), &challenge, &err), &err);
        assert_int_equal(challenge.hash, cases[i].hash);
        assert_done(proto_challenge_encode(&challenge, &text, &err), &err);
        assert_done(proto_challenge_decode(bytes_str(text), &again, &err), &err);
        assert_int_equal(again.hash, cases[i].hash);
    }
    struct err err = ERR_INIT;
    struct proto_challenge trustee = {.nonce = "AA==", .hash = HASH_SHA384};
    auto_free char *text = NULL;
    assert_done(proto_challenge_encode(&trustee, &text, &err), &err);
    assert_string_equal(text, "{\"nonce\":\"AA==\",\"extra-params\":\"\"}");
}

static void init_data_is_kept(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO_DONE(proto_attest_done) struct proto_attest attest = {0};
    const char *body = "{\"init-data\":{\"format\":\"toml\",\"body\":\"version = "
                       "\\\"0.1.0\\\"\"},\"runtime-data\":{\"nonce\":"
                       "\"n\",\"tee-pubkey\":{}},\"tee-evidence\":{\"primary_evidence\":{},"
                       "\"additional_evidence\":\"\"}}";
    assert_done(proto_attest_decode(bytes_str(body), &attest, &err), &err);
    assert_string_equal(attest.init_data, "version = \"0.1.0\"");
}

static char *jwt_of(const char *claims)
{
    char *text = NULL;
    auto_free char *payload = b64_encode(B64_URL, bytes_str(claims));
    assert_non_null(payload);
    assert_true(asprintf(&text, "e30.%s.AA", payload) > 0);
    return text;
}

static void token_claims_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *claims;
        struct proto_token_claims want;
    } cases[] = {
        {"{}", {0, 0, 0, false}},
        {"{\"iat\":5,\"nbf\":6,\"exp\":305}", {5, 6, 305, false}},
        {"{\"exp\":305.75}", {0, 0, 305, false}},
        {"{\"submods\":{}}", {0, 0, 0, false}},
        {"{\"submods\":{\"cpu0\":{\"ear.status\":\"affirming\"}}}", {0, 0, 0, true}},
        {"{\"submods\":{\"cpu0\":{\"ear.status\":\"affirming\"},\"gpu0\":{\"ear.status\":"
         "\"warning\"}}}",
            {0, 0, 0, false}},
        {"{\"submods\":{\"cpu0\":{}}}", {0, 0, 0, false}},
        {"{\"submods\":[1]}", {0, 0, 0, false}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        struct proto_token_claims claims;
        auto_free char *token = jwt_of(cases[i].claims);
        assert_done(proto_token_claims(token, &claims, &err), &err);
        assert_int_equal(claims.issued_at, cases[i].want.issued_at);
        assert_int_equal(claims.not_before, cases[i].want.not_before);
        assert_int_equal(claims.expires_at, cases[i].want.expires_at);
        assert_int_equal(claims.affirming, cases[i].want.affirming);
    }
    static const char *const bad[] = {
        "{\"exp\":\"305\"}", "{\"exp\":-1}", "{\"exp\":1e300}", "{\"iat\":null}", "[]x", "7"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        struct proto_token_claims claims;
        auto_free char *token = jwt_of(bad[i]);
        assert_refused(proto_token_claims(token, &claims, &err), &err, ERR_FORMAT, "token");
    }
}

static void recorded_errors_have_their_names(void **state)
{
    (void)state;
    static const char *const names[] = {"TokenNotFound", "TokenVerifierError",
        "PluginInternalError", "PluginInternalError", "PluginNotFound", "AttestationError",
        "AttestationError", "AttestationError", "PolicyDeny"};
    auto_json *json = vector_load("kbs-errors.json");
    assert_int_equal(json_array_size(json), ARRAY_LEN(names));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct proto_error error;
        char ref[ERR_REF_SIZE];
        proto_error_decode(member(json_array_get(json, i), "body"), &error);
        assert_string_equal(error.name, names[i]);
        proto_error_ref(&error, ref);
        assert_string_equal(ref, "");
    }
}

static void errors_go_both_ways_with_their_ref(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct proto_error error = {.name = "PolicyDeny", .detail = "Access [id x] denied [id 01HZ-7]"},
                       again;
    char ref[ERR_REF_SIZE];
    auto_free char *text = NULL;
    assert_done(proto_error_encode(&error, &text, &err), &err);
    proto_error_decode(bytes_str(text), &again);
    assert_string_equal(again.name, error.name);
    assert_string_equal(again.detail, error.detail);
    proto_error_ref(&again, ref);
    assert_string_equal(ref, "01HZ-7");
}

static void a_ref_must_be_whole_and_last(void **state)
{
    (void)state;
    static const char *const details[] = {"", "x [id ]", "x [id a]b", "x [id a", "x [id a b]",
        "[id a]", "x [id aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]"};
    for (size_t i = 0; i < ARRAY_LEN(details); i++) {
        struct proto_error error = {0};
        char ref[ERR_REF_SIZE];
        snprintf(error.detail, sizeof error.detail, "%s", details[i]);
        proto_error_ref(&error, ref);
        assert_string_equal(ref, "");
    }
}

static void what_is_no_error_message_is_shown(void **state)
{
    (void)state;
    struct proto_error error;
    proto_error_decode(bytes_str("<html>\n<h1>502 Bad\x1b Gateway</h1>"), &error);
    assert_string_equal(error.name, "");
    assert_string_equal(
        error.detail, "not an error message of a KBS: \"<html><h1>502 Bad Gateway</h1>\"...");
    proto_error_decode(BYTES_EMPTY, &error);
    assert_string_equal(error.detail, "an empty answer, not an error message of a KBS");
    proto_error_decode(bytes_str("{\"type\":\"a/b c\",\"detail\":\"x\\ny\\u007f\"}"), &error);
    assert_string_equal(error.name, "");
    assert_string_equal(error.detail, "x y ");
}

static void a_long_detail_is_cut_between_characters(void **state)
{
    (void)state;
    struct proto_error error;
    char body[1200] = "{\"type\":\"a/B\",\"detail\":\"x";
    for (int i = 0; i < 400; i++)
        strcat(body, "\xc3\xa9");
    strcat(body, "\"}");
    proto_error_decode(bytes_str(body), &error);
    assert_string_equal(error.name, "B");
    assert_int_equal(strlen(error.detail), 511);
    proto_error_decode(bytes_of(body, strlen(body)), &error);
    assert_int_equal((unsigned char)error.detail[510], 0xa9);
}

static bool decode_token(struct bytes body, struct err *err)
{
    auto_free char *token = NULL;
    struct proto_token_claims claims;
    int64_t next_s = 0;
    return proto_token_decode(body, &token, &next_s, err) &&
           proto_token_claims(token, &claims, err);
}

static bool decode_auth(struct bytes body, struct err *err)
{
    struct proto_auth auth;
    return proto_auth_decode(body, &auth, err);
}

static bool decode_challenge(struct bytes body, struct err *err)
{
    struct proto_challenge challenge;
    return proto_challenge_decode(body, &challenge, err);
}

static bool decode_attest(struct bytes body, struct err *err)
{
    AUTO_DONE(proto_attest_done) struct proto_attest attest = {0};
    return proto_attest_decode(body, &attest, err);
}

/* tests/bad/proto/<message>-<reason>.json */
static void every_bad_file_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        bool (*decode)(struct bytes body, struct err *err);
    } decoders[] = {{"auth-", decode_auth}, {"challenge-", decode_challenge},
        {"attest-", decode_attest}, {"token-", decode_token}};
    int count[ARRAY_LEN(decoders)] = {0};
    DIR *dir = opendir(TEST_SOURCE_DIR "/bad/proto");
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[512];
        size_t kind = 0;
        if (entry->d_name[0] == '.')
            continue;
        while (kind < ARRAY_LEN(decoders) &&
               strncmp(entry->d_name, decoders[kind].prefix, strlen(decoders[kind].prefix)) != 0)
            kind++;
        assert_true(kind < ARRAY_LEN(decoders));
        snprintf(path, sizeof path, TEST_SOURCE_DIR "/bad/proto/%s", entry->d_name);
        struct err err = ERR_INIT;
        auto_buf text = BUF_INIT(8u * 1024 * 1024);
        assert_done(file_read(path, text.max, &text, &err), &err);
        if (decoders[kind].decode(buf_bytes(&text), &err))
            fail_msg("%s was accepted", entry->d_name);
        assert_int_equal(err.code, ERR_FORMAT);
        count[kind]++;
    }
    closedir(dir);
    for (size_t i = 0; i < ARRAY_LEN(count); i++)
        assert_true(count[i] >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_exchanges_decode),
        cmocka_unit_test(attest_request_is_the_recorded_one),
        cmocka_unit_test(evidence_goes_out_byte_for_byte),
        cmocka_unit_test(auth_goes_both_ways),
        cmocka_unit_test(challenge_selects_the_hash),
        cmocka_unit_test(init_data_is_kept),
        cmocka_unit_test(token_claims_are_read),
        cmocka_unit_test(recorded_errors_have_their_names),
        cmocka_unit_test(errors_go_both_ways_with_their_ref),
        cmocka_unit_test(a_ref_must_be_whole_and_last),
        cmocka_unit_test(what_is_no_error_message_is_shown),
        cmocka_unit_test(a_long_detail_is_cut_between_characters),
        cmocka_unit_test(every_bad_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
