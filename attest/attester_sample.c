/* SPDX-License-Identifier: Apache-2.0 */
/* Sample evidence (protocol.md C.2): proves nothing; for tests of everything around it. */
#include "attest/attester.h"
#include "crypt/base/b64.h"

static bool sample_evidence(const struct attester_conf *conf, const struct hash *report_data,
    struct buf *out, struct err *err)
{
    (void)conf;
    auto_free char *text = b64_encode(B64_STD, hash_view(report_data));
    if (!text)
        return err_nomem(err);
    return buf_printf(out, err, "{\"svn\":\"1\",\"report_data\":\"%s\"}", text);
}

const struct attester attester_sample = {.tee = "sample", .evidence = sample_evidence};
