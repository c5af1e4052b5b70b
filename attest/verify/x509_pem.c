/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/x509_pem.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>

DEFINE_AUTO(BIO, BIO_free_all);

struct block {
    char *name, *header;
    unsigned char *data;
    long len;
};

static void block_done(struct block *block)
{
    OPENSSL_free(block->name);
    OPENSSL_free(block->header);
    OPENSSL_free(block->data);
}

bool pem_looks_so(struct bytes data)
{
    static const char start[] = "-----BEGIN";
    while (data.len > 0 && bytes_is_blank(data.data[0]))
        data = bytes_slice(data, 1, data.len);
    return bytes_equal(bytes_slice(data, 0, sizeof start - 1), bytes_str(start));
}

bool pem_is_filler(struct bytes data)
{
    for (size_t i = 0; i < data.len; i++)
        if (data.data[i] != '\0' && !bytes_is_blank(data.data[i]))
            return false;
    return true;
}

/* *ret_end: there is no further block. */
static bool next(BIO *in, const char *label, const char *what, struct block *block, bool *ret_end,
    struct err *err)
{
    ERR_clear_error();
    int done = PEM_read_bio(in, &block->name, &block->header, &block->data, &block->len);
    unsigned long cause = ERR_peek_last_error();
    ERR_clear_error();
    *ret_end =
        !done && ERR_GET_LIB(cause) == ERR_LIB_PEM && ERR_GET_REASON(cause) == PEM_R_NO_START_LINE;
    if (*ret_end)
        return true;
    if (!done)
        return err_set(err, ERR_FORMAT, "%s: malformed PEM", what);
    if (strcmp(block->name, label) == 0 && block->header[0] != '\0')
        return err_set(err, ERR_FORMAT, "%s: an encrypted PEM block", what);
    return true;
}

bool pem_each(struct bytes pem, const char *label, const char *what,
    bool (*take)(struct bytes der, void *context, struct err *err), void *context, struct err *err)
{
    if (pem.len == 0)
        return true;
    if (pem.len > INT_MAX)
        return err_set(err, ERR_FORMAT, "%s: too long", what);
    AUTO(BIO_free_all) BIO *in = BIO_new_mem_buf(pem.data, (int)pem.len);
    if (!in)
        return err_nomem(err);
    for (;;) {
        AUTO_DONE(block_done) struct block block = {0};
        bool end = false;
        if (!next(in, label, what, &block, &end, err))
            return false;
        if (end)
            return true;
        if (strcmp(block.name, label) == 0 &&
            !take(bytes_of(block.data, (size_t)block.len), context, err))
            return false;
    }
}
