/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/collateral_pcs.h"

#include <stdio.h>

#include "attest/verify/collateral_object.h"
#include "attest/verify/raw_json.h"
#include "attest/verify/x509_pem.h"
#include "crypt/base/b64.h"
#include "crypt/base/json.h"

#define WHAT       "PCS collateral file"
#define FMSPC_SIZE 6

struct reader {
    const json_t *root; /* the object `collaterals`, parsed, and its text */
    struct bytes text;
    enum collateral_pcs_update update;
    bool (*take)(
        void *context, const char *name, struct bytes body, struct bytes chain, struct err *err);
    void *context;
};

/* -- texts ------------------------------------------------------------------------------------------- */

/* The member as text; *ret_text stays empty when it is absent or null. */
static bool get_text(
    const json_t *object, const char *name, struct bytes *ret_text, struct err *err)
{
    const json_t *value = json_object_get(object, name);
    if (value && !json_is_null(value) && !json_is_string(value))
        return err_set(err, ERR_FORMAT, WHAT ": \"%s\" must be text", name);
    if (json_is_string(value))
        *ret_text = bytes_of(json_string_value(value), json_string_length(value));
    return true;
}

static bool get_object(
    const json_t *object, const char *name, const json_t **ret_object, struct err *err)
{
    const json_t *value = json_object_get(object, name);
    if (value && !json_is_null(value) && !json_is_object(value))
        return err_set(err, ERR_FORMAT, WHAT ": \"%s\" must be an object", name);
    *ret_object = json_is_object(value) ? value : NULL;
    return true;
}

static bool get_chain(
    const json_t *certificates, const char *name, struct buf *out, struct err *err)
{
    struct bytes text = BYTES_EMPTY;
    return get_text(certificates, name, &text, err) && collateral_unescape(text, name, out, err);
}

/* -- revocation lists ---------------------------------------------------------------------------------- */

static bool take_crl(const struct reader *reader, const json_t *object, const char *member,
    const char *name, struct bytes chain, struct err *err)
{
    auto_buf der = BUF_INIT(COLLATERAL_OBJECT_MAX);
    struct bytes text = BYTES_EMPTY;
    uint8_t *room;
    if (!get_text(object, member, &text, err))
        return false;
    if (text.len == 0)
        return true;
    if (pem_looks_so(text))
        return reader->take(reader->context, name, text, chain, err);
    size_t len = text.len / 2;
    if (!buf_reserve(&der, len, &room, err) || !hex_decode(text, member, room, len, err))
        return err_wrap(err, WHAT);
    buf_commit(&der, len);
    return reader->take(reader->context, name, buf_bytes(&der), chain, err);
}

static bool take_pck_crl(const struct reader *reader, const json_t *crls, const json_t *chains,
    bool platform, struct err *err)
{
    auto_buf chain = BUF_INIT(COLLATERAL_OBJECT_MAX);
    return get_chain(chains, platform ? "PLATFORM" : "PROCESSOR", &chain, err) &&
           take_crl(reader, crls, platform ? "platformCrl" : "processorCrl",
               platform ? "intel/pck-crl/platform" : "intel/pck-crl/processor", buf_bytes(&chain),
               err);
}

static bool take_crls(const struct reader *reader, const json_t *certificates, struct err *err)
{
    const json_t *crls = NULL, *chains = NULL;
    return get_object(reader->root, "pckcacrl", &crls, err) &&
           get_object(certificates, "SGX-PCK-Certificate-Issuer-Chain", &chains, err) &&
           take_pck_crl(reader, crls, chains, true, err) &&
           take_pck_crl(reader, crls, chains, false, err) &&
           take_crl(reader, reader->root, "rootcacrl", "intel/root-crl", BYTES_EMPTY, err);
}

/* -- signed documents ------------------------------------------------------------------------------------ */

/* The document as it was sent, from the object with this text; as text in a string, too, as some tools
 * keep it. *ret_there false: absent or null. */
static bool get_document(const json_t *object, struct bytes text, const char *name, struct buf *out,
    bool *ret_there, struct err *err)
{
    const json_t *value = json_object_get(object, name);
    struct bytes raw;
    *ret_there = json_is_object(value) || json_is_string(value);
    if (!value || json_is_null(value))
        return true;
    if (json_is_string(value))
        return buf_append(out, bytes_of(json_string_value(value), json_string_length(value)), err);
    if (!json_is_object(value) || !raw_json_member(text, name, &raw))
        return err_set(err, ERR_FORMAT, WHAT ": \"%s\" must be an object", name);
    return raw_json_compact(raw, out, err);
}

/* `early` where there is one and it is wanted, else `standard`. */
static bool take_document(const struct reader *reader, const json_t *object, struct bytes text,
    const char *early, const char *standard, const char *name, struct bytes chain, struct err *err)
{
    auto_buf body = BUF_INIT(COLLATERAL_OBJECT_MAX);
    bool there = false;
    if (reader->update == COLLATERAL_PCS_EARLY &&
        !get_document(object, text, early, &body, &there, err))
        return false;
    if (!there && !get_document(object, text, standard, &body, &there, err))
        return false;
    return !there || reader->take(reader->context, name, buf_bytes(&body), chain, err);
}

static bool take_tcb_info(const struct reader *reader, const json_t *entry, struct bytes text,
    struct bytes chain, struct err *err)
{
    char name[COLLATERAL_NAME_MAX];
    uint8_t fmspc[FMSPC_SIZE];
    struct bytes hex = BYTES_EMPTY;
    if (!json_is_object(entry))
        return err_set(err, ERR_FORMAT, WHAT ": an entry of \"tcbinfos\" that is no object");
    if (!get_text(entry, "fmspc", &hex, err) || !hex_decode(hex, "fmspc", fmspc, FMSPC_SIZE, err))
        return err_wrap(err, WHAT ": an entry of \"tcbinfos\"");
    snprintf(name, sizeof name, "intel/tcb/%02X%02X%02X%02X%02X%02X", fmspc[0], fmspc[1], fmspc[2],
        fmspc[3], fmspc[4], fmspc[5]);
    return take_document(reader, entry, text, "tdx_tcbinfo_early", "tdx_tcbinfo", name, chain, err);
}

static bool take_tcb_infos(const struct reader *reader, const json_t *certificates, struct err *err)
{
    auto_buf chain = BUF_INIT(COLLATERAL_OBJECT_MAX);
    const json_t *infos = json_object_get(reader->root, "tcbinfos");
    struct bytes text = BYTES_EMPTY, entry;
    size_t index = 0;
    if (!get_chain(certificates, "TCB-Info-Issuer-Chain", &chain, err))
        return false;
    if (!infos || json_is_null(infos))
        return true;
    if (!json_is_array(infos) || !raw_json_member(reader->text, "tcbinfos", &text))
        return err_set(err, ERR_FORMAT, WHAT ": \"tcbinfos\" must be an array");
    for (struct bytes at = raw_json_elements(text); raw_json_next(&at, &entry); index++)
        if (!take_tcb_info(reader, json_array_get(infos, index), entry, buf_bytes(&chain), err))
            return false;
    return true;
}

static bool take_identity(const struct reader *reader, const json_t *certificates, struct err *err)
{
    auto_buf chain = BUF_INIT(COLLATERAL_OBJECT_MAX);
    return get_chain(certificates, "SGX-Enclave-Identity-Issuer-Chain", &chain, err) &&
           take_document(reader, reader->root, reader->text, "tdqeidentity_early", "tdqeidentity",
               "intel/qe-identity", buf_bytes(&chain), err);
}

bool collateral_pcs_read(struct bytes file, enum collateral_pcs_update update,
    bool (*take)(
        void *context, const char *name, struct bytes body, struct bytes chain, struct err *err),
    void *context, struct err *err)
{
    auto_json *json = NULL;
    const json_t *certificates = NULL;
    struct reader reader = {.update = update, .take = take, .context = context};
    if (!json_load_strict(file, COLLATERAL_PCS_MAX, WHAT, &json, err) ||
        !get_object(json, "collaterals", &reader.root, err))
        return false;
    if (!reader.root || !raw_json_member(file, "collaterals", &reader.text))
        return err_set(err, ERR_FORMAT,
            WHAT ": no \"collaterals\" in it; what Intel's `pcsclient fetch` writes is needed");
    return get_object(reader.root, "certificates", &certificates, err) &&
           take_tcb_infos(&reader, certificates, err) &&
           take_identity(&reader, certificates, err) && take_crls(&reader, certificates, err);
}

/* -- into a set ---------------------------------------------------------------------------------------- */

struct wanted {
    const char (*names)[COLLATERAL_NAME_MAX]; /* NULL: all */
    size_t count;
    struct collateral *collateral;
};

static bool put_wanted(
    void *context, const char *name, struct bytes body, struct bytes chain, struct err *err)
{
    const struct wanted *wanted = context;
    bool take = wanted->names == NULL;
    for (size_t i = 0; !take && i < wanted->count; i++)
        take = strcmp(wanted->names[i], name) == 0;
    return !take || collateral_put(wanted->collateral, name, body, chain, err);
}

bool collateral_pcs_load(struct bytes file, enum collateral_pcs_update update,
    const char (*names)[COLLATERAL_NAME_MAX], size_t count, struct collateral *collateral,
    struct err *err)
{
    struct wanted wanted = {names, count, collateral};
    return collateral_pcs_read(file, update, put_wanted, &wanted, err);
}
