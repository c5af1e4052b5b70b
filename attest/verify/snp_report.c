/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/snp_report.h"

#include <stdio.h>

#include "attest/verify/check.h"
#include "crypt/base/b64.h"

/* Offsets of what is looked at (verifiers.md 1). */
enum {
    AT_VERSION = 0x000,
    AT_POLICY = 0x008,
    AT_VMPL = 0x030,
    AT_SIG_ALGO = 0x034,
    AT_PLATFORM_INFO = 0x040,
    AT_KEY_INFO = 0x048,
    AT_REPORT_DATA = 0x050,
    AT_MEASUREMENT = 0x090,
    AT_HOST_DATA = 0x0c0,
    AT_REPORTED_TCB = 0x180,
    AT_CPUID = 0x188,
    AT_CHIP_ID = 0x1a0,
    AT_R = 0x2a0,
    AT_S = 0x2e8,
};

static const char shape[] =
    "the members of an SNP attestation report (sev crate), whole numbers in range";

/* -- bytes ---------------------------------------------------------------------------------------- */

static struct bytes field(const struct snp_report *report, size_t offset, size_t len)
{
    return bytes_of(report->raw + offset, len);
}

struct bytes snp_report_data(const struct snp_report *report)
{
    return field(report, AT_REPORT_DATA, 64);
}

struct bytes snp_report_measurement(const struct snp_report *report)
{
    return field(report, AT_MEASUREMENT, 48);
}

struct bytes snp_report_host_data(const struct snp_report *report)
{
    return field(report, AT_HOST_DATA, 32);
}

struct bytes snp_report_chip_id(const struct snp_report *report)
{
    return field(report, AT_CHIP_ID, SNP_CHIP_ID_SIZE);
}

struct bytes snp_report_r(const struct snp_report *report)
{
    return field(report, AT_R, SNP_NUMBER_SIZE);
}

struct bytes snp_report_s(const struct snp_report *report)
{
    return field(report, AT_S, SNP_NUMBER_SIZE);
}

bool snp_report_is_masked(const struct snp_report *report)
{
    static const uint8_t zero[SNP_CHIP_ID_SIZE];
    return bytes_equal(snp_report_chip_id(report), bytes_of(zero, sizeof zero));
}

unsigned snp_report_signing_key(const struct snp_report *report)
{
    return report->key_info >> 2 & 7;
}

void snp_report_hwid(const struct snp_report *report, char out[2 * SNP_CHIP_ID_SIZE + 1])
{
    size_t len = report->generation == AMD_TURIN ? SNP_TURIN_ID_SIZE : SNP_CHIP_ID_SIZE;
    hex_encode(bytes_slice(snp_report_chip_id(report), 0, len), out);
}

void snp_report_tcb_name(const struct snp_report *report, char out[SNP_TCB_NAME_SIZE])
{
    const struct snp_tcb *tcb = &report->reported_tcb;
    int len = snprintf(out, SNP_TCB_NAME_SIZE, "bl%02u_tee%02u_snp%02u_ucode%02u", tcb->bootloader,
        tcb->tee, tcb->snp, tcb->microcode);
    if (report->generation == AMD_TURIN)
        snprintf(out + len, SNP_TCB_NAME_SIZE - (size_t)len, "_fmc%02u", tcb->fmc);
}

static uint64_t number(const uint8_t *at, size_t width)
{
    uint64_t value = 0;
    for (size_t i = width; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

/* Genoa's other models are Bergamo and Siena, which share its certificates. */
static bool find_generation(uint8_t family, uint8_t model, enum amd_generation *ret_generation)
{
    static const struct {
        uint8_t family, first, last;
        enum amd_generation generation;
    } models[] = {
        {0x19, 0x00, 0x0f, AMD_MILAN},
        {0x19, 0x10, 0x1f, AMD_GENOA},
        {0x19, 0xa0, 0xaf, AMD_GENOA},
        {0x1a, 0x00, 0x11, AMD_TURIN},
    };
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        if (family == models[i].family && model >= models[i].first && model <= models[i].last) {
            *ret_generation = models[i].generation;
            return true;
        }
    return false;
}

/* Where each part stands in the eight bytes of a TCB version. */
static const struct tcb_layout {
    bool has_fmc;
    uint8_t fmc, bootloader, tee, snp, microcode;
} tcb_layouts[AMD_GENERATION_COUNT] = {
    [AMD_MILAN] = {false, 0, 0, 1, 6, 7},
    [AMD_GENOA] = {false, 0, 0, 1, 6, 7},
    [AMD_TURIN] = {true, 0, 1, 2, 3, 7},
};

static struct snp_tcb read_tcb(const uint8_t *at, enum amd_generation generation)
{
    const struct tcb_layout *layout = &tcb_layouts[generation];
    return (struct snp_tcb){
        .fmc = layout->has_fmc ? at[layout->fmc] : 0,
        .bootloader = at[layout->bootloader],
        .tee = at[layout->tee],
        .snp = at[layout->snp],
        .microcode = at[layout->microcode],
    };
}

static void read_fields(struct snp_report *report)
{
    const uint8_t *raw = report->raw;
    report->version = (uint32_t)number(raw + AT_VERSION, 4);
    report->vmpl = (uint32_t)number(raw + AT_VMPL, 4);
    report->sig_algo = (uint32_t)number(raw + AT_SIG_ALGO, 4);
    report->key_info = (uint32_t)number(raw + AT_KEY_INFO, 4);
    report->policy = number(raw + AT_POLICY, 8);
    report->platform_info = number(raw + AT_PLATFORM_INFO, 8);
    report->cpu_family = raw[AT_CPUID];
    report->cpu_model = raw[AT_CPUID + 1];
    report->cpu_stepping = raw[AT_CPUID + 2];
    report->known = find_generation(report->cpu_family, report->cpu_model, &report->generation);
    if (report->known)
        report->reported_tcb = read_tcb(raw + AT_REPORTED_TCB, report->generation);
}

bool snp_report_parse(struct bytes raw, struct snp_report *ret_report, struct verdict *verdict)
{
    if (raw.len != SNP_REPORT_SIZE)
        return check_fail(
            verdict, "snp.report", "an SNP report of 1184 bytes", "%zu bytes", raw.len);
    *ret_report = (struct snp_report){0};
    memcpy(ret_report->raw, raw.data, raw.len);
    read_fields(ret_report);
    return true;
}

/* -- JSON ------------------------------------------------------------------------------------------ */

enum kind { NUMBER, ARRAY, TCB, FIRMWARE };

static const struct member {
    const char *name;
    enum kind kind;
    size_t offset;
    size_t size;   /* bytes in the report */
    bool optional; /* null or absent: zero */
} members[] = {
    {"version", NUMBER, AT_VERSION, 4},
    {"guest_svn", NUMBER, 0x004, 4},
    {"policy", NUMBER, AT_POLICY, 8},
    {"family_id", ARRAY, 0x010, 16},
    {"image_id", ARRAY, 0x020, 16},
    {"vmpl", NUMBER, AT_VMPL, 4},
    {"sig_algo", NUMBER, AT_SIG_ALGO, 4},
    {"current_tcb", TCB, 0x038, 8},
    {"plat_info", NUMBER, AT_PLATFORM_INFO, 8},
    {"key_info", NUMBER, AT_KEY_INFO, 4},
    {"report_data", ARRAY, AT_REPORT_DATA, 64},
    {"measurement", ARRAY, AT_MEASUREMENT, 48},
    {"host_data", ARRAY, AT_HOST_DATA, 32},
    {"id_key_digest", ARRAY, 0x0e0, 48},
    {"author_key_digest", ARRAY, 0x110, 48},
    {"report_id", ARRAY, 0x140, 32},
    {"report_id_ma", ARRAY, 0x160, 32},
    {"reported_tcb", TCB, AT_REPORTED_TCB, 8},
    {"cpuid_fam_id", NUMBER, AT_CPUID, 1, true},
    {"cpuid_mod_id", NUMBER, AT_CPUID + 1, 1, true},
    {"cpuid_step", NUMBER, AT_CPUID + 2, 1, true},
    {"chip_id", ARRAY, AT_CHIP_ID, SNP_CHIP_ID_SIZE},
    {"committed_tcb", TCB, 0x1e0, 8},
    {"current", FIRMWARE, 0x1e8, 3},
    {"committed", FIRMWARE, 0x1ec, 3},
    {"launch_tcb", TCB, 0x1f0, 8},
    {"launch_mit_vector", NUMBER, 0x1f8, 8, true},
    {"current_mit_vector", NUMBER, 0x200, 8, true},
};

/* Members of "signature". */
static const struct member signature_members[] = {
    {"r", ARRAY, AT_R, SNP_NUMBER_SIZE},
    {"s", ARRAY, AT_S, SNP_NUMBER_SIZE},
};

static bool put_number(const json_t *value, size_t width, uint8_t *out)
{
    json_int_t whole = json_integer_value(value);
    if (!json_is_integer(value) || whole < 0 || (width < 8 && whole >> (8 * width) != 0))
        return false;
    for (size_t i = 0; i < width; i++)
        out[i] = (uint8_t)((uint64_t)whole >> 8 * i);
    return true;
}

static bool put_array(const json_t *value, size_t len, uint8_t *out)
{
    if (!json_is_array(value) || json_array_size(value) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!put_number(json_array_get(value, i), 1, &out[i]))
            return false;
    return true;
}

static bool put_firmware(const json_t *value, uint8_t *out)
{
    return put_number(json_object_get(value, "build"), 1, &out[0]) &&
           put_number(json_object_get(value, "minor"), 1, &out[1]) &&
           put_number(json_object_get(value, "major"), 1, &out[2]);
}

/* Where the parts go depends on the generation; `layout` NULL: it is not known yet, only look. */
static bool put_tcb(const json_t *value, const struct tcb_layout *layout, uint8_t *out)
{
    uint8_t fmc = 0, parts[4];
    static const char *const names[] = {"bootloader", "tee", "snp", "microcode"};
    const json_t *fmc_value = json_object_get(value, "fmc");
    if (fmc_value && !json_is_null(fmc_value) && !put_number(fmc_value, 1, &fmc))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!put_number(json_object_get(value, names[i]), 1, &parts[i]))
            return false;
    if (!layout)
        return true;
    if (layout->has_fmc)
        out[layout->fmc] = fmc;
    out[layout->bootloader] = parts[0];
    out[layout->tee] = parts[1];
    out[layout->snp] = parts[2];
    out[layout->microcode] = parts[3];
    return true;
}

static bool put_member(const json_t *object, const struct member *member,
    const struct tcb_layout *layout, uint8_t *raw)
{
    const json_t *value = json_object_get(object, member->name);
    uint8_t *out = raw + member->offset;
    if (member->optional && (!value || json_is_null(value)))
        return true;
    switch (member->kind) {
    case NUMBER:
        return put_number(value, member->size, out);
    case ARRAY:
        return put_array(value, member->size, out);
    case TCB:
        return put_tcb(value, layout, out);
    case FIRMWARE:
        return put_firmware(value, out);
    }
    return false;
}

static bool put_members(const json_t *object, const struct member *list, size_t count, uint8_t *raw,
    struct verdict *verdict)
{
    bool done = true;
    for (size_t i = 0; i < count; i++) {
        if (put_member(object, &list[i], NULL, raw))
            continue;
        bool there = json_object_get(object, list[i].name) != NULL;
        done = check_fail(verdict, "snp.report", shape, "member \"%s\" is %s", list[i].name,
            there ? "of another type, length or range" : "missing");
    }
    return done;
}

bool snp_report_from_json(
    const json_t *json, struct snp_report *ret_report, struct verdict *verdict)
{
    struct snp_report report = {0};
    bool done = put_members(json, members, ARRAY_LEN(members), report.raw, verdict);
    const json_t *signature = json_object_get(json, "signature");
    done = put_members(
               signature, signature_members, ARRAY_LEN(signature_members), report.raw, verdict) &&
           done;
    if (!done)
        return false;
    read_fields(&report);
    const struct tcb_layout *layout = &tcb_layouts[report.known ? report.generation : AMD_MILAN];
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (members[i].kind == TCB && !put_member(json, &members[i], layout, report.raw))
            return false;
    read_fields(&report);
    *ret_report = report;
    return true;
}
