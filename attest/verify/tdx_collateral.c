/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/tdx_collateral.h"

#include <stdio.h>

#include "attest/verify/check.h"
#include "crypt/base/b64.h"

#define SIGNER_NAME "Intel SGX TCB Signing"

struct task {
    const struct verify_input *input;
    const struct pck *pck;
    struct validity *validity;
    struct verdict *verdict;
    X509_CRL *root_crl; /* NULL: absent, or not usable */
    /* The issuer chain that was checked last: Intel sends one and the same with each document. */
    struct bytes pem;
    struct x509_chain chain;
    X509 *signer; /* of it; NULL: it is not good, as the verdict says */
};

static const struct signed_json_kind tcb_info_kind = {
    "TCB info", "tcbInfo", "tdx.tcb-info", "tdx.tcb-info-signature"};
static const struct signed_json_kind qe_identity_kind = {
    "QE identity", "enclaveIdentity", "tdx.qe-identity", "tdx.qe-identity-signature"};

void tdx_collateral_done(struct tdx_collateral *collateral)
{
    signed_json_done(&collateral->tcb_info);
    signed_json_done(&collateral->qe_identity);
}

static bool get(const struct task *task, struct tdx_collateral *collateral, const char *name,
    struct bytes *ret_body, struct bytes *ret_chain)
{
    if (collateral_get(task->input->collateral, name, ret_body, ret_chain))
        return true;
    collateral->complete = false;
    if (!task->input->collateral_optional)
        verdict_need(task->verdict, "%s", name);
    return false;
}

/* -- who was revoked ---------------------------------------------------------------------------------- */

static bool check_crl(const struct task *task, struct bytes der, X509 *issuer, const char *what,
    const char *check, X509_CRL **ret_crl, struct err *err)
{
    auto_x509_crl *crl = NULL;
    if (!x509_crl_load(der, what, &crl, err))
        return check_error(task->verdict, check, "a CRL in DER", err);
    validity_add_crl(task->validity, task->verdict, what, crl);
    if (x509_crl_issued_by(crl, issuer, X509_ECDSA_P256_SHA256))
        *ret_crl = take_ptr(crl);
    else
        check_fail(task->verdict, check, "one that the chain's CA signed",
            "%s is not signed by the CA that it has to be from", what);
    return true;
}

static void check_revoked(const struct task *task, X509_CRL *crl, X509 *cert, const char *what)
{
    if (crl && x509_crl_lists(crl, cert))
        check_fail(task->verdict, "tdx.revoked", "not revoked", "%s is revoked", what);
}

static bool check_crls(struct task *task, struct tdx_collateral *collateral, struct err *err)
{
    char name[COLLATERAL_NAME_MAX];
    struct bytes body;
    auto_x509_crl *pck_crl = NULL;
    snprintf(name, sizeof name, "intel/pck-crl/%s", pck_ca_name(task->pck->ca));
    if (get(task, collateral, "intel/root-crl", &body, NULL) &&
        !check_crl(
            task, body, task->pck->root, "the root CA's CRL", "tdx.root-crl", &task->root_crl, err))
        return false;
    if (get(task, collateral, name, &body, NULL) &&
        !check_crl(
            task, body, task->pck->intermediate, "the PCK CA's CRL", "tdx.pck-crl", &pck_crl, err))
        return false;
    check_revoked(task, task->root_crl, task->pck->intermediate, "the PCK CA's certificate");
    check_revoked(task, pck_crl, task->pck->leaf, "the PCK certificate");
    collateral->has_root_crl_number =
        task->root_crl && x509_crl_number(task->root_crl, &collateral->root_crl_number);
    collateral->has_pck_crl_number =
        pck_crl && x509_crl_number(pck_crl, &collateral->pck_crl_number);
    return true;
}

/* -- signed documents ---------------------------------------------------------------------------------- */

static bool is_linked(const struct pck *pck, X509 *signer, X509 *root)
{
    bool own =
        X509_cmp(root, pck->root) == 0 ||
        (x509_same_key(root, pck->root) && x509_issued_by(root, root, X509_ECDSA_P256_SHA256));
    return own && x509_issued_by(signer, pck->root, X509_ECDSA_P256_SHA256);
}

/* Two certificates: the signer's and the root, which is that of the quote. NULL: the verdict says why. */
static X509 *check_signer(const struct task *task, const struct signed_json_kind *kind)
{
    char name[X509_NAME_SIZE], what[64];
    X509 *signer = task->chain.certs[0], *root = task->chain.certs[1];
    struct verdict *verdict = task->verdict;
    if (task->chain.count != 2) {
        check_fail(verdict, kind->signature, "an issuer chain of TCB signing certificate and root",
            "%s: %zu certificates", kind->what, task->chain.count);
        return NULL;
    }
    snprintf(what, sizeof what, "the signer's certificate of the %s", kind->what);
    validity_add_cert(task->validity, verdict, what, signer);
    validity_add_cert(task->validity, verdict, "the root certificate", root);
    x509_common_name(signer, name);
    bool named = strcmp(name, SIGNER_NAME) == 0, linked = is_linked(task->pck, signer, root);
    if (!named)
        check_fail(verdict, kind->signature, SIGNER_NAME, "%s of \"%s\"", what, name);
    if (!linked)
        check_fail(
            verdict, kind->signature, "issued by the root of the quote's PCK chain", "%s", what);
    check_revoked(task, task->root_crl, signer, what);
    return named && linked ? signer : NULL;
}

/* *ret_signer NULL: the verdict says why. */
static bool find_signer(struct task *task, const struct signed_json_kind *kind, struct bytes pem,
    X509 **ret_signer, struct err *err)
{
    if (task->chain.count > 0 && bytes_equal(task->pem, pem)) {
        *ret_signer = task->signer;
        return true;
    }
    x509_chain_done(&task->chain);
    if (!x509_chain_load(pem, kind->what, &task->chain, err))
        return check_error(task->verdict, kind->signature, "its issuer chain in PEM", err);
    task->pem = pem;
    task->signer = check_signer(task, kind);
    *ret_signer = task->signer;
    return true;
}

static bool check_document(struct task *task, const struct signed_json_kind *kind,
    struct bytes body, struct bytes pem, struct signed_json *ret_document, struct err *err)
{
    X509 *signer = NULL;
    if (!find_signer(task, kind, pem, &signer, err))
        return false;
    if (!signer)
        return true;
    if (!signed_json_open(kind, body, X509_get0_pubkey(signer), task->verdict, ret_document, err))
        return false;
    if (ret_document->json)
        validity_add(task->validity, task->verdict, kind->what, ret_document->issued_at,
            ret_document->next_update);
    return true;
}

static void tcb_info_name(const struct pck *pck, char out[COLLATERAL_NAME_MAX])
{
    char fmspc[2 * sizeof pck->extension.fmspc + 1];
    hex_encode(bytes_of(pck->extension.fmspc, sizeof pck->extension.fmspc), fmspc);
    for (char *at = fmspc; *at; at++)
        if (*at >= 'a' && *at <= 'f')
            *at = (char)(*at - 'a' + 'A');
    snprintf(out, COLLATERAL_NAME_MAX, "intel/tcb/%s", fmspc);
}

static bool check_all(struct task *task, struct tdx_collateral *collateral, struct err *err)
{
    char name[COLLATERAL_NAME_MAX];
    struct bytes body, chain;
    tcb_info_name(task->pck, name);
    return check_crls(task, collateral, err) &&
           (!get(task, collateral, name, &body, &chain) ||
               check_document(task, &tcb_info_kind, body, chain, &collateral->tcb_info, err)) &&
           (!get(task, collateral, "intel/qe-identity", &body, &chain) ||
               check_document(task, &qe_identity_kind, body, chain, &collateral->qe_identity, err));
}

bool tdx_collateral_check(const struct verify_input *input, const struct pck *pck,
    struct validity *validity, struct verdict *verdict, struct tdx_collateral *ret_collateral,
    struct err *err)
{
    struct task task = {.input = input, .pck = pck, .validity = validity, .verdict = verdict};
    ret_collateral->complete = true;
    bool done = check_all(&task, ret_collateral, err);
    X509_CRL_free(task.root_crl);
    x509_chain_done(&task.chain);
    return done;
}
