/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <dirent.h>

#include "crypt/base/b64.h"
#include "crypt/base/file.h"
#include "tests/unit/ear_key.h"

#define VECTOR TEST_SOURCE_DIR "/vectors/ear_trustee.json"
#define BAD    TEST_SOURCE_DIR "/bad/ear"
#define CORPUS TEST_SOURCE_DIR "/fuzz/corpus/ear"
#define ZERO   "0000000000000000000000000000000000000000000000000000000000000000"
#define JWK                                                               \
    "{\"alg\":\"ECDH-ES+A256KW\",\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":" \
    "\"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0\","                    \
    "\"y\":\"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps\"}"
#define RUNTIME "{\"additional-evidence\":\"\",\"nonce\":\"AAAA\",\"tee-pubkey\":" JWK "}"

static struct jwk *signer;

static int make_key(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    return ear_test_key(&signer, &err) ? 0 : -1;
}

static int free_key(void **state)
{
    (void)state;
    jwk_unref(signer);
    return 0;
}

static json_t *parse(const char *text)
{
    struct err err = ERR_INIT;
    json_t *json = NULL;
    assert_done(json_load_strict(bytes_str(text), 1 << 20, "test", &json, &err), &err);
    return json;
}

static json_t *load(const char *path)
{
    struct err err = ERR_INIT;
    auto_buf text = BUF_INIT(1 << 20);
    assert_done(file_read(path, 1 << 20, &text, &err), &err);
    return parse(buf_text(&text));
}

/* Claims as the TPM verifier makes them. */
static json_t *tpm_claims(void)
{
    json_t *claims =
        parse("{\"ak_public\":\"MIIB\",\"init_data\":\"" ZERO "\",\"report_data\":\"" ZERO "\"}");
    for (int i = 0; i < 24; i++) {
        char name[8];
        snprintf(name, sizeof name, "pcr%02d", i);
        json_object_set_new(claims, name, json_string(ZERO));
    }
    return claims;
}

static json_t *sample_claims(void)
{
    return parse("{\"svn\":\"1\",\"report_data\":\"AAAA\",\"launch_digest\":\"abcde\",\"platform_"
                 "version\":{\"major\":1,\"minor\":4},"
                 "\"debug\":false}");
}

static void issue(const char *tee, const json_t *claims, const json_t *x5c, char **ret_token)
{
    struct err err = ERR_INIT;
    auto_json *runtime = parse(RUNTIME);
    auto_json *references = parse("{}");
    auto_appraisal appraisal = {0};
    assert_done(appraise(tee, claims, references, &appraisal, &err), &err);
    struct ear_signer by = {.key = signer, .x5c = x5c, .issuer = "our-kbs", .lifetime_s = 300};
    const struct ear_piece piece = {.tee = tee,
        .class_name = "cpu",
        .claims = claims,
        .runtime_data = runtime,
        .appraisal = &appraisal};
    const struct ear_input input = {.pieces = &piece, .count = 1, .issued_at = EAR_TEST_NOW};
    assert_done(ear_issue(&by, &input, ret_token, &err), &err);
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return "text";
    case JSON_INTEGER:
        return "int";
    case JSON_TRUE:
    case JSON_FALSE:
        return "bool";
    case JSON_NULL:
        return "null";
    default:
        return "other";
    }
}

/* The same members, no more and no fewer, of the same types. */
static void assert_shape(const json_t *ours, const json_t *theirs, const char *where)
{
    const char *name;
    const json_t *want;
    if (!json_is_object(theirs)) {
        assert_string_equal(type_name(ours), json_string_value(theirs));
        return;
    }
    if (!json_is_object(ours) || json_object_size(ours) != json_object_size(theirs))
        fail_msg("%s: %zu members, Trustee has %zu", where, json_object_size(ours),
            json_object_size(theirs));
    json_object_foreach((json_t *)(uintptr_t)theirs, name, want)
    {
        const json_t *have = json_object_get(ours, name);
        if (!have)
            fail_msg("%s: no member %s", where, name);
        assert_shape(have, want, name);
    }
}

static json_t *token_header(const char *token)
{
    struct err err = ERR_INIT;
    auto_jws *jws = NULL;
    assert_done(jws_parse(bytes_str(token), &jws, &err), &err);
    return json_deep_copy(jws_header(jws));
}

static void check_like_trustee(const char *tee, const json_t *claims)
{
    struct err err = ERR_INIT;
    auto_json *vector = load(VECTOR);
    const json_t *theirs = json_object_get(vector, tee);
    auto_free char *token = NULL;
    auto_ear ear = {0};
    issue(tee, claims, NULL, &token);
    auto_json *header = token_header(token);
    assert_shape(header, json_object_get(theirs, "header"), "header");
    assert_string_equal(json_member_text(header, "typ"), "JWT");
    assert_string_equal(json_member_text(json_object_get(header, "jwk"), "alg"), "ES256");
    assert_done(ear_verify(bytes_str(token), signer, EAR_TEST_NOW + 1, &ear, &err), &err);
    assert_shape(ear.payload, json_object_get(theirs, "payload"), "payload");
    const json_t *submod = json_object_get(json_object_get(ear.payload, "submods"), "cpu0");
    assert_string_equal(
        json_member_text(ear.payload, "eat_profile"), json_member_text(theirs, "eat_profile"));
    assert_string_equal(json_member_text(submod, "ear.status"), json_member_text(theirs, "status"));
    assert_string_equal(
        json_member_text(submod, "ear.appraisal-policy-id"), json_member_text(theirs, "policy"));
    assert_true(json_equal(
        json_object_get(submod, "ear.trustworthiness-vector"), json_object_get(theirs, "vector")));
    assert_true(json_equal(json_object_get(submod, "ear.trustee.identifiers"),
        json_object_get(theirs, "identifiers")));
    assert_string_equal(appraisal_status_name(ear.status), json_member_text(theirs, "status"));
    assert_int_equal(ear.expires_at, EAR_TEST_NOW + 300);
}

static void test_like_trustee(void **state)
{
    (void)state;
    auto_json *tpm = tpm_claims();
    auto_json *sample = sample_claims();
    check_like_trustee("tpm", tpm);
    check_like_trustee("sample", sample);
    assert_non_null(
        json_object_get(tpm, "report_data")); /* the claims given are left as they were */
}

/* A log of any length leaves a token that fits into the head of a request; what else is claimed stays. */
static void test_event_log(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *claims = tpm_claims(), *log = json_array();
    auto_free char *token = NULL;
    auto_ear ear = {0};
    for (int i = 0; i < 1000; i++) {
        auto_json *entry = NULL;
        assert_done(
            json_build(&entry, &err, "{s:s,s:s}", "event", ZERO ZERO, "type_name", "EV_IPL"), &err);
        assert_int_equal(json_array_append(log, entry), 0);
    }
    assert_int_equal(json_object_set(claims, "uefi_event_logs", log), 0);
    issue("tpm", claims, NULL, &token);
    assert_true(strlen(token) < 60000);
    assert_int_equal(json_array_size(json_object_get(claims, "uefi_event_logs")), 1000);
    assert_non_null(json_object_get(json_array_get(log, 0), "event"));
    assert_done(ear_verify(bytes_str(token), signer, EAR_TEST_NOW, &ear, &err), &err);
    const json_t *submod = json_object_get(json_object_get(ear.payload, "submods"), "cpu0");
    const json_t *own =
        json_object_get(json_object_get(submod, "ear.veraison.annotated-evidence"), "tpm");
    assert_string_equal(json_member_text(own, "uefi_event_logs_trimmed"), "event");
    assert_int_equal(json_array_size(json_object_get(own, "uefi_event_logs")), 1000);
    assert_string_equal(json_member_text(own, "pcr00"), ZERO);
}

static void test_tee_key(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *claims = tpm_claims();
    auto_json *jwk = parse(JWK);
    auto_jwk *key = NULL;
    auto_free char *token = NULL;
    auto_ear ear = {0};
    char want[44], got[44];
    issue("tpm", claims, NULL, &token);
    assert_done(jwk_from_json(jwk, false, &key, &err) && jwk_thumbprint(key, want, &err), &err);
    assert_done(ear_verify(bytes_str(token), signer, EAR_TEST_NOW, &ear, &err) &&
                    jwk_thumbprint(ear.tee_key, got, &err),
        &err);
    assert_string_equal(got, want);
}

static void test_x5c(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *claims = tpm_claims();
    auto_json *chain = parse("[\"AAAA\",\"BBBB\"]");
    auto_free char *token = NULL;
    auto_ear ear = {0};
    issue("tpm", claims, chain, &token);
    auto_json *header = token_header(token);
    assert_true(json_equal(json_object_get(json_object_get(header, "jwk"), "x5c"), chain));
    assert_done(ear_verify(bytes_str(token), signer, EAR_TEST_NOW, &ear, &err), &err);
}

static void test_shape_without_members(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *claims = parse("{\"a\":1}");
    auto_json *shaped = NULL;
    auto_json *wanted = parse("{\"tpm\":{\"a\":1}}");
    const struct ear_piece piece = {.tee = "tpm", .class_name = "cpu", .claims = claims};
    assert_done(ear_shape_claims(&piece, &shaped, &err), &err);
    assert_true(json_equal(shaped, wanted));
}

static void test_init_data_claims(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *claims = parse("{\"init_data\":\"00\"}");
    auto_json *init = parse("{\"key1\":\"value1\"}");
    auto_json *shaped = NULL;
    const struct ear_piece piece = {
        .tee = "tpm", .class_name = "cpu", .claims = claims, .init_data_claims = init};
    assert_done(ear_shape_claims(&piece, &shaped, &err), &err);
    assert_true(json_equal(json_object_get(shaped, "init_data_claims"), init));
    assert_null(json_object_get(shaped, "runtime_data_claims"));
}

/* Names count within a class, each submod has its own appraisal, and only class cpu names containers. */
static void test_several_pieces(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *claims = sample_claims(), *device = parse("{\"svn\":\"2\",\"init_data\":\"AA==\"}");
    auto_json *runtime = parse(RUNTIME), *references = parse("{\"device_svn\":[\"2\"]}");
    auto_json *init =
        parse("{\"agent_policy_claims\":{\"containers\":["
              "{\"OCI\":{\"Annotations\":{},\"Process\":{\"User\":{\"UID\":65535}}}},"
              "{\"OCI\":{\"Annotations\":{\"io.kubernetes.cri.image-name\":\"nginx:1\"},"
              "\"Process\":{\"User\":{\"UID\":1001}}}}]}}");
    auto_appraisal cpu = {0}, gpu = {0};
    auto_free char *token = NULL;
    assert_int_equal(json_object_set_new(claims, "init_data", json_string("AA==")), 0);
    assert_done(appraise("sample", claims, references, &cpu, &err), &err);
    assert_done(appraise("sampledevice", device, references, &gpu, &err), &err);
    const struct ear_piece pieces[] = {
        {"sample", "cpu", claims, runtime, init, &cpu},
        {"sampledevice", "gpu", device, runtime, init, &gpu},
        {"sample", "cpu", claims, runtime, NULL, &cpu},
        {"sampledevice", "gpu", device, runtime, init, &gpu},
    };
    const struct ear_input input = {pieces, ARRAY_LEN(pieces), EAR_TEST_NOW};
    struct ear_signer by = {.key = signer, .issuer = "our-kbs", .lifetime_s = 300};
    assert_done(ear_issue(&by, &input, &token, &err), &err);
    auto_ear ear = {0};
    assert_done(ear_verify(bytes_str(token), signer, EAR_TEST_NOW, &ear, &err), &err);
    assert_int_equal(
        ear.status, APPRAISAL_CONTRAINDICATED); /* the worst of all: the sample's hardware */
    const json_t *submods = json_object_get(ear.payload, "submods");
    assert_int_equal(json_object_size(submods), 4);
    const json_t *cpu0 = json_object_get(submods, "cpu0"), *gpu1 = json_object_get(submods, "gpu1");
    assert_string_equal(json_member_text(gpu1, "ear.status"), "warning");
    assert_null(json_object_get(gpu1, "ear.trustee.identifiers"));
    assert_non_null(json_object_get(submods, "gpu0"));
    auto_free char *named = json_text(json_object_get(cpu0, "ear.trustee.identifiers"));
    assert_string_equal(named,
        "{\"validated\":{\"container_images\":[\"nginx:1\"],\"container_uids\":[65535,1001]}}");
    auto_free char *none =
        json_text(json_object_get(json_object_get(submods, "cpu1"), "ear.trustee.identifiers"));
    assert_string_equal(none, "{\"validated\":{}}");
    const json_t *shaped = json_object_get(gpu1, "ear.veraison.annotated-evidence");
    assert_string_equal(json_member_text(json_object_get(shaped, "sampledevice"), "svn"), "2");
    assert_true(json_equal(json_object_get(shaped, "init_data_claims"), init));
    assert_refused(ear_issue(&by, &(struct ear_input){pieces, 0, EAR_TEST_NOW}, &token, &err), &err,
        ERR_INTERNAL, "0 pieces");
}

/* --- refusals ------------------------------------------------------------------------------------------------- */

static bool verify_payload(struct bytes payload, struct ear *ear, struct err *err)
{
    struct err sign_err = ERR_INIT;
    auto_free char *token = NULL;
    assert_done(jws_sign(signer, NULL, payload, &token, &sign_err), &sign_err);
    return ear_verify(bytes_str(token), signer, EAR_TEST_NOW, ear, err);
}

/* Every file is a payload, truly signed; its name begins with the code of the refusal. */
static void test_bad_files(void **state)
{
    (void)state;
    DIR *dir = opendir(BAD);
    int count = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct err err = ERR_INIT;
        auto_buf text = BUF_INIT(1 << 20);
        auto_ear ear = {0};
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, BAD "/%s", entry->d_name);
        assert_done(file_read(path, 1 << 20, &text, &err), &err);
        const char *dash = strchr(entry->d_name, '-');
        if (verify_payload(buf_bytes(&text), &ear, &err))
            fail_msg("%s was taken", entry->d_name);
        const char *code = err_info(err.code)->name;
        if (!dash || strlen(code) != (size_t)(dash - entry->d_name) ||
            strncmp(code, entry->d_name, strlen(code)) != 0)
            fail_msg("%s: [%s] %s", entry->d_name, code, err.message);
        assert_null(ear.payload);
        count++;
    }
    closedir(dir);
    assert_true(count > 30);
}

static void test_good_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum appraisal_status status;
    } files[] = {{"good.json", APPRAISAL_AFFIRMING}, {"two-submods.json", APPRAISAL_NONE},
        {"key-at-top.json", APPRAISAL_AFFIRMING}, {"vector-worse.json", APPRAISAL_CONTRAINDICATED}};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct err err = ERR_INIT;
        auto_ear ear = {0};
        char path[4096];
        snprintf(path, sizeof path, CORPUS "/%s", files[i].name);
        auto_json *payload = load(path);
        auto_free char *text = json_text(payload);
        assert_done(verify_payload(bytes_str(text), &ear, &err), &err);
        assert_int_equal(ear.status, files[i].status);
    }
}

static void test_times(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *claims = tpm_claims();
    auto_free char *token = NULL;
    auto_ear early = {0}, late = {0}, refused = {0};
    issue("tpm", claims, NULL, &token);
    assert_done(ear_verify(bytes_str(token), signer, EAR_TEST_NOW - 60, &early, &err), &err);
    assert_done(ear_verify(bytes_str(token), signer, EAR_TEST_NOW + 299, &late, &err), &err);
    assert_refused(ear_verify(bytes_str(token), signer, EAR_TEST_NOW - 61, &refused, &err), &err,
        ERR_CRYPTO, "not valid yet");
    assert_refused(ear_verify(bytes_str(token), signer, EAR_TEST_NOW + 300, &refused, &err), &err,
        ERR_STALE, "attest again");
    assert_null(refused.payload);
}

/* The key in the header is never used: a token that is right by its own key is refused. */
static void test_other_signer(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *claims = tpm_claims();
    auto_jwk *other = NULL;
    auto_free char *token = NULL;
    auto_ear ear = {0};
    assert_done(jwk_generate(JWK_EC_P256, NULL, &other, &err), &err);
    issue("tpm", claims, NULL, &token);
    assert_refused(ear_verify(bytes_str(token), other, EAR_TEST_NOW, &ear, &err), &err, ERR_CRYPTO,
        "attestation token");
}

static void replace_header(const char *token, const char *header, struct buf *out)
{
    struct err err = ERR_INIT;
    auto_free char *encoded = b64_encode(B64_URL, bytes_str(header));
    assert_done(buf_printf(out, &err, "%s%s", encoded, strchr(token, '.')), &err);
}

static void test_headers(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{\"alg\":\"none\"}", "{\"alg\":\"HS256\"}", "{\"alg\":\"ES384\"}", "{\"alg\":\"RS256\"}",
        "{\"alg\":\"EdDSA\"}", "{\"typ\":\"JWT\"}",
        "{\"alg\":\"ES256\",\"crit\":[\"exp\"],\"exp\":1}",
        "{\"alg\":\"ES256\"}", /* the right algorithm over other signed bytes */
    };
    auto_json *claims = tpm_claims();
    auto_free char *token = NULL;
    issue("tpm", claims, NULL, &token);
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        struct err err = ERR_INIT;
        auto_buf changed = BUF_INIT(1 << 16);
        auto_ear ear = {0};
        replace_header(token, headers[i], &changed);
        assert_false(ear_verify(buf_bytes(&changed), signer, EAR_TEST_NOW, &ear, &err));
        assert_true(err.code == ERR_CRYPTO || err.code == ERR_FORMAT);
    }
}

static void test_every_byte(void **state)
{
    (void)state;
    auto_json *claims = sample_claims();
    auto_free char *token = NULL;
    issue("sample", claims, NULL, &token);
    for (size_t i = 0; token[i]; i++) {
        struct err err = ERR_INIT;
        auto_ear ear = {0};
        char old = token[i];
        token[i] = old == 'A' ? 'B' : 'A';
        assert_false(ear_verify(bytes_str(token), signer, EAR_TEST_NOW, &ear, &err));
        token[i] = old;
    }
}

static void test_signer_kind(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_jwk *wide = NULL, *public = NULL;
    auto_json *jwk = parse(JWK);
    auto_free char *token = NULL;
    struct ear_signer by = {.issuer = "x", .lifetime_s = 1};
    struct ear_input input = {0};
    assert_done(
        jwk_generate(JWK_EC_P384, NULL, &wide, &err) && jwk_from_json(jwk, false, &public, &err),
        &err);
    by.key = wide;
    assert_refused(ear_issue(&by, &input, &token, &err), &err, ERR_CONFIG, "P-256");
    by.key = public;
    assert_refused(ear_issue(&by, &input, &token, &err), &err, ERR_CONFIG, "private");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like_trustee),
        cmocka_unit_test(test_event_log),
        cmocka_unit_test(test_tee_key),
        cmocka_unit_test(test_x5c),
        cmocka_unit_test(test_shape_without_members),
        cmocka_unit_test(test_init_data_claims),
        cmocka_unit_test(test_several_pieces),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_good_files),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_other_signer),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_signer_kind),
    };
    return cmocka_run_group_tests(tests, make_key, free_key);
}
