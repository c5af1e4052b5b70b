/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/pck.h"

#include "attest/verify/check.h"
#include "attest/verify/ecdsa_raw.h"
#include "crypt/base/b64.h"

#define CHAIN_COUNT 3
#define CHECK       "tdx.chain"
#define LEAF_NAME   "Intel SGX PCK Certificate"

static const struct {
    const char *subject, *name;
} authorities[] = {
    [PCK_CA_PLATFORM] = {"Intel SGX PCK Platform CA", "platform"},
    [PCK_CA_PROCESSOR] = {"Intel SGX PCK Processor CA", "processor"},
};

const char *pck_ca_name(enum pck_ca ca)
{
    return authorities[ca].name;
}

void pck_done(struct pck *pck)
{
    x509_chain_done(&pck->chain);
}

static bool check_root(const struct verify_input *input, struct pck *pck, struct verdict *verdict)
{
    uint8_t hash[32];
    char text[2 * sizeof hash + 1] = "";
    pck->intel = anchors_trusted(NULL, ANCHOR_INTEL_ROOT, pck->root);
    if (anchors_trusted(input->anchors, ANCHOR_INTEL_ROOT, pck->root))
        return true;
    if (x509_spki_sha256(pck->root, hash))
        hex_encode(bytes_of(hash, sizeof hash), text);
    return check_fail(verdict, "tdx.root", "the key of a root that is trusted",
        "root with a key whose SHA-256 is %s", text);
}

static bool check_link(struct verdict *verdict, X509 *cert, X509 *issuer, const char *what)
{
    return x509_issued_by(cert, issuer, X509_ECDSA_P256_SHA256) ||
           check_fail(verdict, CHECK, "issued by it, with ECDSA P-256 and SHA-256", "%s", what);
}

static bool check_links(struct pck *pck, struct verdict *verdict)
{
    bool root = check_link(
        verdict, pck->root, pck->root, "the PCK chain's last certificate is no self-signed root");
    bool intermediate = check_link(verdict, pck->intermediate, pck->root,
        "the PCK chain's intermediate certificate is not the root's");
    bool leaf = check_link(
        verdict, pck->leaf, pck->intermediate, "the PCK certificate is not the intermediate's");
    bool authority = x509_is_ca(pck->root) && x509_is_ca(pck->intermediate);
    if (!authority)
        check_fail(verdict, CHECK, "CA certificates",
            "the PCK chain's root or intermediate certificate is none of a CA");
    return root && intermediate && leaf && authority;
}

static bool check_names(struct pck *pck, struct verdict *verdict)
{
    char leaf[X509_NAME_SIZE], issuer[X509_NAME_SIZE];
    bool known = false;
    x509_common_name(pck->leaf, leaf);
    x509_common_name(pck->intermediate, issuer);
    for (size_t i = 0; i < ARRAY_LEN(authorities); i++) {
        if (strcmp(authorities[i].subject, issuer) != 0)
            continue;
        pck->ca = (enum pck_ca)i;
        known = true;
    }
    if (!known)
        check_fail(verdict, CHECK, "Intel SGX PCK Platform CA or Intel SGX PCK Processor CA",
            "intermediate certificate \"%s\"", issuer);
    bool named = strcmp(leaf, LEAF_NAME) == 0;
    if (!named)
        check_fail(verdict, CHECK, LEAF_NAME, "PCK certificate \"%s\"", leaf);
    return known && named;
}

/* The Platform CA certifies multi-package platforms, which have an instance id and a configuration; the
 * Processor CA the others, which have none. */
static bool read_extension(
    struct pck *pck, struct verdict *verdict, bool *ret_good, struct err *err)
{
    static const char expected[] = "extension " PCK_EXTENSION_OID " of Intel's form";
    struct bytes der;
    if (!x509_extension(pck->leaf, PCK_EXTENSION_OID, &der)) {
        check_fail(verdict, "tdx.pck", expected, "the PCK certificate has it not just once");
        return true;
    }
    if (!pck_extension_parse(der, &pck->extension, err))
        return check_error(verdict, "tdx.pck", expected, err);
    bool platform = pck->ca == PCK_CA_PLATFORM;
    *ret_good =
        pck->extension.has_instance_id == platform && pck->extension.has_configuration == platform;
    if (!*ret_good)
        check_fail(verdict, "tdx.pck",
            "platform instance id and configuration from the Platform CA, and only from it",
            "%s CA, %s instance id, %s configuration", pck_ca_name(pck->ca),
            pck->extension.has_instance_id ? "an" : "no",
            pck->extension.has_configuration ? "a" : "no");
    return true;
}

static void add_dates(struct pck *pck, struct validity *validity, struct verdict *verdict)
{
    validity_add_cert(validity, verdict, "the PCK certificate", pck->leaf);
    validity_add_cert(validity, verdict, "the PCK CA's certificate", pck->intermediate);
    validity_add_cert(validity, verdict, "the root certificate", pck->root);
}

bool pck_check(const struct verify_input *input, struct bytes pem, struct validity *validity,
    struct verdict *verdict, struct pck *ret_pck, struct err *err)
{
    static const char expected[] = "PEM of PCK certificate, its CA's and the root";
    if (!x509_chain_load(pem, "PCK certificate chain", &ret_pck->chain, err))
        return check_error(verdict, CHECK, expected, err);
    if (ret_pck->chain.count != CHAIN_COUNT) {
        check_fail(verdict, CHECK, expected, "%zu certificates", ret_pck->chain.count);
        return true;
    }
    bool extension = false;
    ret_pck->leaf = ret_pck->chain.certs[0];
    ret_pck->intermediate = ret_pck->chain.certs[1];
    ret_pck->root = ret_pck->chain.certs[2];
    bool root = check_root(input, ret_pck, verdict);
    bool links = check_links(ret_pck, verdict);
    bool names = check_names(ret_pck, verdict);
    if (!read_extension(ret_pck, verdict, &extension, err))
        return false;
    bool key = ecdsa_key_is(X509_get0_pubkey(ret_pck->leaf), ECDSA_P256);
    if (!key)
        check_fail(verdict, CHECK, "a key on P-256", "the PCK certificate's key is another");
    add_dates(ret_pck, validity, verdict);
    ret_pck->good = root && links && names && extension && key;
    return true;
}
