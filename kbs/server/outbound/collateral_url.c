/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/outbound/collateral_url.h"

#include <stdio.h>

#include "attest/verify/anchors.h"

#define HWID_MAX 128

static const char *after(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(name, prefix, len) == 0 ? name + len : NULL;
}

static bool is_generation(const char *text, size_t len)
{
    for (int i = 0; i < AMD_GENERATION_COUNT; i++) {
        const char *known = amd_generation_name((enum amd_generation)i);
        if (strlen(known) == len && strncmp(known, text, len) == 0)
            return true;
    }
    return false;
}

static bool all_of(const char *text, size_t len, const char *letters)
{
    return len > 0 && strspn(text, letters) >= len;
}

/* "Milan/<hwid>/bl09_tee02_snp23_ucode219[_fmc01]". */
static bool vcek_path(const char *rest, char out[COLLATERAL_URL_PATH_MAX])
{
    const char *hwid = strchr(rest, '/'), *tcb = hwid ? strchr(hwid + 1, '/') : NULL;
    unsigned bootloader, tee, snp, microcode, fmc;
    int end = 0, fmc_end = 0;
    if (!tcb || !is_generation(rest, (size_t)(hwid - rest)))
        return false;
    size_t hwid_len = (size_t)(tcb - hwid - 1);
    if (hwid_len > HWID_MAX || !all_of(hwid + 1, hwid_len, "0123456789abcdef"))
        return false;
    if (sscanf(tcb, "/bl%3u_tee%3u_snp%3u_ucode%3u%n_fmc%3u%n", &bootloader, &tee, &snp, &microcode,
            &end, &fmc, &fmc_end) < 4)
        return false;
    bool has_fmc = fmc_end > 0;
    if (tcb[has_fmc ? fmc_end : end] != '\0')
        return false;
    int len = snprintf(out, COLLATERAL_URL_PATH_MAX,
        "/vcek/v1/%.*s/%.*s?blSPL=%02u&teeSPL=%02u&snpSPL=%02u&ucodeSPL=%02u", (int)(hwid - rest),
        rest, (int)hwid_len, hwid + 1, bootloader, tee, snp, microcode);
    if (has_fmc)
        snprintf(out + len, COLLATERAL_URL_PATH_MAX - (size_t)len, "&fmcSPL=%02u", fmc);
    return true;
}

static bool amd_path(const char *name, char out[COLLATERAL_URL_PATH_MAX])
{
    static const struct {
        const char *prefix, *before, *behind;
    } kinds[] = {{"amd/chain/", "/vcek/v1/", "/cert_chain"},
        {"amd/vlek-chain/", "/vlek/v1/", "/cert_chain"}, {"amd/crl/", "/vcek/v1/", "/crl"}};
    const char *rest = after(name, "amd/vcek/");
    if (rest)
        return vcek_path(rest, out);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        rest = after(name, kinds[i].prefix);
        if (!rest)
            continue;
        snprintf(out, COLLATERAL_URL_PATH_MAX, "%s%s%s", kinds[i].before, rest, kinds[i].behind);
        return is_generation(rest, strlen(rest));
    }
    return false;
}

static bool intel_path(
    const char *name, bool early, bool own_root_crl, struct collateral_url *ret_url)
{
    const char *update = early ? "early" : "standard";
    const char *fmspc = after(name, "intel/tcb/"), *ca = after(name, "intel/pck-crl/");
    char *path = ret_url->path;
    if (fmspc) {
        ret_url->chain = COURIER_TCB_INFO_CHAIN;
        snprintf(path, COLLATERAL_URL_PATH_MAX, "/tdx/certification/v4/tcb?fmspc=%s&update=%s",
            fmspc, update);
        return strlen(fmspc) == 12 && all_of(fmspc, 12, "0123456789ABCDEF");
    }
    if (strcmp(name, "intel/qe-identity") == 0) {
        ret_url->chain = COURIER_QE_IDENTITY_CHAIN;
        snprintf(
            path, COLLATERAL_URL_PATH_MAX, "/tdx/certification/v4/qe/identity?update=%s", update);
        return true;
    }
    if (ca) {
        ret_url->chain = COURIER_PCK_CRL_CHAIN;
        snprintf(
            path, COLLATERAL_URL_PATH_MAX, "/sgx/certification/v4/pckcrl?ca=%s&encoding=der", ca);
        return strcmp(ca, "platform") == 0 || strcmp(ca, "processor") == 0;
    }
    if (own_root_crl)
        ret_url->target = COLLATERAL_CRL_TARGET;
    snprintf(
        path, COLLATERAL_URL_PATH_MAX, "%s", own_root_crl ? "" : "/sgx/certification/v4/rootcacrl");
    return strcmp(name, "intel/root-crl") == 0;
}

bool collateral_url(const char *name, bool early, bool own_root_crl, struct collateral_url *ret_url)
{
    struct collateral_url url = {.target = COLLATERAL_AMD_TARGET, .chain = COURIER_HEADER_COUNT};
    bool known = after(name, "amd/") && amd_path(name, url.path);
    if (!known && after(name, "intel/")) {
        url.target = COLLATERAL_INTEL_TARGET;
        known = intel_path(name, early, own_root_crl, &url);
    }
    if (known)
        *ret_url = url;
    return known;
}
