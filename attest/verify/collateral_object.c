/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/collateral_object.h"

#include <ctype.h>
#include <stdio.h>

#include "attest/verify/anchors.h"
#include "attest/verify/x509.h"
#include "attest/verify/x509_pem.h"
#include "crypt/base/b64.h"
#include "crypt/base/json.h"

#define OID_AMD    "1.3.6.1.4.1.3704.1."
#define CHIP_MAX   64
#define CHIP_TURIN 8
#define FMSPC_SIZE 6
#define NOT_KNOWN                                                                          \
    "neither a chip's certificate, AMD's cert_chain, a CRL of AMD or Intel, nor a signed " \
    "document "                                                                            \
    "of Intel"

/* -- texts --------------------------------------------------------------------------------------------- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool collateral_unescape(struct bytes text, const char *what, struct buf *out, struct err *err)
{
    uint8_t *room;
    size_t len = 0;
    if (!buf_reserve(out, text.len, &room, err))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return err_set(err, ERR_FORMAT, "%s: %% without two hex digits after it", what);
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        room[len++] = c;
    }
    buf_commit(out, len);
    return true;
}

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* "Milan" at the end of "SEV-Milan"; NULL: no generation. */
static const char *generation_after(const char *common_name, const char *prefix)
{
    if (!begins(common_name, prefix))
        return NULL;
    for (int i = 0; i < AMD_GENERATION_COUNT; i++)
        if (strcmp(common_name + strlen(prefix), amd_generation_name((enum amd_generation)i)) == 0)
            return amd_generation_name((enum amd_generation)i);
    return NULL;
}

/* -- a chip's certificate ------------------------------------------------------------------------------ */

/* DER INTEGER of 0..255. */
static bool get_svn(X509 *cert, const char *oid, unsigned *ret_svn)
{
    struct bytes value;
    if (!x509_extension(cert, oid, &value) || value.len < 3 || value.data[0] != 2)
        return false;
    bool one = value.len == 3 && value.data[1] == 1 && value.data[2] < 0x80;
    bool two = value.len == 4 && value.data[1] == 2 && value.data[2] == 0;
    *ret_svn = value.data[value.len - 1];
    return one || two;
}

/* Raw bytes, or an OCTET STRING of them; of Turin's, eight count. */
static bool get_chip(X509 *cert, bool turin, char ret_hex[2 * CHIP_MAX + 1])
{
    struct bytes value;
    size_t wanted = turin ? CHIP_TURIN : CHIP_MAX;
    if (!x509_extension(cert, OID_AMD "4", &value))
        return false;
    if (value.len > 2 && value.data[0] == 4 && value.data[1] == value.len - 2 &&
        (value.len - 2 == wanted || value.len - 2 == CHIP_MAX))
        value = bytes_of(value.data + 2, value.len - 2);
    if (value.len != wanted && value.len != CHIP_MAX)
        return false;
    hex_encode(bytes_of(value.data, wanted), ret_hex);
    return true;
}

static bool name_vcek(X509 *cert, char ret_name[COLLATERAL_NAME_MAX], struct err *err)
{
    char issuer[X509_NAME_SIZE], chip[2 * CHIP_MAX + 1], fmc_text[16] = "";
    unsigned bootloader, tee, snp, microcode, fmc = 0;
    x509_issuer_name(cert, issuer);
    const char *generation = generation_after(issuer, "SEV-");
    bool turin = generation && strcmp(generation, "Turin") == 0;
    if (!generation)
        return err_set(err, ERR_FORMAT,
            "a certificate that none of AMD's chip CAs (SEV-Milan, SEV-Genoa, SEV-Turin) issued");
    if (!get_chip(cert, turin, chip) || !get_svn(cert, OID_AMD "3.1", &bootloader) ||
        !get_svn(cert, OID_AMD "3.2", &tee) || !get_svn(cert, OID_AMD "3.3", &snp) ||
        !get_svn(cert, OID_AMD "3.8", &microcode) || (turin && !get_svn(cert, OID_AMD "3.9", &fmc)))
        return err_set(
            err, ERR_FORMAT, "a certificate by %s without the extensions of a chip's", issuer);
    if (turin)
        snprintf(fmc_text, sizeof fmc_text, "_fmc%02u", fmc);
    snprintf(ret_name, COLLATERAL_NAME_MAX, "amd/vcek/%s/%s/bl%02u_tee%02u_snp%02u_ucode%02u%s",
        generation, chip, bootloader, tee, snp, microcode, fmc_text);
    return true;
}

/* -- chains and CRLs ----------------------------------------------------------------------------------- */

/* Judged at the end of time, the date of a certificate or CRL is its last good second. */

/* A file with the CAs of one generation: that of chips, or that of cloud providers' keys. */
static bool name_chain(const struct x509_chain *chain, char ret_name[COLLATERAL_NAME_MAX])
{
    for (size_t i = 0; i < chain->count; i++) {
        char common[X509_NAME_SIZE];
        x509_common_name(chain->certs[i], common);
        const char *of_chips = generation_after(common, "SEV-");
        const char *of_clouds = generation_after(common, "SEV-VLEK-");
        if (!of_chips && !of_clouds)
            continue;
        snprintf(ret_name, COLLATERAL_NAME_MAX, "amd/%s/%s", of_chips ? "chain" : "vlek-chain",
            of_chips ? of_chips : of_clouds);
        return true;
    }
    return false;
}

static bool name_crl(X509_CRL *crl, char ret_name[COLLATERAL_NAME_MAX], struct err *err)
{
    static const char *const intel[][2] = {{"Intel SGX Root CA", "intel/root-crl"},
        {"Intel SGX PCK Platform CA", "intel/pck-crl/platform"},
        {"Intel SGX PCK Processor CA", "intel/pck-crl/processor"}};
    char issuer[X509_NAME_SIZE];
    x509_crl_issuer_name(crl, issuer);
    const char *generation = generation_after(issuer, "ARK-");
    if (generation) {
        snprintf(ret_name, COLLATERAL_NAME_MAX, "amd/crl/%s", generation);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(intel); i++) {
        if (strcmp(issuer, intel[i][0]) != 0)
            continue;
        snprintf(ret_name, COLLATERAL_NAME_MAX, "%s", intel[i][1]);
        return true;
    }
    return err_set(err, ERR_FORMAT, "a CRL of \"%s\", which is neither AMD's nor Intel's", issuer);
}

static bool examine_chain(struct bytes pem, const char *what, int64_t *until, struct err *err)
{
    auto_x509_chain chain = {0};
    if (!x509_chain_load(pem, what, &chain, err))
        return false;
    for (size_t i = 0; i < chain.count; i++) {
        int64_t date;
        x509_dates(chain.certs[i], INT64_MAX, &date);
        *until = date < *until ? date : *until;
    }
    return true;
}

/* -- signed documents ---------------------------------------------------------------------------------- */

static bool name_document(const json_t *json, char ret_name[COLLATERAL_NAME_MAX], struct err *err)
{
    const json_t *info = json_object_get(json, "tcbInfo");
    const char *fmspc = json_member_text(info, "fmspc"), *id = json_member_text(info, "id");
    uint8_t binary[FMSPC_SIZE];
    if (!info && json_object_get(json, "enclaveIdentity")) {
        snprintf(ret_name, COLLATERAL_NAME_MAX, "intel/qe-identity");
        return true;
    }
    if (!info)
        return err_set(err, ERR_FORMAT, "JSON that is no signed document of Intel's");
    if (!id || strcmp(id, "TDX") != 0 || !fmspc ||
        !hex_decode(bytes_str(fmspc), "fmspc", binary, sizeof binary, err))
        return err_set(err, ERR_FORMAT, "TCB info that is not of TDX, or has no FMSPC");
    int len = snprintf(ret_name, COLLATERAL_NAME_MAX, "intel/tcb/");
    for (size_t i = 0; i < FMSPC_SIZE; i++)
        len += snprintf(ret_name + len, COLLATERAL_NAME_MAX - (size_t)len, "%02X", binary[i]);
    return true;
}

static bool examine_document(const json_t *json, int64_t *until, struct err *err)
{
    const json_t *info = json_object_get(json, "tcbInfo");
    if (!info)
        info = json_object_get(json, "enclaveIdentity");
    const char *next = json_member_text(info, "nextUpdate");
    if (!json_member_text(json, "signature"))
        return err_set(err, ERR_FORMAT, "a document of Intel's without its signature");
    if (!next)
        return err_set(err, ERR_FORMAT, "a document of Intel's without nextUpdate");
    return clock_parse_rfc3339(bytes_str(next), "nextUpdate", until, err);
}

/* -- any object ---------------------------------------------------------------------------------------- */

static bool looks_like(struct bytes body, const char *start)
{
    return memmem(body.data, body.len < 4096 ? body.len : 4096, start, strlen(start)) != NULL;
}

/* Name and last good second of what is in `body`, without its issuer chain. */
static bool look(
    struct bytes body, char ret_name[COLLATERAL_NAME_MAX], int64_t *ret_until, struct err *err)
{
    auto_x509 *cert = NULL;
    auto_x509_crl *crl = NULL;
    auto_x509_chain chain = {0};
    auto_json *json = NULL;
    struct err none = ERR_INIT;
    *ret_until = INT64_MAX;
    if (body.len == 0 || body.len > COLLATERAL_OBJECT_MAX)
        return err_set(
            err, ERR_FORMAT, "%zu bytes; 1 to %u are taken", body.len, COLLATERAL_OBJECT_MAX);
    if (body.data[0] == '{')
        return json_load_strict(body, COLLATERAL_OBJECT_MAX, "document", &json, err) &&
               name_document(json, ret_name, err) && examine_document(json, ret_until, err);
    bool pem = looks_like(body, "-----BEGIN");
    if ((!pem || looks_like(body, "BEGIN X509 CRL")) && x509_crl_load(body, "CRL", &crl, &none)) {
        x509_crl_dates(crl, INT64_MAX, ret_until);
        return name_crl(crl, ret_name, err);
    }
    if (pem && x509_chain_load(body, "certificates", &chain, &none) && chain.count > 0 &&
        name_chain(&chain, ret_name))
        return examine_chain(body, "certificates", ret_until, err);
    if (!x509_load(body, "certificate", &cert, &none))
        return err_set(err, ERR_FORMAT, NOT_KNOWN);
    x509_dates(cert, INT64_MAX, ret_until);
    return name_vcek(cert, ret_name, err);
}

bool collateral_identify(struct bytes body, char ret_name[COLLATERAL_NAME_MAX], struct err *err)
{
    int64_t until;
    return look(body, ret_name, &until, err);
}

bool collateral_examine(
    const char *name, struct bytes body, struct bytes chain, int64_t *ret_until, struct err *err)
{
    char found[COLLATERAL_NAME_MAX];
    int64_t until;
    bool document = begins(name, "intel/tcb/") || strcmp(name, "intel/qe-identity") == 0;
    if (!look(body, found, &until, err))
        return err_wrap(err, "%s", name);
    if (strcmp(found, name) != 0)
        return err_set(err, ERR_FORMAT, "%s: this is %s", name, found);
    if (document && chain.len == 0)
        return err_set(err, ERR_FORMAT,
            "%s: without its issuer chain; a file of Intel's PCS Client Tool has both", name);
    if (document && !examine_chain(chain, "issuer chain", &until, err))
        return err_wrap(err, "%s", name);
    *ret_until = until;
    return true;
}

bool collateral_changes(const char *name)
{
    return begins(name, "amd/crl/") || begins(name, "intel/");
}
