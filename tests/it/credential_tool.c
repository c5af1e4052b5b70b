/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a credential for a real TPM from files: credential_tool EK_PUBLIC EK_CERT ROOTS_PEM AK_PUBLIC CREDENTIAL OUT
 * (public areas as TPM2B_PUBLIC, the certificate DER). Writes what tpm2_activatecredential reads (magic, version,
 * TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET) and prints the AK's name and the EK's digest.
 */
#include <stdio.h>

#include "attest/verify/credential.h"
#include "attest/verify/tpm_structs.h"
#include "crypt/base/b64.h"
#include "crypt/base/file.h"
#include "crypt/base/pack.h"

#define FILE_MAX 65536

static bool run(char **path, struct err *err)
{
    auto_buf ek = BUF_INIT(FILE_MAX), cert = BUF_INIT(FILE_MAX), roots = BUF_INIT(FILE_MAX),
             ak = BUF_INIT(FILE_MAX);
    auto_buf plain = BUF_INIT(FILE_MAX), name = BUF_INIT(64), spki = BUF_INIT(1024),
             out = BUF_INIT(FILE_MAX);
    auto_secret *credential = NULL;
    char ek_sha256[65];
    struct pack_writer to = pack_writer(&out);
    if (!file_read(path[0], FILE_MAX, &ek, err) || !file_read(path[1], FILE_MAX, &cert, err) ||
        !file_read(path[2], FILE_MAX, &roots, err) || !file_read(path[3], FILE_MAX, &ak, err) ||
        !file_read(path[4], FILE_MAX, &plain, err) ||
        !secret_copy(buf_bytes(&plain), &credential, err))
        return false;
    if (!credential_check_ak(buf_bytes(&ak), &name, &spki, err) ||
        !credential_check_ek(buf_bytes(&ek), buf_bytes(&cert), buf_bytes(&roots), ek_sha256, err))
        return false;
    pack_put_u32(&to, 0xbadcc0de);
    pack_put_u32(&to, 1);
    if (!pack_written(&to, "header", err) ||
        !credential_make(buf_bytes(&ek), buf_bytes(&name), credential, &out, &out, err) ||
        !file_write(path[5], buf_bytes(&out), 0600, err))
        return false;
    auto_free char *name_hex = hex_encode_dup(buf_bytes(&name));
    printf("%s %s\n", name_hex, ek_sha256);
    return true;
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    tpm_structs_silence();
    if (argc != 7) {
        fprintf(stderr,
            "usage: credential_tool EK_PUBLIC EK_CERT ROOTS_PEM AK_PUBLIC CREDENTIAL OUT\n");
        return 2;
    }
    if (run(argv + 1, &err))
        return 0;
    fprintf(stderr, "credential_tool: [%s] %s\n", err_info(err.code)->name, err.message);
    return err_info(err.code)->exit_status;
}
