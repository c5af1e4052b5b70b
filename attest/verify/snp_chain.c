/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/snp_chain.h"

#include <stdio.h>

#include "attest/verify/check.h"

#define WHAT_SIZE 64

static const char chain_shape[] =
    "null, or 1 to 16 entries {\"cert_type\",\"data\":[bytes]}, a VCEK or VLEK among them";

void snp_chain_done(struct snp_chain *chain)
{
    X509_free(chain->vek);
    chain->vek = NULL;
    x509_chain_done(&chain->asks);
    x509_chain_done(&chain->arks);
}

/* -- what evidence brings ---------------------------------------------------------------------------- */

enum entry { ENTRY_VCEK, ENTRY_VLEK, ENTRY_ASK, ENTRY_ARK, ENTRY_OTHER, ENTRY_BAD };

/* An enum of the sev crate: text, or {"OTHER": uuid}. */
static enum entry entry_kind(const json_t *type)
{
    static const struct {
        const char *name;
        enum entry kind;
    } kinds[] = {
        {"VCEK", ENTRY_VCEK},
        {"VLEK", ENTRY_VLEK},
        {"ASK", ENTRY_ASK},
        {"ARK", ENTRY_ARK},
        {"CRL", ENTRY_OTHER},
        {"Empty", ENTRY_OTHER},
    };
    const char *text = json_string_value(type);
    for (size_t i = 0; text && i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].name, text) == 0)
            return kinds[i].kind;
    return !text && json_object_size(type) == 1 && json_object_get(type, "OTHER") ? ENTRY_OTHER
                                                                                  : ENTRY_BAD;
}

static bool read_data(const json_t *data, struct buf *out, const char *what, struct err *err)
{
    size_t index, count = json_array_size(data);
    const json_t *value;
    uint8_t *room;
    if (!json_is_array(data) || count == 0 || count > out->max)
        return err_set(
            err, ERR_FORMAT, "%s: data must be an array of 1 to %zu bytes", what, out->max);
    if (!buf_reserve(out, count, &room, err))
        return false;
    json_array_foreach(data, index, value)
    {
        json_int_t byte = json_integer_value(value);
        if (!json_is_integer(value) || byte < 0 || byte > 255)
            return err_set(err, ERR_FORMAT, "%s: data[%zu] is no byte", what, index);
        room[index] = (uint8_t)byte;
    }
    buf_commit(out, count);
    return true;
}

static void keep(struct snp_chain *chain, enum entry kind, X509 *certificate)
{
    struct x509_chain *list = kind == ENTRY_ASK ? &chain->asks : &chain->arks;
    if (kind == ENTRY_VCEK || kind == ENTRY_VLEK) {
        chain->vek = certificate;
        chain->is_vlek = kind == ENTRY_VLEK;
    } else {
        list->certs[list->count++] = certificate;
    }
}

/* The first VEK counts; what nobody looks at is not read. */
static bool read_entry(const json_t *entry, size_t index, struct snp_chain *chain, struct err *err)
{
    auto_buf data = BUF_INIT(X509_CERT_MAX);
    X509 *certificate = NULL;
    char what[WHAT_SIZE];
    enum entry kind = entry_kind(json_object_get(entry, "cert_type"));
    snprintf(what, sizeof what, "cert_chain[%zu]", index);
    if (kind == ENTRY_BAD)
        return err_set(err, ERR_FORMAT, "%s has no cert_type that is known", what);
    bool is_vek = kind == ENTRY_VCEK || kind == ENTRY_VLEK;
    if (kind == ENTRY_OTHER || (is_vek && chain->vek))
        return true;
    if (!read_data(json_object_get(entry, "data"), &data, what, err) ||
        !x509_load(buf_bytes(&data), what, &certificate, err))
        return false;
    keep(chain, kind, certificate);
    return true;
}

bool snp_chain_read(const json_t *json, struct snp_chain *chain, bool *ret_given, bool *ret_good,
    struct verdict *verdict, struct err *err)
{
    size_t index, before = verdict->reason_count, count = json_array_size(json);
    const json_t *entry;
    *ret_given = json && !json_is_null(json);
    *ret_good = true;
    if (!*ret_given)
        return true;
    if (!json_is_array(json) || count == 0 || count > X509_CHAIN_MAX)
        check_fail(verdict, "snp.cert-chain", chain_shape, "%s of %zu entries",
            json_is_array(json) ? "an array" : "no array", count);
    for (index = 0; index < count && count <= X509_CHAIN_MAX; index++) {
        entry = json_array_get(json, index);
        if (!read_entry(entry, index, chain, err) &&
            !check_error(verdict, "snp.cert-chain", chain_shape, err))
            return false;
    }
    if (verdict->reason_count == before && !chain->vek)
        verdict_fail(verdict, "snp.cert-chain", "neither VCEK nor VLEK", chain_shape);
    *ret_good = verdict->reason_count == before;
    return true;
}

bool snp_chain_find_vcek(const struct snp_report *report, const struct verify_input *input,
    struct snp_chain *chain, bool *ret_good, struct verdict *verdict, struct err *err)
{
    char hwid[2 * SNP_CHIP_ID_SIZE + 1], tcb[SNP_TCB_NAME_SIZE], name[COLLATERAL_NAME_MAX];
    struct bytes body;
    *ret_good = false;
    if (snp_report_signing_key(report) == SNP_SIGNED_BY_VLEK) {
        verdict_fail(verdict, "snp.cert-chain", "a report signed by a VLEK, and no certificate",
            "a VLEK in cert_chain: AMD's key service has none");
        return true;
    }
    if (snp_report_is_masked(report)) {
        verdict_fail(verdict, "snp.chip-id",
            "masked (all zero), and no certificate in the evidence",
            "a VCEK in cert_chain, or a CHIP_ID to find one by");
        return true;
    }
    snp_report_hwid(report, hwid);
    snp_report_tcb_name(report, tcb);
    snprintf(
        name, sizeof name, "amd/vcek/%s/%s/%s", amd_generation_name(report->generation), hwid, tcb);
    if (!collateral_get(input->collateral, name, &body, NULL)) {
        verdict_need(verdict, "%s", name);
        return true;
    }
    *ret_good = x509_load(body, "VCEK from collateral", &chain->vek, err);
    return *ret_good || check_error(verdict, "snp.chain", "a certificate of this chip", err);
}

/* -- links --------------------------------------------------------------------------------------------- */

/* One walk from the VEK upwards. */
struct walk {
    const struct snp_report *report;
    const struct verify_input *input;
    const struct snp_chain *chain;
    struct verdict *verdict;
    enum anchor_role ca_role, ark_role;
    const char *ca_name;       /* SEV-Milan, SEV-VLEK-Milan… */
    struct x509_chain fetched; /* from collateral */
    X509 *ca, *ark;            /* borrowed; NULL: not at hand */
};

static void walk_done(struct walk *walk)
{
    x509_chain_done(&walk->fetched);
}

static X509 *named(const struct x509_chain *list, const char *name)
{
    char found[X509_NAME_SIZE];
    for (size_t i = 0; i < list->count; i++) {
        x509_common_name(list->certs[i], found);
        if (strcmp(found, name) == 0)
            return list->certs[i];
    }
    return NULL;
}

/* Only when evidence and operator lack something: what AMD publishes, under the name that the kind of VEK asks for. */
static bool fetch(struct walk *walk, struct err *err)
{
    struct bytes body;
    char name[COLLATERAL_NAME_MAX];
    snprintf(name, sizeof name, "amd/%s/%s", walk->chain->is_vlek ? "vlek-chain" : "chain",
        amd_generation_name(walk->report->generation));
    if (!collateral_get(walk->input->collateral, name, &body, NULL)) {
        if (!walk->ca)
            verdict_need(walk->verdict, "%s", name);
        return true;
    }
    if (!x509_chain_load(body, name, &walk->fetched, err))
        return check_error(walk->verdict, "snp.chain", "AMD's cert_chain in PEM", err);
    if (!walk->ca && !(walk->ca = named(&walk->fetched, walk->ca_name)))
        check_fail(walk->verdict, "snp.chain", walk->ca_name, "no such certificate in %s", name);
    if (!walk->ark)
        walk->ark = named(&walk->fetched, anchor_name(walk->ark_role));
    return true;
}

static bool find_cas(struct walk *walk, struct err *err)
{
    const struct anchors *anchors = walk->input->anchors;
    const struct snp_chain *chain = walk->chain;
    bool foreign = false;
    walk->ca = named(&chain->asks, walk->ca_name);
    if (!walk->ca && chain->asks.count > 0) {
        char found[X509_NAME_SIZE];
        x509_common_name(chain->asks.certs[0], found);
        foreign = !check_fail(walk->verdict, "snp.chain", walk->ca_name, "ASK \"%s\"", found);
    }
    if (!walk->ca && !foreign)
        walk->ca = anchors_get(anchors, walk->ca_role);
    walk->ark = chain->arks.count > 0 ? chain->arks.certs[0] : anchors_get(anchors, walk->ark_role);
    return foreign || (walk->ca && walk->ark) || fetch(walk, err);
}

static void check_ark(struct walk *walk, X509 *ark)
{
    const char *name = anchor_name(walk->ark_role);
    if (!anchors_trusted(walk->input->anchors, walk->ark_role, ark))
        check_fail(walk->verdict, "snp.chain", "AMD's root key (or an operator's, see roots)",
            "an %s with another key", name);
    else if (!x509_issued_by(ark, ark, X509_RSA_PSS_SHA384))
        verdict_fail(walk->verdict, "snp.chain", "an ARK that its own key did not sign",
            "RSASSA-PSS SHA-384 by itself");
    else
        x509_check_dates(walk->verdict, "snp.date", name, ark, walk->input->now);
}

/* See snp_chain.h. An ASK of an operator's ARK needs no anchor when he gave none of its role. */
static bool ca_is_trusted(const struct walk *walk)
{
    const struct anchors *anchors = walk->input->anchors;
    if (anchors_trusted(anchors, walk->ca_role, walk->ca))
        return true;
    return walk->ark && !anchors_trusted(NULL, walk->ark_role, walk->ark) &&
           anchors_trusted(anchors, walk->ark_role, walk->ark) &&
           !anchors_get(anchors, walk->ca_role);
}

static void check_ca(struct walk *walk)
{
    if (walk->ark && !x509_issued_by(walk->ca, walk->ark, X509_RSA_PSS_SHA384))
        check_fail(walk->verdict, "snp.chain", "RSASSA-PSS SHA-384 by the ARK",
            "%s is not issued by the ARK", walk->ca_name);
    else if (!ca_is_trusted(walk))
        check_fail(walk->verdict, "snp.chain",
            "AMD's key of that name (a newer one: put its certificate among the roots)",
            "%s with another key", walk->ca_name);
    else if (x509_denies_ca(walk->ca))
        check_fail(walk->verdict, "snp.chain", "a CA certificate", "%s is none", walk->ca_name);
    x509_check_dates(walk->verdict, "snp.date", walk->ca_name, walk->ca, walk->input->now);
    if (!x509_issued_by(walk->chain->vek, walk->ca, X509_RSA_PSS_SHA384))
        check_fail(walk->verdict, "snp.chain", "RSASSA-PSS SHA-384 by its issuer",
            "the %s is not issued by %s", walk->chain->is_vlek ? "VLEK" : "VCEK", walk->ca_name);
}

/* The ARK's list of revoked CAs. (VEKs all have serial number 0: AMD revokes them by TCB.) */
static bool check_crl(struct walk *walk, struct err *err)
{
    auto_x509_crl *crl = NULL;
    struct bytes body;
    char name[COLLATERAL_NAME_MAX], text[CLOCK_TEXT_SIZE];
    int64_t date = 0;
    snprintf(name, sizeof name, "amd/crl/%s", amd_generation_name(walk->report->generation));
    if (!walk->ark || !walk->ca || !collateral_get(walk->input->collateral, name, &body, NULL))
        return true;
    if (!x509_crl_load(body, name, &crl, err))
        return check_error(walk->verdict, "snp.crl", "AMD's CRL", err);
    if (!x509_crl_issued_by(crl, walk->ark, X509_RSA_PSS_SHA384)) {
        check_fail(walk->verdict, "snp.crl", "a CRL of the ARK", "%s is not signed by it", name);
        return true;
    }
    enum x509_dates dates = x509_crl_dates(crl, walk->input->now, &date);
    clock_rfc3339(date, text);
    if (dates == X509_NOT_YET || (dates == X509_EXPIRED && !walk->input->collateral_expired_ok))
        check_fail(walk->verdict, "snp.crl", "a current CRL", "%s %s %s", name,
            dates == X509_NOT_YET ? "is not valid before" : "expired at", text);
    if (x509_crl_lists(crl, walk->ca) || x509_crl_lists(crl, walk->ark))
        check_fail(walk->verdict, "snp.crl", "certificates that are not revoked",
            "%s or its ARK is revoked", walk->ca_name);
    return true;
}

bool snp_chain_check(const struct snp_report *report, const struct verify_input *input,
    const struct snp_chain *chain, struct verdict *verdict, struct err *err)
{
    const int generation = (int)report->generation;
    AUTO_DONE(walk_done)
    struct walk walk = {
        .report = report,
        .input = input,
        .chain = chain,
        .verdict = verdict,
        .ca_role =
            (enum anchor_role)((chain->is_vlek ? ANCHOR_AMD_ASVK : ANCHOR_AMD_ASK) + generation),
        .ark_role = (enum anchor_role)(ANCHOR_AMD_ARK + generation),
    };
    walk.ca_name = anchor_name(walk.ca_role);
    if (!find_cas(&walk, err))
        return false;
    for (size_t i = 0; i < chain->arks.count; i++)
        check_ark(&walk, chain->arks.certs[i]);
    if (walk.ark && chain->arks.count == 0)
        check_ark(&walk, walk.ark);
    if (walk.ca)
        check_ca(&walk);
    x509_check_dates(verdict, "snp.date", chain->is_vlek ? "VLEK" : "VCEK", chain->vek, input->now);
    return check_crl(&walk, err);
}
