/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/verify.h"

#include <stdarg.h>
#include <stdio.h>

#include "crypt/base/utf8.h"

static const struct verifier *const verifiers[] = {
    &verifier_tpm,
    &verifier_snp,
    &verifier_tdx,
    &verifier_az_snp,
    &verifier_az_tdx,
    &verifier_sample,
    &verifier_sampledevice,
};

void verdict_done(struct verdict *verdict)
{
    json_unref(verdict->claims);
    verdict->claims = NULL;
}

/* Reasons become JSON and log lines, and a part of them is what a guest sent: whole UTF-8 characters
 * as far as they fit, '?' for control characters and for what is no UTF-8. */
static void copy_text(char *out, size_t size, const char *text)
{
    struct bytes rest = bytes_str(text);
    size_t len = 0;
    while (rest.len > 0) {
        struct bytes at = rest;
        uint32_t rune = 0;
        bool good = utf8_next(&rest, &rune) && rune >= 0x20 && rune != 0x7f;
        if (rest.len == at.len)
            rest = bytes_slice(at, 1, at.len);
        size_t step = good ? at.len - rest.len : 1;
        if (len + step >= size)
            break;
        memcpy(out + len, good ? (const void *)at.data : "?", step);
        len += step;
    }
    out[len] = '\0';
}

bool verdict_fail(struct verdict *verdict, const char *check, const char *got, const char *expected)
{
    if (verdict->reason_count < VERIFY_REASONS_MAX)
        verdict->reason_count++;
    struct verify_reason *reason = &verdict->reasons[verdict->reason_count - 1];
    copy_text(reason->check, sizeof reason->check, check);
    copy_text(reason->got, sizeof reason->got, got);
    copy_text(reason->expected, sizeof reason->expected, expected);
    return false;
}

bool verdict_need(struct verdict *verdict, const char *format, ...)
{
    char name[COLLATERAL_NAME_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof name || !collateral_name_ok(name))
        return verdict_fail(verdict, "collateral", name, "a name of a collateral object");
    for (size_t i = 0; i < verdict->need_count; i++)
        if (strcmp(verdict->needs[i], name) == 0)
            return false;
    if (verdict->need_count == VERIFY_NEEDS_MAX)
        return verdict_fail(verdict, "collateral", name, "fewer objects");
    memcpy(verdict->needs[verdict->need_count++], name, (size_t)len + 1);
    return false;
}

void verdict_refuse_needs(struct verdict *verdict)
{
    for (size_t i = 0; i < verdict->need_count; i++)
        verdict_fail(verdict, "collateral", "not available", verdict->needs[i]);
    verdict->need_count = 0;
}

bool verify_evidence(const struct verifier *verifier, const struct verify_input *input,
    struct verdict *verdict, struct err *err)
{
    if (!verifier->verify(input, verdict, err))
        return false;
    if (verdict->reason_count > 0 || verdict->need_count > 0)
        verdict_done(verdict);
    else if (!verdict->claims || !verdict->class_name)
        return err_set(err, ERR_INTERNAL, "the verifier of %s gives neither claims nor reasons",
            verifier->tee);
    return true;
}

const struct verifier *verifier_find(const char *tee)
{
    for (size_t i = 0; i < ARRAY_LEN(verifiers); i++)
        if (strcmp(verifiers[i]->tee, tee) == 0)
            return verifiers[i];
    return NULL;
}
