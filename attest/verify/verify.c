/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/verify.h"

#include <stdio.h>

static const struct verifier *const verifiers[] = {&verifier_tpm, &verifier_sample};

void verdict_done(struct verdict *verdict)
{
    json_unref(verdict->claims);
    verdict->claims = NULL;
}

bool verdict_fail(struct verdict *verdict, const char *check, const char *got, const char *expected)
{
    if (verdict->reason_count < VERIFY_REASONS_MAX)
        verdict->reason_count++;
    struct verify_reason *reason = &verdict->reasons[verdict->reason_count - 1];
    snprintf(reason->check, sizeof reason->check, "%s", check);
    snprintf(reason->got, sizeof reason->got, "%s", got);
    snprintf(reason->expected, sizeof reason->expected, "%s", expected);
    return false;
}

const struct verifier *verifier_find(const char *tee)
{
    for (size_t i = 0; i < ARRAY_LEN(verifiers); i++)
        if (strcmp(verifiers[i]->tee, tee) == 0)
            return verifiers[i];
    return NULL;
}
