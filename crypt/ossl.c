/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/ossl.h"

#include <openssl/err.h>

const char *ossl_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return reason ? reason : "OpenSSL gives no reason";
}

void ossl_forget(void)
{
    ERR_clear_error();
}
