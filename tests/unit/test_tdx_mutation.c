/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever becomes of good evidence or its collateral on the way: it is refused, or the claims are the same. SEALED_MUTATIONS sets how
 * many are tried of each (default 100). */
#include "attest/verify/tdx.h"
#include "tests/unit/tdx_file.h"

static const char *const goods[] = {"v4", "v5-td10", "v5-td15", "v4-processor", "v4-log"};
static uint64_t random_state;

static uint32_t next_random(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static uint32_t mutation_count(void)
{
    const char *text = getenv("SEALED_MUTATIONS");
    return text ? (uint32_t)atoi(text) : 100;
}

/* One to three changes: a bit, a byte, a number at an end of its range, a cut, a copy within. */
static void mutate(struct buf *data)
{
    for (uint32_t left = 1 + next_random(3); left > 0 && data->len > 8; left--) {
        uint32_t at = next_random((uint32_t)data->len - 4), other;
        switch (next_random(6)) {
        case 0:
            data->data[at] ^= (uint8_t)(1u << next_random(8));
            break;
        case 1:
            data->data[at] = (uint8_t)next_random(256);
            break;
        case 2:
            memset(data->data + at, next_random(2) ? 0xff : 0, 1 + next_random(4));
            break;
        case 3:
            buf_truncate(data, at);
            break;
        case 4:
            memmove(data->data + at, data->data + at + 1, data->len - at - 1);
            break;
        default:
            other = next_random((uint32_t)data->len - 4);
            memmove(data->data + at, data->data + other, 4);
        }
    }
}

static void verify(
    const struct evidence_file *file, const struct verify_input *input, struct verdict *verdict)
{
    struct err err = ERR_INIT;
    assert_done(verify_evidence(file->verifier, input, verdict, &err), &err);
}

/* *taken counts those that were not refused. */
static void assert_same_or_refused(const struct evidence_file *file,
    const struct verify_input *input, const json_t *claims, size_t *taken)
{
    auto_verdict verdict = {0};
    verify(file, input, &verdict);
    if (!verdict.claims && verdict.reason_count == 0)
        fail_msg("undecided");
    if (!verdict.claims)
        return;
    ++*taken;
    if (!json_equal(verdict.claims, claims))
        fail_msg("other claims: %s", json_text(verdict.claims));
}

static void try_quote(
    const struct evidence_file *file, struct bytes quote, const json_t *claims, size_t *taken)
{
    struct verify_input input = file->input;
    auto_json *evidence = tdx_file_evidence(quote);
    json_t *log = json_object_get(file->input.evidence, "cc_eventlog");
    if (json_is_string(log))
        json_object_set(evidence, "cc_eventlog", log);
    input.evidence = evidence;
    assert_same_or_refused(file, &input, claims, taken);
}

static void test_quotes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
        auto_evidence_file file = {0};
        auto_verdict original = {0};
        auto_buf quote = BUF_INIT(1u << 20);
        size_t taken = 0;
        random_state = 1 + i;
        tdx_file_good(goods[i], &file);
        verify(&file, &file.input, &original);
        assert_non_null(original.claims);
        tdx_file_quote(file.input.evidence, &quote);
        for (uint32_t n = mutation_count(); n > 0; n--) {
            struct err err = ERR_INIT;
            auto_buf changed = BUF_INIT(1u << 20);
            assert_done(buf_append(&changed, buf_bytes(&quote), &err), &err);
            mutate(&changed);
            try_quote(&file, buf_bytes(&changed), original.claims, &taken);
        }
        /* Only a change of the padding, or of blanks and lines around certificates, changes nothing. */
        assert_true(taken < mutation_count() / 5 + 5);
    }
}

/* Of the text that travels, too: a member that lost its name must not pass for one that was never there. */
static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
        auto_evidence_file file = {0};
        auto_verdict original = {0};
        size_t taken = 0;
        random_state = 1000 + i;
        tdx_file_good(goods[i], &file);
        verify(&file, &file.input, &original);
        auto_free char *text = json_text(file.input.evidence);
        struct bytes whole = bytes_slice(bytes_str(text), 0, 40000);
        for (uint32_t n = 4 * mutation_count(); n > 0; n--) {
            struct err err = ERR_INIT;
            struct verify_input input = file.input;
            auto_buf changed = BUF_INIT(1u << 20);
            auto_json *evidence = NULL;
            assert_done(buf_append(&changed, whole, &err), &err);
            size_t log = (size_t)(strstr(text, "cc_eventlog") - text) + 16;
            size_t at = next_random(2) ? log - 20 + next_random(20) : next_random((uint32_t)log);
            changed.data[at] =
                (uint8_t)(next_random(3) ? 0x20 + next_random(95) : next_random(256));
            if (!json_load_strict(buf_bytes(&changed), 1u << 20, "text", &evidence, &err))
                continue;
            input.evidence = evidence;
            assert_same_or_refused(&file, &input, original.claims, &taken);
        }
    }
}

/* At every boundary: nothing shorter than the last byte that counts is taken, and the padding may go. */
static void test_truncated_quotes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
        auto_evidence_file file = {0};
        auto_verdict original = {0};
        auto_buf quote = BUF_INIT(1u << 20);
        tdx_file_good(goods[i], &file);
        verify(&file, &file.input, &original);
        tdx_file_quote(file.input.evidence, &quote);
        struct err err = ERR_INIT;
        struct tdx_quote parsed;
        assert_done(tdx_quote_parse(buf_bytes(&quote), &parsed, &err), &err);
        size_t at = parsed.signed_part.len;
        size_t whole = at + 4 + bytes_u16le(buf_bytes(&quote), at);
        for (size_t len = 0; len <= quote.len; len += len < whole || len + 9 > quote.len ? 1 : 9) {
            size_t taken = 0;
            try_quote(&file, bytes_of(quote.data, len), original.claims, &taken);
            if (taken != (len >= whole ? 1 : 0))
                fail_msg("%s cut to %zu bytes: %s", goods[i], len, taken ? "taken" : "refused");
        }
    }
}

static void test_giant_quotes(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    auto_verdict original = {0};
    auto_buf quote = BUF_INIT(1u << 20);
    struct err err = ERR_INIT;
    uint8_t *room;
    size_t taken = 0;
    tdx_file_good("v4", &file);
    verify(&file, &file.input, &original);
    tdx_file_quote(file.input.evidence, &quote);
    size_t len = quote.len;
    assert_done(buf_reserve(&quote, TDX_QUOTE_MAX + 1, &room, &err), &err);
    memset(room, 0, TDX_QUOTE_MAX + 1);
    /* Clouds hand out quotes in buffers of 8000 bytes. */
    try_quote(&file, bytes_of(quote.data, 8000), original.claims, &taken);
    try_quote(&file, bytes_of(quote.data, TDX_QUOTE_MAX), original.claims, &taken);
    assert_int_equal(taken, 2);
    try_quote(&file, bytes_of(quote.data, TDX_QUOTE_MAX + 1), original.claims, &taken);
    try_quote(&file, bytes_of(quote.data, len + TDX_QUOTE_MAX), original.claims, &taken);
    assert_int_equal(taken, 2);
}

/* The set with one object's body or chain replaced. */
static void try_collateral(const struct evidence_file *file, const char *name, struct bytes body,
    struct bytes chain, const json_t *claims, size_t *taken)
{
    struct err err = ERR_INIT;
    struct verify_input input = file->input;
    auto_collateral *set = NULL;
    assert_done(collateral_new(&set, &err), &err);
    for (size_t i = 0; i < collateral_count(file->collateral); i++) {
        const char *each = collateral_name(file->collateral, i);
        struct bytes own_body, own_chain;
        assert_true(collateral_get(file->collateral, each, &own_body, &own_chain));
        bool it = strcmp(each, name) == 0;
        assert_done(
            collateral_put(set, each, it ? body : own_body, it ? chain : own_chain, &err), &err);
    }
    input.collateral = set;
    assert_same_or_refused(file, &input, claims, taken);
}

static void test_collateral(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    auto_verdict original = {0};
    size_t taken = 0;
    random_state = 77;
    tdx_file_good("v4", &file);
    verify(&file, &file.input, &original);
    for (uint32_t n = mutation_count(); n > 0; n--) {
        struct err err = ERR_INIT;
        auto_buf changed = BUF_INIT(1u << 20);
        struct bytes body, chain;
        const char *name = collateral_name(
            file.collateral, next_random((uint32_t)collateral_count(file.collateral)));
        assert_true(collateral_get(file.collateral, name, &body, &chain));
        bool of_chain = chain.len > 0 && next_random(3) == 0;
        assert_done(buf_append(&changed, of_chain ? chain : body, &err), &err);
        mutate(&changed);
        if (changed.len > 0)
            try_collateral(&file, name, of_chain ? body : buf_bytes(&changed),
                of_chain ? buf_bytes(&changed) : chain, original.claims, &taken);
    }
    /* The PCK CRL's chain is not looked at, since the quote's own counts. */
    assert_true(taken < mutation_count() / 2);
}

static void test_truncated_collateral(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    auto_verdict original = {0};
    tdx_file_good("v4", &file);
    verify(&file, &file.input, &original);
    for (size_t i = 0; i < collateral_count(file.collateral); i++) {
        const char *name = collateral_name(file.collateral, i);
        struct bytes body, chain;
        size_t taken = 0;
        assert_true(collateral_get(file.collateral, name, &body, &chain));
        for (size_t len = 1; len < body.len; len += len < 16 || len + 16 > body.len ? 1 : 13)
            try_collateral(&file, name, bytes_slice(body, 0, len), chain, original.claims, &taken);
        assert_int_equal(taken, 0);
    }
}

/* A document that a tool has re-indented is the same document. */
static void test_indented_collateral(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    auto_verdict original = {0};
    static const char *const names[] = {"intel/tcb/90C06F000000", "intel/qe-identity"};
    tdx_file_good("v4", &file);
    verify(&file, &file.input, &original);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct err err = ERR_INIT;
        struct bytes body, chain;
        auto_json *json = NULL;
        size_t taken = 0;
        assert_true(collateral_get(file.collateral, names[i], &body, &chain));
        assert_done(json_load_strict(body, 1u << 20, "body", &json, &err), &err);
        auto_free char *text = json_text_indented(json);
        try_collateral(&file, names[i], bytes_str(text), chain, original.claims, &taken);
        assert_int_equal(taken, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_truncated_quotes),
        cmocka_unit_test(test_giant_quotes),
        cmocka_unit_test(test_collateral),
        cmocka_unit_test(test_truncated_collateral),
        cmocka_unit_test(test_indented_collateral),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
