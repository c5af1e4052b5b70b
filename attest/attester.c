/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/attester.h"

#include <string.h>
#include <unistd.h>

static const struct attester *const attesters[] = {&attester_tpm, &attester_sample};

static bool tpm_node_missing(const struct attester_conf *conf)
{
    static const char scheme[] = "device:";
    return strncmp(conf->tcti, scheme, sizeof scheme - 1) == 0 &&
           access(conf->tcti + sizeof scheme - 1, F_OK) != 0;
}

static bool take(const struct attester *attester, const struct attester_conf *conf,
    const struct attester **ret_attester, struct err *err)
{
    if (attester == &attester_sample && !conf->sample_enabled)
        return err_set(err, ERR_CONFIG,
            "sample evidence proves nothing and is for tests; if it is wanted, set enabled = yes "
            "in "
            "section [sample]");
    *ret_attester = attester;
    return true;
}

bool attester_choose(const char *tee, const struct attester_conf *conf,
    const struct attester **ret_attester, struct err *err)
{
    if (strcmp(tee, "auto") == 0)
        return take(
            conf->sample_enabled && tpm_node_missing(conf) ? &attester_sample : &attester_tpm, conf,
            ret_attester, err);
    for (size_t i = 0; i < ARRAY_LEN(attesters); i++)
        if (strcmp(tee, attesters[i]->tee) == 0)
            return take(attesters[i], conf, ret_attester, err);
    return err_set(err, ERR_CONFIG, "unknown tee \"%s\"", tee);
}
