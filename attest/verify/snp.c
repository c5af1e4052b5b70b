/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/snp.h"

#include <stdio.h>

#include "attest/verify/check.h"
#include "attest/verify/ecdsa_raw.h"
#include "attest/verify/snp_chain.h"
#include "crypt/base/b64.h"

#define VERSION_MIN     3 /* from here on a report tells the CPU, and so whose root it needs */
#define VERSION_MAX     5
#define SIG_ALGO_P384   1
#define KEY_INFO_MASKED 0x2u
#define P384_SIZE       48

#define POLICY_SMT           (1ull << 16)
#define POLICY_MIGRATE_MA    (1ull << 18)
#define POLICY_DEBUG         (1ull << 19)
#define POLICY_SINGLE_SOCKET (1ull << 20)
#define PLATFORM_SMT         (1ull << 0)
#define PLATFORM_TSME        (1ull << 1)

/* -- the report ------------------------------------------------------------------------------------- */

static void check_values(const struct snp_report *report, struct verdict *verdict)
{
    if (report->version < VERSION_MIN || report->version > VERSION_MAX)
        check_fail(verdict, "snp.version", "a report of version 3 to 5", "%u", report->version);
    if (!report->known)
        check_fail(verdict, "snp.cpu", "Milan, Genoa (Bergamo, Siena) or Turin",
            "CPUID family %02x, model %02x, stepping %02x", report->cpu_family, report->cpu_model,
            report->cpu_stepping);
    if (report->vmpl != 0)
        check_fail(verdict, "snp.vmpl", "0", "%u", report->vmpl);
    if (report->sig_algo != SIG_ALGO_P384)
        check_fail(verdict, "snp.signature-algorithm", "1 (ECDSA P-384 with SHA-384)", "%u",
            report->sig_algo);
}

static void check_key_info(const struct snp_report *report, bool is_vlek, struct verdict *verdict)
{
    unsigned key = snp_report_signing_key(report);
    if (report->key_info & KEY_INFO_MASKED)
        verdict_fail(verdict, "snp.key-info", "the host masks the chip's key: nothing is signed",
            "MASK_CHIP_KEY off");
    if (key != (is_vlek ? SNP_SIGNED_BY_VLEK : SNP_SIGNED_BY_VCEK))
        check_fail(verdict, "snp.key-info",
            is_vlek ? "1 (VLEK), as its certificate" : "0 (VCEK), as its certificate",
            "signing key %u", key);
}

static bool is_zero(struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.data[i] != 0)
            return false;
    return true;
}

static bool check_signature(
    const struct snp_report *report, X509 *vek, struct verdict *verdict, struct err *err)
{
    struct bytes r = snp_report_r(report), s = snp_report_s(report);
    EVP_PKEY *key = X509_get0_pubkey(vek);
    bool good = false;
    if (!is_zero(bytes_slice(r, P384_SIZE, r.len)) || !is_zero(bytes_slice(s, P384_SIZE, s.len))) {
        verdict_fail(verdict, "snp.signature", "r or s of more than 48 bytes", "numbers of P-384");
        return true;
    }
    if (!ecdsa_key_is(key, ECDSA_P384)) {
        verdict_fail(verdict, "snp.signature", "a certificate of another kind of key", "EC P-384");
        return true;
    }
    if (!ecdsa_raw_verify(key, ECDSA_P384, bytes_of(report->raw, SNP_SIGNED_SIZE), r, s,
            ECDSA_LITTLE_ENDIAN, &good, err))
        return false;
    if (!good)
        verdict_fail(verdict, "snp.signature", "does not verify",
            "ECDSA P-384 with SHA-384 of the report by its certificate's key");
    return true;
}

/* -- what the certificate says of chip and TCB ---------------------------------------------------------- */

#define OID_AMD "1.3.6.1.4.1.3704.1."

/* Exactly the DER of a small INTEGER. */
static bool is_integer(struct bytes value, uint8_t wanted)
{
    const uint8_t one[] = {0x02, 0x01, wanted}, two[] = {0x02, 0x02, 0x00, wanted};
    return wanted < 0x80 ? bytes_equal(value, bytes_of(one, sizeof one))
                         : bytes_equal(value, bytes_of(two, sizeof two));
}

static void check_tcb_part(
    X509 *vek, const char *oid, const char *name, uint8_t reported, struct verdict *verdict)
{
    char got[2 * 16 + 1] = "", expected[64];
    struct bytes value = BYTES_EMPTY;
    bool there = x509_extension(vek, oid, &value);
    if (there && is_integer(value, reported))
        return;
    hex_encode(bytes_slice(value, 0, 16), got);
    snprintf(expected, sizeof expected, "%u, the reported TCB's %s", reported, name);
    check_fail(verdict, "snp.tcb", expected, "%s in the certificate: %s%s", name,
        there ? "DER " : "none", got);
}

static void check_tcb(const struct snp_report *report, X509 *vek, struct verdict *verdict)
{
    const struct snp_tcb *tcb = &report->reported_tcb;
    check_tcb_part(vek, OID_AMD "3.1", "bootloader", tcb->bootloader, verdict);
    check_tcb_part(vek, OID_AMD "3.2", "tee", tcb->tee, verdict);
    check_tcb_part(vek, OID_AMD "3.3", "snp", tcb->snp, verdict);
    check_tcb_part(vek, OID_AMD "3.8", "microcode", tcb->microcode, verdict);
    if (report->generation == AMD_TURIN)
        check_tcb_part(vek, OID_AMD "3.9", "fmc", tcb->fmc, verdict);
}

/* Bare, or as an OCTET STRING in newer certificates. */
static struct bytes unwrap_octets(struct bytes value)
{
    bool wrapped = (value.len == 2 + SNP_CHIP_ID_SIZE || value.len == 2 + SNP_TURIN_ID_SIZE) &&
                   value.data[0] == 0x04 && value.data[1] == value.len - 2;
    return wrapped ? bytes_slice(value, 2, value.len) : value;
}

/* A VCEK names its chip, unless the host masks the report's side of it. A VLEK belongs to a cloud. */
static void check_chip(const struct snp_report *report, X509 *vek, struct verdict *verdict)
{
    struct bytes chip = snp_report_chip_id(report), value = BYTES_EMPTY;
    if (snp_report_is_masked(report))
        return;
    if (!x509_extension(vek, OID_AMD "4", &value)) {
        verdict_fail(verdict, "snp.chip-id", "no hwID in the certificate", "the report's CHIP_ID");
        return;
    }
    struct bytes id = unwrap_octets(value);
    bool is_short = report->generation == AMD_TURIN && id.len == SNP_TURIN_ID_SIZE &&
                    is_zero(bytes_slice(chip, SNP_TURIN_ID_SIZE, chip.len));
    if (is_short)
        chip = bytes_slice(chip, 0, SNP_TURIN_ID_SIZE);
    if (!bytes_equal(id, chip))
        check_fail_hex(verdict, "snp.chip-id", id, chip);
}

/* -- both forms of evidence -------------------------------------------------------------------------------- */

/* The report is signed by the chip's key, and that key is AMD's. */
static bool check_origin(const struct snp_report *report, const struct snp_chain *chain,
    const struct verify_input *input, struct verdict *verdict, struct err *err)
{
    check_key_info(report, chain->is_vlek, verdict);
    if (!check_signature(report, chain->vek, verdict, err))
        return false;
    if (!report->known)
        return true;
    check_tcb(report, chain->vek, verdict);
    if (!chain->is_vlek)
        check_chip(report, chain->vek, verdict);
    return snp_chain_check(report, input, chain, verdict, err);
}

bool snp_verify_raw(struct bytes raw, struct bytes vcek, const struct verify_input *input,
    struct verdict *verdict, struct snp_report *ret_report, struct err *err)
{
    auto_snp_chain chain = {0};
    *ret_report = (struct snp_report){0};
    bool readable = snp_report_parse(raw, ret_report, verdict);
    if (readable)
        check_values(ret_report, verdict);
    if (!x509_load(vcek, "VCEK", &chain.vek, err))
        return check_error(verdict, "snp.cert-chain", "a certificate in DER or PEM", err);
    return !readable || check_origin(ret_report, &chain, input, verdict, err);
}

struct snp_facts snp_facts(const struct snp_report *report)
{
    uint64_t policy = report->policy, platform = report->platform_info;
    return (struct snp_facts){
        .abi_major = policy >> 8 & 0xff,
        .abi_minor = policy & 0xff,
        .smt_allowed = policy & POLICY_SMT,
        .migrate_ma = policy & POLICY_MIGRATE_MA,
        .debug_allowed = policy & POLICY_DEBUG,
        .single_socket = policy & POLICY_SINGLE_SOCKET,
        .smt_enabled = platform & PLATFORM_SMT,
        .tsme_enabled = platform & PLATFORM_TSME,
        .reported_tcb = report->reported_tcb,
    };
}

/* -- CoCo's snp ------------------------------------------------------------------------------------------------ */

static void check_binding(
    const struct verify_input *input, const struct snp_report *report, struct verdict *verdict)
{
    if (!input->unbound && input->report_data.len == 0)
        verdict_fail(
            verdict, "snp.report-data", "nothing to compare it with", "expected report data");
    else if (!input->unbound)
        check_padded(verdict, "snp.report-data", snp_report_data(report), input->report_data);
    if (input->init_data.len > 0)
        check_padded(verdict, "snp.init-data", snp_report_host_data(report), input->init_data);
}

static bool make_claims(const struct snp_report *report, struct verdict *verdict, struct err *err)
{
    const struct snp_facts facts = snp_facts(report);
    const struct snp_tcb *tcb = &facts.reported_tcb;
    char measurement[2 * 48 + 1], report_data[2 * 64 + 1], host_data[2 * 32 + 1],
        chip_id[2 * SNP_CHIP_ID_SIZE + 1];
    hex_encode(snp_report_measurement(report), measurement);
    hex_encode(snp_report_data(report), report_data);
    hex_encode(snp_report_host_data(report), host_data);
    hex_encode(snp_report_chip_id(report), chip_id);
    verdict->class_name = "cpu";
    return json_build(&verdict->claims, err,
        "{s:i, s:i, s:b, s:b, s:b, s:b, s:i, s:i, s:i, s:i, s:b, s:b, s:s, s:s, s:s, s:s}",
        "policy_abi_major", (int)facts.abi_major, "policy_abi_minor", (int)facts.abi_minor,
        "policy_smt_allowed", facts.smt_allowed, "policy_migrate_ma", facts.migrate_ma,
        "policy_debug_allowed", facts.debug_allowed, "policy_single_socket", facts.single_socket,
        "reported_tcb_bootloader", tcb->bootloader, "reported_tcb_tee", tcb->tee,
        "reported_tcb_snp", tcb->snp, "reported_tcb_microcode", tcb->microcode,
        "platform_tsme_enabled", facts.tsme_enabled, "platform_smt_enabled", facts.smt_enabled,
        "measurement", measurement, "report_data", report_data, "init_data", host_data, "chip_id",
        chip_id);
}

/* The VEK, from the evidence or from what AMD publishes; *ret_usable: there is one to check with. */
static bool find_vek(const struct verify_input *input, const struct snp_report *report,
    struct snp_chain *chain, bool *ret_usable, struct verdict *verdict, struct err *err)
{
    bool given = false;
    if (!snp_chain_read(json_object_get(input->evidence, "cert_chain"), chain, &given, ret_usable,
            verdict, err))
        return false;
    if (given || !report->known) {
        *ret_usable = *ret_usable && chain->vek;
        return true;
    }
    return snp_chain_find_vcek(report, input, chain, ret_usable, verdict, err);
}

static bool snp_verify(const struct verify_input *input, struct verdict *verdict, struct err *err)
{
    static const char shape[] = "{\"attestation_report\":{…},\"cert_chain\":[…]}";
    auto_snp_chain chain = {0};
    struct snp_report report = {0};
    bool usable = false;
    const json_t *json = json_object_get(input->evidence, "attestation_report");
    if (!json_is_object(json)) {
        verdict_fail(verdict, "snp.evidence", "no object \"attestation_report\"", shape);
        return true;
    }
    bool readable = snp_report_from_json(json, &report, verdict);
    if (readable)
        check_values(&report, verdict);
    if (!find_vek(input, &report, &chain, &usable, verdict, err))
        return false;
    if (!readable)
        return true;
    check_binding(input, &report, verdict);
    if (usable && !check_origin(&report, &chain, input, verdict, err))
        return false;
    return verdict->reason_count > 0 || verdict->need_count > 0 ||
           make_claims(&report, verdict, err);
}

const struct verifier verifier_snp = {.tee = "snp", .verify = snp_verify};
