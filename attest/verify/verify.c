/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/verify.h"

#include "crypt/base/utf8.h"

static const struct verifier *const verifiers[] = {&verifier_tpm, &verifier_sample};

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

const struct verifier *verifier_find(const char *tee)
{
    for (size_t i = 0; i < ARRAY_LEN(verifiers); i++)
        if (strcmp(verifiers[i]->tee, tee) == 0)
            return verifiers[i];
    return NULL;
}
