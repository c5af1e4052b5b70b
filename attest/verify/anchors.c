/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/anchors.h"

#include "attest/verify/x509.h"
#include "crypt/base/b64.h"

#define HASH_SIZE 32
#define HASH_TEXT (2 * HASH_SIZE + 1)

/* verifiers.md 9 */
static const struct pin {
    const char *name; /* subject common name; NULL: any self-signed certificate */
    const char *spki_sha256;
} pins[ANCHOR_ROLE_COUNT] = {
    [ANCHOR_AMD_ARK_MILAN] = {"ARK-Milan",
        "9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9"},
    [ANCHOR_AMD_ARK_GENOA] = {"ARK-Genoa",
        "429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831"},
    [ANCHOR_AMD_ARK_TURIN] = {"ARK-Turin",
        "4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08"},
    [ANCHOR_AMD_ASK_MILAN] = {"SEV-Milan",
        "42491669ccb851d627ea9846cd24eccbeb7de7c2a62740120fff88001d38ebb6"},
    [ANCHOR_AMD_ASK_GENOA] = {"SEV-Genoa",
        "0324d55bcd48ba877a8fd87c0e1b4934dec8448e3807a24384a34dc6a6c9ebb8"},
    [ANCHOR_AMD_ASK_TURIN] = {"SEV-Turin",
        "0000ead352025f208bf55297c4192c34cd1b878002107366d8f2065a9ae7d3a9"},
    [ANCHOR_AMD_ASVK_MILAN] = {"SEV-VLEK-Milan",
        "66450a123ea5876206df67f2514a4fea224c0f63b18313423078b0edc4535e33"},
    [ANCHOR_AMD_ASVK_GENOA] = {"SEV-VLEK-Genoa",
        "7d1633252ebbadaa75f96e9b4e6f7d43a90ceb3f843937482630f8da2459264e"},
    [ANCHOR_AMD_ASVK_TURIN] = {"SEV-VLEK-Turin",
        "bfc441408b2f806c5dbf180bd8920e6e60dd404d82141780d85dbf962954d386"},
    [ANCHOR_INTEL_ROOT] = {NULL,
        "a0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e"},
};

struct anchor {
    enum anchor_role role;
    X509 *certificate;
    char spki_sha256[HASH_TEXT];
};

struct anchors {
    bool pins;
    size_t count;
    size_t passed_over; /* certificates of no role */
    struct anchor list[ANCHORS_MAX];
};

const char *anchor_name(enum anchor_role role)
{
    return pins[role].name;
}

const char *amd_generation_name(enum amd_generation generation)
{
    static const char *const names[AMD_GENERATION_COUNT] = {
        [AMD_MILAN] = "Milan", [AMD_GENOA] = "Genoa", [AMD_TURIN] = "Turin"};
    return names[generation];
}

static bool hash_key(X509 *certificate, char out[HASH_TEXT])
{
    uint8_t hash[HASH_SIZE];
    if (!x509_spki_sha256(certificate, hash))
        return false;
    hex_encode(bytes_of(hash, sizeof hash), out);
    return true;
}

static bool is_ark(enum anchor_role role)
{
    return role >= ANCHOR_AMD_ARK && role < ANCHOR_AMD_ARK + (int)AMD_GENERATION_COUNT;
}

/* What names a certificate as AMD's, and as an ARK only when it issued itself. */
static bool find_role(X509 *certificate, enum anchor_role *ret_role)
{
    char name[X509_NAME_SIZE];
    bool self = x509_self_issued(certificate);
    x509_common_name(certificate, name);
    for (size_t i = 0; i < ANCHOR_ROLE_COUNT; i++) {
        if (!pins[i].name || strcmp(pins[i].name, name) != 0)
            continue;
        *ret_role = (enum anchor_role)i;
        return is_ark(*ret_role) == self;
    }
    *ret_role = ANCHOR_INTEL_ROOT;
    return self;
}

static bool take(X509 *certificate, void *context, struct err *err)
{
    struct anchors *anchors = context;
    auto_x509 *owned = certificate;
    struct anchor anchor;
    if (anchors->count + anchors->passed_over == ANCHORS_MAX)
        return err_set(err, ERR_CONFIG, "more than %d certificates", ANCHORS_MAX);
    if (!find_role(owned, &anchor.role)) {
        anchors->passed_over++;
        return true;
    }
    if (!hash_key(owned, anchor.spki_sha256))
        return err_nomem(err);
    anchor.certificate = take_ptr(owned);
    anchors->list[anchors->count++] = anchor;
    return true;
}

bool anchors_new(struct bytes pem, bool keep_pins, struct anchors **ret_anchors, struct err *err)
{
    static const char what[] = "trust anchors";
    AUTO(anchors_free) struct anchors *anchors = calloc(1, sizeof *anchors);
    if (!anchors)
        return err_nomem(err);
    anchors->pins = keep_pins;
    if (pem.len > ANCHORS_PEM_MAX)
        return err_set(err, ERR_CONFIG, "%s: %zu bytes of PEM; at most %u are taken", what, pem.len,
            ANCHORS_PEM_MAX);
    if (!x509_each(pem, what, take, anchors, err)) {
        if (err->code == ERR_FORMAT)
            err->code = ERR_CONFIG;
        return false;
    }
    if (anchors->count == 0)
        return err_set(err, ERR_CONFIG,
            "%s: none of %zu certificates is one; needed are AMD's ARK-, SEV- or SEV-VLEK- "
            "certificates "
            "(KDS calls them cert_chain) or a self-signed root of Intel's",
            what, anchors->passed_over);
    *ret_anchors = take_ptr(anchors);
    return true;
}

void anchors_free(struct anchors *anchors)
{
    if (!anchors)
        return;
    for (size_t i = 0; i < anchors->count; i++)
        X509_free(anchors->list[i].certificate);
    free(anchors);
}

bool anchors_trusted(const struct anchors *anchors, enum anchor_role role, X509 *certificate)
{
    char hash[HASH_TEXT];
    if (!hash_key(certificate, hash))
        return false;
    if ((!anchors || anchors->pins) && strcmp(hash, pins[role].spki_sha256) == 0)
        return true;
    for (size_t i = 0; anchors && i < anchors->count; i++)
        if (anchors->list[i].role == role && strcmp(hash, anchors->list[i].spki_sha256) == 0)
            return true;
    return false;
}

bool anchors_any(const struct anchors *anchors, enum anchor_role role)
{
    return !anchors || anchors->pins || anchors_get(anchors, role);
}

X509 *anchors_get(const struct anchors *anchors, enum anchor_role role)
{
    for (size_t i = 0; anchors && i < anchors->count; i++)
        if (anchors->list[i].role == role)
            return anchors->list[i].certificate;
    return NULL;
}
