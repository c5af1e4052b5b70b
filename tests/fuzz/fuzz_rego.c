/* SPDX-License-Identifier: Apache-2.0 */
/* The package of a Rego text: a module is the text with one word replaced, and what is added. */
#include <stdint.h>
#include <stdlib.h>

#include "kbs/server/policy/policy.h"
#include "kbs/server/policy/rego.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char name[] = REGO_PACKAGE ".p_1";
    auto_buf module = BUF_INIT(POLICY_TEXT_MAX + REGO_ADDED_MAX);
    struct err err = ERR_INIT;
    size_t added;
    if (size > POLICY_TEXT_MAX || !rego_module(bytes_of(data, size), "p_1", &module, &added, &err))
        return 0;
    if (added != size - strlen("policy") + strlen(name) ||
        !memmem(module.data, added, name, strlen(name)))
        abort();
    return 0;
}
