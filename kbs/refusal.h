/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer of the KBS that is not 200 means (protocol.md A.4: Trustee says 401 for nearly everything, so the name in the
 * body decides, then the status). */
#pragma once

#include "kbs/http.h"

enum refusal_step { REFUSAL_AUTH, REFUSAL_ATTEST, REFUSAL_RESOURCE };

/* Sets *ret_err with the KBS's detail and reference. True when a new token may help (only for REFUSAL_RESOURCE). `url` of the KBS. */
bool refusal_explain(enum refusal_step step, const char *url, const struct http_response *response,
    struct err *ret_err);
