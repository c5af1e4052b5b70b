/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/tdx_tcb.h"

#include <stdio.h>
#include <strings.h>

#include "attest/verify/check.h"
#include "crypt/base/b64.h"

#define WHAT               "TCB info"
#define IDENTITIES_MAX     64
#define SVN_COUNT          16
#define MODULE_SVN         0 /* of TEE_TCB_SVN: the module's minor and major version */
#define MODULE_VERSION     1
#define FIRST_PLATFORM_SVN 2 /* with a module identity, the first two are rated by it */
#define MRSIGNER_SIZE      48
#define ATTRIBUTES_SIZE    8

static const char expected_shape[] = "TCB info of TDX, version 3";

struct info {
    const char *id, *fmspc, *pceid;
    int64_t version, type;
    json_t *module, *identities, *levels;
};

static const struct json_field info_fields[] = {
    {"id", JSON_FIELD_TEXT, offsetof(struct info, id), .max = 64, .required = true},
    {"version", JSON_FIELD_INT, offsetof(struct info, version), .max = INT32_MAX, .required = true},
    {"fmspc", JSON_FIELD_TEXT, offsetof(struct info, fmspc), .max = 64, .required = true},
    {"pceId", JSON_FIELD_TEXT, offsetof(struct info, pceid), .max = 64, .required = true},
    {"tcbType", JSON_FIELD_INT, offsetof(struct info, type), .max = INT32_MAX},
    {"tdxModule", JSON_FIELD_OBJECT, offsetof(struct info, module), .required = true},
    {"tdxModuleIdentities", JSON_FIELD_ARRAY, offsetof(struct info, identities)},
    {"tcbLevels", JSON_FIELD_ARRAY, offsetof(struct info, levels), .required = true},
};

struct module {
    const char *id; /* NULL in tdxModule */
    const char *mrsigner, *attributes, *mask;
    json_t *levels; /* likewise */
};

static const struct json_field module_fields[] = {
    {"mrsigner", JSON_FIELD_TEXT, offsetof(struct module, mrsigner), .max = 128, .required = true},
    {"attributes", JSON_FIELD_TEXT, offsetof(struct module, attributes), .max = 64,
        .required = true},
    {"attributesMask", JSON_FIELD_TEXT, offsetof(struct module, mask), .max = 64, .required = true},
    {"id", JSON_FIELD_TEXT, offsetof(struct module, id), .max = 64},
    {"tcbLevels", JSON_FIELD_ARRAY, offsetof(struct module, levels)},
};

static bool read_info(const json_t *json, struct info *info, struct err *err)
{
    *info = (struct info){0};
    return json_decode(json, info_fields, ARRAY_LEN(info_fields), true, WHAT, info, err);
}

static bool read_module(const json_t *json, struct module *module, struct err *err)
{
    *module = (struct module){0};
    if (!json_is_object(json))
        return err_set(err, ERR_FORMAT, WHAT ": a module identity that is no object");
    return json_decode(
        json, module_fields, ARRAY_LEN(module_fields), true, WHAT ": TDX module", module, err);
}

static void check_hex(struct verdict *verdict, const char *check, const char *what,
    const char *published, struct bytes own)
{
    char text[2 * 16 + 1];
    hex_encode(own, text);
    if (strcasecmp(text, published) != 0)
        check_fail(verdict, check, text, "%s of the TCB info: %s", what, published);
}

/* -- the TDX module ------------------------------------------------------------------------------ */

/* The identity for this version of the module; version 0 has none: tdxModule speaks for it.
 * *ret_module without id: unknown. */
static bool find_identity(
    const struct info *info, uint8_t version, struct module *ret_module, struct err *err)
{
    char wanted[16];
    struct module found = {0};
    snprintf(wanted, sizeof wanted, "TDX_%02X", version);
    if (json_array_size(info->identities) > IDENTITIES_MAX)
        return err_set(err, ERR_FORMAT, WHAT ": more than %d module identities", IDENTITIES_MAX);
    for (size_t i = 0; i < json_array_size(info->identities); i++) {
        struct module module;
        if (!read_module(json_array_get(info->identities, i), &module, err))
            return false;
        if (!module.id || !module.levels)
            return err_set(err, ERR_FORMAT, WHAT ": a module identity without id or tcbLevels");
        if (!found.id && strcasecmp(module.id, wanted) == 0)
            found = module;
    }
    *ret_module = found;
    return true;
}

static bool check_signer(const struct module *module, const struct tdx_quote *quote,
    struct verdict *verdict, struct err *err)
{
    uint8_t signer[MRSIGNER_SIZE], attributes[ATTRIBUTES_SIZE], mask[ATTRIBUTES_SIZE];
    if (!hex_decode(
            bytes_str(module->mrsigner), WHAT ": module's mrsigner", signer, sizeof signer, err) ||
        !hex_decode(bytes_str(module->attributes), WHAT ": module's attributes", attributes,
            sizeof attributes, err) ||
        !hex_decode(
            bytes_str(module->mask), WHAT ": module's attributesMask", mask, sizeof mask, err))
        return false;
    struct bytes own_signer = tdx_quote_field(quote, TDX_MRSIGNER_SEAM);
    struct bytes own_attributes = tdx_quote_field(quote, TDX_SEAM_ATTRIBUTES);
    if (!bytes_equal(own_signer, bytes_of(signer, sizeof signer)))
        check_fail_hex(verdict, "tdx.module", own_signer, bytes_of(signer, sizeof signer));
    for (size_t i = 0; i < ATTRIBUTES_SIZE; i++)
        mask[i] &= own_attributes.data[i];
    if (memcmp(mask, attributes, sizeof mask) != 0)
        check_fail_hex(verdict, "tdx.module", bytes_of(mask, sizeof mask),
            bytes_of(attributes, sizeof attributes));
    return true;
}

static bool check_module(const struct info *info, const struct tdx_quote *quote,
    struct verdict *verdict, struct err *err)
{
    struct module module;
    uint8_t version = tdx_quote_field(quote, TDX_TCB_SVN).data[MODULE_VERSION];
    if (!read_module(info->module, &module, err))
        return false;
    if (version > 0 && !find_identity(info, version, &module, err))
        return false;
    if (version > 0 && !module.id) {
        check_fail(verdict, "tdx.module", "a module that the TCB info knows",
            "TDX module version %u: no identity TDX_%02X", version, version);
        return true;
    }
    return check_signer(&module, quote, verdict, err);
}

bool tdx_tcb_check(const json_t *json, const struct pck_extension *pck,
    const struct tdx_quote *quote, struct verdict *verdict, struct err *err)
{
    struct info info;
    if (!read_info(json, &info, err))
        return check_error(verdict, "tdx.tcb-info", expected_shape, err);
    if (strcmp(info.id, "TDX") != 0 || info.version != 3 || info.type != 0)
        check_fail(verdict, "tdx.tcb-info", "id TDX, version 3, tcbType 0",
            "id %s, version %lld, tcbType %lld", info.id, (long long)info.version,
            (long long)info.type);
    check_hex(verdict, "tdx.fmspc", "FMSPC", info.fmspc, bytes_of(pck->fmspc, sizeof pck->fmspc));
    check_hex(verdict, "tdx.pceid", "PCE-ID", info.pceid, bytes_of(pck->pceid, sizeof pck->pceid));
    return check_module(&info, quote, verdict, err) ||
           check_error(verdict, "tdx.tcb-info", expected_shape, err);
}

/* -- levels ---------------------------------------------------------------------------------------- */

struct tcb {
    json_t *sgx, *tdx;
    int64_t pcesvn;
};

static const struct json_field tcb_fields[] = {
    {"sgxtcbcomponents", JSON_FIELD_ARRAY, offsetof(struct tcb, sgx), .required = true},
    {"tdxtcbcomponents", JSON_FIELD_ARRAY, offsetof(struct tcb, tdx), .required = true},
    {"pcesvn", JSON_FIELD_INT, offsetof(struct tcb, pcesvn), .max = UINT16_MAX, .required = true},
};

struct component {
    int64_t svn;
};

static const struct json_field component_fields[] = {
    {"svn", JSON_FIELD_INT, offsetof(struct component, svn), .max = UINT8_MAX, .required = true},
};

/* Whether each of `own` (16) from index `first` on is at least the level's. */
static bool reaches(
    const json_t *components, const uint8_t *own, size_t first, bool *ret_reaches, struct err *err)
{
    bool all = true;
    if (json_array_size(components) != SVN_COUNT)
        return err_set(err, ERR_FORMAT, WHAT ": a level with %zu components, not %d",
            json_array_size(components), SVN_COUNT);
    for (size_t i = 0; i < SVN_COUNT; i++) {
        const json_t *json = json_array_get(components, i);
        struct component component;
        if (!json_is_object(json))
            return err_set(err, ERR_FORMAT, WHAT ": a component that is no object");
        if (!json_decode(json, component_fields, ARRAY_LEN(component_fields), true,
                WHAT ": component", &component, err))
            return false;
        if (i >= first && own[i] < component.svn)
            all = false;
    }
    *ret_reaches = all;
    return true;
}

/* The first level that fits; all are read, so that a malformed one is noticed whoever asks. */
static bool find_level(const struct info *info, const struct pck_extension *pck, struct bytes svn,
    struct tcb_level *ret_level, bool *ret_found, struct err *err)
{
    size_t first = svn.data[MODULE_VERSION] > 0 ? FIRST_PLATFORM_SVN : 0;
    bool found = false;
    if (json_array_size(info->levels) > TCB_LEVELS_MAX)
        return err_set(err, ERR_FORMAT, WHAT ": more than %d TCB levels", TCB_LEVELS_MAX);
    for (size_t i = 0; i < json_array_size(info->levels); i++) {
        struct tcb_level level;
        struct tcb tcb = {0};
        bool sgx = false, tdx = false;
        if (!tcb_level_read(json_array_get(info->levels, i), WHAT, &level, err) ||
            !json_decode(level.tcb, tcb_fields, ARRAY_LEN(tcb_fields), true, WHAT, &tcb, err) ||
            !reaches(tcb.sgx, pck->components, 0, &sgx, err) ||
            !reaches(tcb.tdx, svn.data, first, &tdx, err))
            return false;
        if (found || !sgx || !tdx || tcb.pcesvn > pck->pcesvn)
            continue;
        *ret_level = level;
        found = true;
    }
    *ret_found = found;
    return true;
}

static bool rate_module(const struct info *info, struct bytes svn, struct verdict *verdict,
    struct tcb_rating *rating, bool *ret_rated, struct err *err)
{
    struct module module;
    struct tcb_level level;
    bool found = false;
    uint8_t version = svn.data[MODULE_VERSION];
    if (version == 0) {
        *ret_rated = true;
        return true;
    }
    if (!find_identity(info, version, &module, err) ||
        (module.id && !tcb_level_of_svn(module.levels, svn.data[MODULE_SVN], WHAT ": TDX module",
                          &level, &found, err)))
        return false;
    if (!found) {
        check_fail(verdict, "tdx.module", "a module that the TCB info has a level for",
            "TDX module version %u, SVN %u", version, svn.data[MODULE_SVN]);
        return true;
    }
    *ret_rated = true;
    return tcb_rating_add(rating, &level, err);
}

static bool rate(const json_t *json, const struct pck_extension *pck, struct bytes svn,
    const struct tcb_level *qe, struct verdict *verdict, struct tcb_rating *rating, bool *ret_rated,
    struct err *err)
{
    struct info info;
    struct tcb_level platform;
    bool found = false;
    if (!read_info(json, &info, err) || !find_level(&info, pck, svn, &platform, &found, err))
        return false;
    if (!found) {
        char sgx[2 * SVN_COUNT + 1], tdx[2 * SVN_COUNT + 1];
        hex_encode(bytes_of(pck->components, SVN_COUNT), sgx);
        hex_encode(svn, tdx);
        check_fail(verdict, "tdx.tcb", "at least the lowest level of the TCB info",
            "TCB not supported: SGX components %s, PCESVN %u, TDX components %s", sgx, pck->pcesvn,
            tdx);
        return true;
    }
    return tcb_rating_start(rating, &platform, err) && tcb_rating_add(rating, qe, err) &&
           rate_module(&info, svn, verdict, rating, ret_rated, err);
}

bool tdx_tcb_rate(const json_t *json, const struct pck_extension *pck, struct bytes svn,
    const struct tcb_level *qe, struct verdict *verdict, struct tcb_rating *ret_rating,
    bool *ret_rated, struct err *err)
{
    *ret_rating = (struct tcb_rating){0};
    *ret_rated = false;
    if (svn.len != SVN_COUNT)
        return err_set(err, ERR_INTERNAL, "TDX module's SVN of %zu bytes", svn.len);
    return rate(json, pck, svn, qe, verdict, ret_rating, ret_rated, err) ||
           check_error(verdict, "tdx.tcb-info", expected_shape, err);
}
