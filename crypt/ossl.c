/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/ossl.h"

#include <openssl/err.h>
#include <pthread.h>

/* They live as long as the process. Where a lookup fails, the name remains, whose use then says why. */
static struct {
    const EVP_CIPHER *gcm, *wrap;
    const EVP_MD *sha256;
} found;

static void find(void)
{
    EVP_CIPHER *gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    EVP_CIPHER *wrap = EVP_CIPHER_fetch(NULL, "AES-256-WRAP", NULL);
    EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    found.gcm = gcm ? gcm : EVP_aes_256_gcm();
    found.wrap = wrap ? wrap : EVP_aes_256_wrap();
    found.sha256 = sha256 ? sha256 : EVP_sha256();
}

static void find_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find);
}

const EVP_CIPHER *ossl_aes256_gcm(void)
{
    find_once();
    return found.gcm;
}

const EVP_CIPHER *ossl_aes256_wrap(void)
{
    find_once();
    return found.wrap;
}

const EVP_MD *ossl_sha256(void)
{
    find_once();
    return found.sha256;
}

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
