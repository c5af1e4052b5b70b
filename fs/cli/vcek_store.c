/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/vcek_store.h"

#include <stdio.h>

#include "crypt/base/file.h"
#include "kbs/server/pem_dir.h"

#define CERT_MAX  16384
#define PATH_SIZE 4096

bool vcek_store_chains(const char *dir, struct buf *out, struct err *err)
{
    static const char *const below[] = {"vcek", "vlek", "Milan", "Genoa", "Turin"};
    if (!pem_dir_read(dir, PEM_DIR_ALL, out, err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(below); i++) {
        char path[PATH_SIZE];
        snprintf(path, sizeof path, "%s/%s", dir, below[i]);
        if (access(path, F_OK) == 0 && !pem_dir_read(path, PEM_DIR_ALL, out, err))
            return false;
    }
    return true;
}

/* "amd/vcek/GENERATION/HWID/TCB": letters, digits, '_' and '-' between the slashes (collateral_name_ok), so no way out of the directory. */
static bool get_vcek(
    const char *dir, const char *name, struct collateral *collateral, struct err *err)
{
    const char *hwid = strchr(name + strlen("amd/vcek/"), '/');
    const char *tcb = hwid ? strchr(hwid + 1, '/') : NULL;
    if (!tcb)
        return true;
    int hwid_len = (int)(tcb - hwid - 1);
    char exact[PATH_SIZE], any[PATH_SIZE];
    snprintf(exact, sizeof exact, "%s/vcek/%.*s/%s_vcek.der", dir, hwid_len, hwid + 1, tcb + 1);
    snprintf(any, sizeof any, "%s/vcek/%.*s/vcek.der", dir, hwid_len, hwid + 1);
    const char *const paths[] = {exact, any};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        auto_buf body = BUF_INIT(CERT_MAX);
        if (file_read(paths[i], CERT_MAX, &body, err))
            return collateral_put(collateral, name, buf_bytes(&body), BYTES_EMPTY, err) ||
                   err_wrap(err, "%s", paths[i]);
        if (err->code != ERR_NOTFOUND)
            return false;
    }
    return true;
}

bool vcek_store_get(const char *dir, struct bytes chains, const char *name,
    struct collateral *collateral, struct err *err)
{
    if (!collateral_name_ok(name))
        return true;
    if (strncmp(name, "amd/vcek/", strlen("amd/vcek/")) == 0)
        return get_vcek(dir, name, collateral, err);
    bool is_chain = strncmp(name, "amd/chain/", strlen("amd/chain/")) == 0 ||
                    strncmp(name, "amd/vlek-chain/", strlen("amd/vlek-chain/")) == 0;
    return !is_chain || chains.len == 0 ||
           collateral_put(collateral, name, chains, BYTES_EMPTY, err);
}
