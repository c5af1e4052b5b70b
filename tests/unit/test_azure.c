/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence of Azure's guests that tests/vectors/make_azure.py makes at build time: the good with its claims, the bad with its reason, and
 * damage. SEALED_MUTATIONS sets how many are tried of each good one (default 120). */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "attest/verify/azure.h"
#include "tests/unit/damage.h"
#include "tests/unit/evidence_file.h"

static struct err err;

static void load(const char *kind, const char *name, struct evidence_file *file)
{
    char path[4096];
    snprintf(path, sizeof path, EVIDENCE_DIR "/%s/%s", kind, name);
    if (!evidence_file_load(path, file, &err))
        fail_msg("%s: %s", name, err.message);
}

/* Calls `look` with each file; gives their number. */
static int each(const char *kind, void (*look)(const char *name, struct evidence_file *file))
{
    char path[4096];
    int count = 0;
    snprintf(path, sizeof path, EVIDENCE_DIR "/%s", kind);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        auto_evidence_file file = {0};
        if (entry->d_name[0] == '.')
            continue;
        load(kind, entry->d_name, &file);
        look(entry->d_name, &file);
        count++;
    }
    closedir(dir);
    return count;
}

static bool has_reason(const struct verdict *verdict, const char *check)
{
    for (size_t i = 0; i < verdict->reason_count; i++)
        if (strcmp(verdict->reasons[i].check, check) == 0)
            return true;
    return false;
}

static void verify(
    const struct evidence_file *file, const struct verify_input *input, struct verdict *verdict)
{
    assert_done(verify_evidence(file->verifier, input, verdict, &err), &err);
    verdict_refuse_needs(verdict);
}

static void is_taken(const char *name, struct evidence_file *file)
{
    auto_verdict verdict = {0};
    const json_t *all = json_object_get(file->whole, "claims");
    const char *member;
    json_t *value;
    verify(file, &file->input, &verdict);
    if (verdict.reason_count > 0)
        fail_msg("%s: %s: %s, wanted %s", name, verdict.reasons[0].check, verdict.reasons[0].got,
            verdict.reasons[0].expected);
    assert_string_equal(verdict.class_name, "cpu");
    if (all && !json_equal(verdict.claims, all))
        fail_msg("%s: other claims", name);
    json_object_foreach(json_object_get(file->whole, "claims_part"), member, value)
    {
        if (!json_equal(json_object_get(verdict.claims, member), value))
            fail_msg("%s: another %s", name, member);
    }
    if (!all) { /* what tdx claims is in it, too */
        assert_non_null(json_object_get(json_object_get(verdict.claims, "quote"), "body"));
        assert_string_equal(json_member_text(verdict.claims, "tcb_status"), "UpToDate");
    }
}

static void good_evidence_is_taken_with_its_claims(void **state)
{
    (void)state;
    assert_int_equal(each("good", is_taken), 15);
}

static void is_refused(const char *name, struct evidence_file *file)
{
    auto_verdict verdict = {0};
    const char *check = json_member_text(file->whole, "refused_by");
    verify(file, &file->input, &verdict);
    if (verdict.claims || !check || !has_reason(&verdict, check))
        fail_msg("%s: wanted %s, got %zu reasons, the first %s: %s", name, check,
            verdict.reason_count, verdict.reasons[0].check, verdict.reasons[0].got);
}

static void bad_evidence_is_refused_for_its_reason(void **state)
{
    (void)state;
    assert_true(each("bad", is_refused) > 280);
}

/* The keys that are built in vouch for none of it, and nobody is asked for what could not help. */
static void is_refused_by_the_pins(const char *name, struct evidence_file *file)
{
    auto_verdict verdict = {0};
    struct verify_input input = file->input;
    input.anchors = NULL;
    verify(file, &input, &verdict);
    if (verdict.claims)
        fail_msg("%s was taken", name);
}

static void the_pins_take_none_of_it(void **state)
{
    (void)state;
    assert_true(each("good", is_refused_by_the_pins) > 0);
}

/* Evidence without report data to compare it with proves nothing of whom it came from. */
static void is_refused_unbound(const char *name, struct evidence_file *file)
{
    auto_verdict verdict = {0};
    struct verify_input input = file->input;
    input.unbound = true;
    verify(file, &input, &verdict);
    if (verdict.claims || !has_reason(&verdict, "az.nonce"))
        fail_msg("%s was taken", name);
}

static void report_data_is_mandatory(void **state)
{
    (void)state;
    assert_true(each("good", is_refused_unbound) > 0);
}

/* -- damage ------------------------------------------------------------------------------------------ */

static void damage_text(json_t *object, const char *name)
{
    static const char letters[] = "0123456789abcdefABCDEF-_=+/ ";
    const char *text = json_member_text(object, name);
    if (!text || !*text)
        return;
    auto_free char *copy = strdup(text);
    assert_non_null(copy);
    for (uint32_t left = 1 + damage_random(3); left > 0; left--)
        copy[damage_random((uint32_t)strlen(copy))] =
            letters[damage_random((uint32_t)sizeof letters - 1)];
    if (damage_random(20) == 0)
        copy[damage_random((uint32_t)strlen(copy))] = '\0';
    json_object_set_new(object, name, json_string(copy));
}

/* The text of one member, or any value of the JSON. */
static void damage(json_t *evidence)
{
    static const char *const texts[] = {"hcl_report", "vcek", "td_quote"};
    json_t *quote = json_object_get(evidence, "tpm_quote");
    switch (damage_random(6)) {
    case 0:
    case 1:
        damage_text(evidence, texts[damage_random(ARRAY_LEN(texts))]);
        break;
    case 2:
        damage_text(quote ? quote : evidence, quote && damage_random(2) ? "message" : "signature");
        break;
    default:
        damage_json(evidence);
    }
}

static void survives_damage(const char *name, struct evidence_file *file)
{
    const char *text = getenv("SEALED_MUTATIONS");
    auto_verdict original = {0};
    verify(file, &file->input, &original);
    assert_non_null(original.claims);
    for (int left = text ? atoi(text) : 120; left > 0; left--) {
        auto_verdict verdict = {0};
        auto_json *evidence = json_deep_copy(file->input.evidence);
        struct verify_input input = file->input;
        damage(evidence);
        input.evidence = evidence;
        verify(file, &input, &verdict);
        if (!verdict.claims && verdict.reason_count == 0)
            fail_msg("%s: undecided", name);
        if (verdict.claims && !json_equal(verdict.claims, original.claims))
            fail_msg("%s: other claims: %s", name, json_text(verdict.claims));
    }
}

static void damaged_evidence_is_refused_or_the_same(void **state)
{
    (void)state;
    each("good", survives_damage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_evidence_is_taken_with_its_claims),
        cmocka_unit_test(bad_evidence_is_refused_for_its_reason),
        cmocka_unit_test(the_pins_take_none_of_it),
        cmocka_unit_test(report_data_is_mandatory),
        cmocka_unit_test(damaged_evidence_is_refused_or_the_same),
    };
    tpm_structs_silence();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
