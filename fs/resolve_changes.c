/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/resolve_changes.h"

#include <string.h>

#define EVIDENCE_MAX (64u * 1024)

/* tpm evidence: {"tpm_quote":{"pcrs":[hex × 24]}} (protocol.md C.1). NULL when it has none. */
static const json_t *evidence_pcrs(const json_t *evidence)
{
    return json_object_get(json_object_get(evidence, "tpm_quote"), "pcrs");
}

static bool changes_append(
    json_t *changes, size_t pcr, const char *was, const char *now, struct err *err)
{
    auto_json *change = NULL;
    if (!json_build(&change, err, "{s:i,s:s,s:s}", "pcr", (int)pcr, "was", was, "now", now))
        return false;
    return json_array_append(changes, change) == 0 || err_nomem(err);
}

bool resolve_changes(const char *accepted_evidence, const char *latest_evidence,
    json_t **ret_changes, struct err *err)
{
    auto_json *changes = json_array(), *accepted = NULL, *latest = NULL;
    if (!changes)
        return err_nomem(err);
    if (accepted_evidence && latest_evidence) {
        if (!json_load_strict(
                bytes_str(accepted_evidence), EVIDENCE_MAX, "accepted evidence", &accepted, err) ||
            !json_load_strict(
                bytes_str(latest_evidence), EVIDENCE_MAX, "latest evidence", &latest, err))
            return false;
        const json_t *before = evidence_pcrs(accepted), *after = evidence_pcrs(latest);
        for (size_t pcr = 0; pcr < json_array_size(before) && pcr < json_array_size(after); pcr++) {
            const char *was = json_string_value(json_array_get(before, pcr));
            const char *now = json_string_value(json_array_get(after, pcr));
            if (was && now && strcmp(was, now) != 0 && !changes_append(changes, pcr, was, now, err))
                return false;
        }
    }
    *ret_changes = take_ptr(changes);
    return true;
}
