/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV-SNP guests on Azure (CoCo's `az-snp-vtpm`): evidence of azure.h with "vcek", the chip's certificate (DER, or PEM in the form without
 * version). Besides what that proves, AMD's firmware signed a report whose report data begins with the hash of the runtime data, and so
 * with that of the vTPM's key. ASK and ARK come from the collateral amd/chain/ or the operator's anchors; there is no VLEK here.
 *
 * Claims are those of `snp` without the chip, all of them text, as Trustee makes them: numbers in decimal, "true" and "false", the
 * measurement in standard base64.
 */
#include <stdio.h>

#include "attest/verify/azure.h"
#include "attest/verify/snp.h"
#include "crypt/base/b64.h"

#define VCEK_MAX 16384

static const struct azure_kind kind = {
    .report_type = HCL_SNP,
    .part = "vcek",
    .part_max = VCEK_MAX,
    .part_is_text = true,
    .old_quote = "quote",
    .old_report = "report",
};

static bool put_number(json_t *claims, const char *name, unsigned value)
{
    char text[16];
    snprintf(text, sizeof text, "%u", value);
    return json_object_set_new(claims, name, json_string(text)) == 0;
}

static bool put_bool(json_t *claims, const char *name, bool value)
{
    return json_object_set_new(claims, name, json_string(value ? "true" : "false")) == 0;
}

static bool snp_claims(const struct snp_report *report, json_t *claims, struct err *err)
{
    struct snp_facts facts = snp_facts(report);
    auto_free char *measurement = b64_encode(B64_STD, snp_report_measurement(report));
    bool done = measurement && put_number(claims, "policy_abi_major", facts.abi_major) &&
                put_number(claims, "policy_abi_minor", facts.abi_minor) &&
                put_bool(claims, "policy_smt_allowed", facts.smt_allowed) &&
                put_bool(claims, "policy_migrate_ma", facts.migrate_ma) &&
                put_bool(claims, "policy_debug_allowed", facts.debug_allowed) &&
                put_bool(claims, "policy_single_socket", facts.single_socket) &&
                put_number(claims, "reported_tcb_bootloader", facts.reported_tcb.bootloader) &&
                put_number(claims, "reported_tcb_tee", facts.reported_tcb.tee) &&
                put_number(claims, "reported_tcb_snp", facts.reported_tcb.snp) &&
                put_number(claims, "reported_tcb_microcode", facts.reported_tcb.microcode) &&
                put_bool(claims, "platform_tsme_enabled", facts.tsme_enabled) &&
                put_bool(claims, "platform_smt_enabled", facts.smt_enabled) &&
                json_object_set_new(claims, "measurement", json_string(measurement)) == 0;
    return done || err_nomem(err);
}

static bool az_snp_verify(
    const struct verify_input *input, struct verdict *verdict, struct err *err)
{
    AUTO_DONE(azure_done) struct azure azure = {0};
    auto_json *claims = NULL;
    struct snp_report report;
    if (!azure_check(&azure, &kind, input, verdict, err))
        return false;
    if (azure.part.len == 0 || azure.hcl.hardware.len == 0)
        return true; /* said already */
    if (!snp_verify_raw(azure.hcl.hardware, buf_bytes(&azure.part), input, verdict, &report, err))
        return false;
    azure_check_binding(&azure, snp_report_data(&report));
    if (verdict->reason_count > 0 || verdict->need_count > 0)
        return true;
    claims = json_object();
    if (!claims)
        return err_nomem(err);
    if (!snp_claims(&report, claims, err) || !azure_claims(&azure, claims, err))
        return false;
    verdict->claims = take_ptr(claims);
    return true;
}

const struct verifier verifier_az_snp = {.tee = "az-snp-vtpm", .verify = az_snp_verify};
