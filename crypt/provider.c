/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/provider.h"

#include <strings.h>

static const struct provider *const providers[] = {&provider_kbs};

bool provider_find(const char *name, const struct provider **ret_provider, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
        if (strcasecmp(name, providers[i]->name) == 0) {
            *ret_provider = providers[i];
            return true;
        }
    }
    return err_set(err, ERR_FORMAT,
        "provider \"%.32s\" is not known here; seal the secret again with provider \"kbs\"", name);
}
