/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence and enrolment over a TPM that is played here: what a real one does only when it is broken or attacked. */
#include "tests/unit/unit.h"

#include "attest/boot_log.h"
#include "attest/enrol_tpm.h"
#include "attest/tpm_keys.h"
#include "attest/wire.h"
#include "crypt/base/b64.h"
#include "crypt/base/json.h"
#include "crypt/base/pack.h"

enum { EK = 1, AK, SALT, SESSION };

static struct {
    TPM2B_PUBLIC ak; /* at the handle */
    bool ak_there, ak_made;
    struct tpm_pcrs pcrs;
    int extends; /* how many PCR reads still find a new value */
    int quotes, reads, opened, flushed_salt;
    const char *certificate; /* NULL: no such index */
    size_t certificate_len;
    void (*spoil)(struct buf *message);
} tpm;

static const struct attester_conf conf = {
    .tcti = (char *)(uintptr_t) "fake", .ak_handle = 0x81010002};

/* -- the TPM that is played -------------------------------------------------------------------- */

bool tpm_open(const char *tcti, struct tpm **ret_tpm, struct err *err)
{
    if (strcmp(tcti, "fake") != 0)
        return err_set(err, ERR_ATTEST, "no TPM at %s", tcti);
    tpm.opened++;
    *ret_tpm = (struct tpm *)(void *)&tpm;
    return true;
}

void tpm_close(struct tpm *ended)
{
    if (ended)
        tpm.opened--;
}

bool tpm_key_at(
    struct tpm *at, uint32_t handle, tpm_ref *ret_key, TPM2B_PUBLIC *ret_public, struct err *err)
{
    (void)at;
    if (!tpm.ak_there)
        return err_set(err, ERR_NOTFOUND, "TPM2_ReadPublic: nothing is at that handle");
    assert_int_equal(handle, 0x81010002);
    *ret_key = AK;
    *ret_public = tpm.ak;
    return true;
}

bool tpm_primary(struct tpm *at, enum tpm_hierarchy hierarchy, const TPM2B_PUBLIC *template,
    tpm_ref *ret_key, TPM2B_PUBLIC *ret_public, struct err *err)
{
    (void)at;
    (void)err;
    bool salt = template == &tpm_template_salt;
    assert_int_equal(hierarchy, salt ? TPM_NULL : TPM_ENDORSEMENT);
    *ret_key = salt ? SALT : template == &tpm_template_ek ? EK : AK;
    *ret_public = *template;
    return true;
}

bool tpm_persist(struct tpm *at, tpm_ref key, uint32_t handle, struct err *err)
{
    (void)at;
    (void)handle;
    (void)err;
    assert_int_equal(key, AK);
    tpm.ak_there = tpm.ak_made = true;
    return true;
}

void tpm_flush(struct tpm *at, tpm_ref ref)
{
    (void)at;
    tpm.flushed_salt += ref == SALT;
}

bool tpm_session(struct tpm *at, tpm_ref salt_key, enum tpm_session_kind kind, tpm_ref *ret_session,
    struct err *err)
{
    (void)at;
    (void)err;
    assert_int_equal(salt_key, kind == TPM_SESSION_POLICY ? EK : SALT);
    *ret_session = SESSION;
    return true;
}

bool tpm_policy_endorsement(struct tpm *at, tpm_ref session, struct err *err)
{
    (void)at;
    (void)err;
    assert_int_equal(session, SESSION);
    return true;
}

static void put_quote(struct bytes qualifying, struct buf *message)
{
    struct pack_writer to = pack_writer(message);
    struct hash digest;
    struct err err = ERR_INIT;
    assert_done(hash_bytes(HASH_SHA256, bytes_of(&tpm.pcrs, sizeof tpm.pcrs), &digest, &err), &err);
    pack_put_u32(&to, 0xff544347);
    pack_put_u16(&to, 0x8018);
    pack_put_block16(&to, bytes_str("name of the signer"));
    pack_put_block16(&to, qualifying);
    for (int i = 0; i < 17 + 8; i++)
        pack_put_u8(&to, 0);
    pack_put_u32(&to, 1);
    pack_put_u16(&to, 0x000b);
    pack_put_u8(&to, 3);
    for (int i = 0; i < 3; i++)
        pack_put_u8(&to, 0xff);
    pack_put_block16(&to, hash_view(&digest));
    assert_done(pack_written(&to, "test", &err), &err);
}

bool tpm_quote(struct tpm *at, tpm_ref key, tpm_ref session, struct bytes qualifying,
    struct buf *message, struct buf *signature, struct err *err)
{
    (void)at;
    assert_int_equal(key, AK);
    assert_int_equal(session, SESSION);
    assert_int_equal(message->len, 0);
    tpm.quotes++;
    put_quote(qualifying, message);
    if (tpm.spoil)
        tpm.spoil(message);
    return buf_append_str(signature, "signature", err);
}

bool tpm_pcr_read(struct tpm *at, struct tpm_pcrs *ret_pcrs, struct err *err)
{
    (void)at;
    (void)err;
    tpm.reads++;
    if (tpm.extends > 0) {
        tpm.extends--;
        tpm.pcrs.values[10][0]++;
    }
    *ret_pcrs = tpm.pcrs;
    return true;
}

bool tpm_nv_read(struct tpm *at, uint32_t index, struct buf *out, struct err *err)
{
    (void)at;
    assert_int_equal(index, 0x01c00002);
    if (!tpm.certificate)
        return err_set(err, ERR_NOTFOUND, "TPM2_NV_ReadPublic: nothing is at that handle");
    return buf_append(out, bytes_of(tpm.certificate, tpm.certificate_len), err);
}

bool tpm_public_marshal(const TPM2B_PUBLIC *public, struct buf *out, struct err *err)
{
    return buf_printf(out, err, "attributes %x", public->publicArea.objectAttributes);
}

bool tpm_activate(struct tpm *at, tpm_ref key, tpm_ref ek, tpm_ref ek_session,
    struct bytes credential, struct bytes secret, struct secret **ret_credential, struct err *err)
{
    (void)at;
    (void)secret;
    assert_int_equal(key, AK);
    assert_int_equal(ek, EK);
    assert_int_equal(ek_session, SESSION);
    return secret_copy(credential, ret_credential, err);
}

/* -- evidence ---------------------------------------------------------------------------------- */

static int setup(void **state)
{
    (void)state;
    memset(&tpm, 0, sizeof tpm);
    tpm.ak = tpm_template_ak;
    tpm.ak.publicArea.unique.rsa.size = 256;
    memset(tpm.ak.publicArea.unique.rsa.buffer, 0xab, 256);
    tpm.ak_there = true;
    return 0;
}

/* Every path closes the connection, which flushes everything. */
static int teardown(void **state)
{
    (void)state;
    assert_int_equal(tpm.opened, 0);
    return 0;
}

static bool make_evidence(json_t **ret_json, struct err *err)
{
    struct hash digest = {.len = 48};
    auto_buf out = BUF_INIT(49152);
    memset(digest.data, 7, sizeof digest.data);
    return attester_tpm.evidence(&conf, &digest, &out, err) &&
           json_load_strict(buf_bytes(&out), out.len, "evidence", ret_json, err);
}

static void test_shape(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *evidence = NULL;
    tpm.pcrs.values[23][31] = 0x5a;
    assert_done(make_evidence(&evidence, &err), &err);
    assert_int_equal(json_object_size(evidence), 2);
    json_t *quote = json_object_get(evidence, "tpm_quote");
    assert_int_equal(json_object_size(quote), 3);
    assert_string_equal(json_member_text(quote, "signature"), "c2lnbmF0dXJl");
    json_t *pcrs = json_object_get(quote, "pcrs");
    assert_int_equal(json_array_size(pcrs), 24);
    const char *last = json_string_value(json_array_get(pcrs, 23));
    assert_int_equal(strlen(last), 64);
    assert_string_equal(last + 62, "5a");
    assert_int_equal(tpm.flushed_salt, 1);
}

/* One member more, which CoCo's verifiers ignore. */
static void test_event_log(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct hash digest = {.len = 48};
    auto_buf out = BUF_INIT(ATTEST_EVIDENCE_MAX);
    auto_json *evidence = NULL;
    auto_free uint8_t *log = calloc(1, BOOT_LOG_MAX);
    assert_non_null(log);
    struct attester_conf with = conf;
    with.boot_log = bytes_of(log, BOOT_LOG_MAX); /* the longest fits */
    assert_done(attester_tpm.evidence(&with, &digest, &out, &err) &&
                    json_load_strict(buf_bytes(&out), out.len, "evidence", &evidence, &err),
        &err);
    assert_int_equal(json_object_size(evidence), 3);
    assert_int_equal(
        strlen(json_member_text(evidence, "event_log")), b64_encoded_len(B64_STD, BOOT_LOG_MAX));
}

static void test_a_pcr_that_changes_once(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *evidence = NULL;
    tpm.extends = 1; /* after the quote: its three reads never match, the next quote does */
    assert_done(make_evidence(&evidence, &err), &err);
    assert_int_equal(tpm.quotes, 2);
    assert_int_equal(tpm.reads, 4);
}

static void test_pcrs_that_never_rest(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *evidence = NULL;
    tpm.extends = 1000;
    assert_refused(make_evidence(&evidence, &err), &err, ERR_ATTEST, "all the time");
    assert_int_equal(tpm.quotes, 3);
    assert_int_equal(tpm.reads, 9);
}

static void spoil_magic(struct buf *message)
{
    message->data[0] ^= 1;
}
static void spoil_type(struct buf *message)
{
    message->data[5] ^= 1;
}
static void spoil_extra(struct buf *message)
{
    message->data[4 + 2 + 2 + 18 + 2] ^= 1;
}
static void spoil_bank(struct buf *message)
{
    message->data[message->len - 34 - 5] = 4;
}
static void spoil_select(struct buf *message)
{
    message->data[message->len - 34 - 1] = 0x7f;
}
static void spoil_count(struct buf *message)
{
    message->data[message->len - 34 - 7] = 2;
}
static void spoil_end(struct buf *message)
{
    message->len--;
}
static void spoil_all(struct buf *message)
{
    message->len = 0;
}

static void test_quotes_that_are_not_what_was_asked_for(void **state)
{
    (void)state;
    static const struct {
        void (*spoil)(struct buf *message);
        const char *said;
    } cases[] = {{spoil_magic, "else than a quote"}, {spoil_type, "else than a quote"},
        {spoil_extra, "not bound to this request"}, {spoil_bank, "PCR 0 to 23"},
        {spoil_select, "PCR 0 to 23"}, {spoil_count, "PCR 0 to 23"}, {spoil_end, "malformed"},
        {spoil_all, "malformed"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        auto_json *evidence = NULL;
        tpm.spoil = cases[i].spoil;
        assert_refused(make_evidence(&evidence, &err), &err, ERR_ATTEST, cases[i].said);
        assert_int_equal(tpm.opened, 0);
    }
}

static void test_missing_and_unfit_keys(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *evidence = NULL;
    tpm.ak.publicArea.objectAttributes &= ~TPMA_OBJECT_RESTRICTED;
    assert_refused(make_evidence(&evidence, &err), &err, ERR_ATTEST, "not a restricted");
    tpm.ak_there = false;
    assert_refused(make_evidence(&evidence, &err), &err, ERR_ATTEST,
        "no attestation key at handle 0x81010002; run `sealed attest enroll --create-key`");
    assert_int_equal(tpm.quotes, 0);
}

/* -- enrolment --------------------------------------------------------------------------------- */

static void enrolment_done(struct attester_enrolment *enrolment)
{
    buf_done(&enrolment->ek_public);
    buf_done(&enrolment->ek_certificate);
    buf_done(&enrolment->ak_public);
    buf_done(&enrolment->ak_spki);
}
#define auto_enrolment        \
    AUTO_DONE(enrolment_done) \
    struct attester_enrolment
#define ENROLMENT_INIT                                                 \
    {                                                                  \
        BUF_INIT(4096), BUF_INIT(4096), BUF_INIT(4096), BUF_INIT(4096) \
    }

static void test_enrolment_without_a_certificate(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_enrolment got = ENROLMENT_INIT;
    assert_done(attester_tpm.enrol(&conf, false, &got, &err), &err);
    assert_int_equal(got.ek_certificate.len, 0);
    assert_int_equal(got.ak_spki.len, 294);
    assert_string_equal(buf_text(&got.ek_public), "attributes 300b2"); /* the L-1 template's */
}

static void test_certificate_is_trimmed(void **state)
{
    (void)state;
    static const char padded[] = "\x30\x82\x00\x03"
                                 "abc\xff\xff\xff";
    struct err err = ERR_INIT;
    auto_enrolment got = ENROLMENT_INIT;
    tpm.certificate = padded;
    tpm.certificate_len = sizeof padded - 1;
    assert_done(attester_tpm.enrol(&conf, false, &got, &err), &err);
    assert_int_equal(got.ek_certificate.len, 7);
}

static void test_bad_certificates(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t len;
    } cases[] = {{"\x30\x82\x00\x04"
                  "abc",
                     7},
        {"\x30\x82\x00", 3}, {"\x31\x82\x00\x01z", 5}, {"\xff\xff\xff\xff", 4}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        auto_enrolment got = ENROLMENT_INIT;
        tpm.certificate = cases[i].data;
        tpm.certificate_len = cases[i].len;
        assert_refused(
            attester_tpm.enrol(&conf, false, &got, &err), &err, ERR_ATTEST, "0x01c00002");
    }
}

static void test_create_only_when_asked_and_empty(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_enrolment kept = ENROLMENT_INIT, none = ENROLMENT_INIT, made = ENROLMENT_INIT;
    assert_done(attester_tpm.enrol(&conf, true, &kept, &err), &err);
    assert_false(tpm.ak_made);
    tpm.ak_there = false;
    assert_refused(attester_tpm.enrol(&conf, false, &none, &err), &err, ERR_ATTEST, "--create-key");
    assert_false(tpm.ak_made);
    assert_done(attester_tpm.enrol(&conf, true, &made, &err), &err);
    assert_true(tpm.ak_made);
}

static void test_activation(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_secret *credential = NULL;
    assert_done(
        attester_tpm.activate(&conf, bytes_str("blob"), bytes_str("secret"), &credential, &err),
        &err);
    assert_int_equal(secret_len(credential), 4);
    tpm.ak_there = false;
    auto_secret *other = NULL;
    assert_refused(
        attester_tpm.activate(&conf, bytes_str("blob"), bytes_str("secret"), &other, &err), &err,
        ERR_ATTEST, "--create-key");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_shape),
        TEST(test_event_log),
        TEST(test_a_pcr_that_changes_once),
        TEST(test_pcrs_that_never_rest),
        TEST(test_quotes_that_are_not_what_was_asked_for),
        TEST(test_missing_and_unfit_keys),
        TEST(test_enrolment_without_a_certificate),
        TEST(test_certificate_is_trimmed),
        TEST(test_bad_certificates),
        TEST(test_create_only_when_asked_and_empty),
        TEST(test_activation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
