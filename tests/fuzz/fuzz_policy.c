/* SPDX-License-Identifier: Apache-2.0 */
/* policy_parse() on any bytes; what parses decides about a token without surprises. */
#include <stdint.h>
#include <stdlib.h>

#include "kbs/server/policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct kbs_uri uri = {.repository = "default", .type = "key", .tag = "1"};
    static const char text[] =
        "{\"submods\":{\"cpu0\":{\"ear.status\":\"affirming\",\"ear.trustworthiness-vector\":{"
        "\"hardware\":2},\"ear.veraison.annotated-evidence\":{\"tpm\":{\"pcr07\":\"aa\"}}}}}";
    struct err err = ERR_INIT;
    auto_policy *policy = NULL;
    auto_json *token = NULL;
    auto_policy_decision decision = {0};
    if (!policy_parse(bytes_of(data, size), &policy, &err))
        return 0;
    if (!json_load_strict(bytes_str(text), sizeof text, "token", &token, &err) ||
        !policy_decide(policy, &uri, token, token, &decision, &err))
        abort();
    if (json_array_size(decision.findings) == 0 || (decision.allowed && decision.line == 0))
        abort();
    return 0;
}
