/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom verifiers trust. Built in are pins: the SHA-256 of the DER SubjectPublicKeyInfo of AMD's and
 * Intel's certificates (verifiers.md 9), facts that need no file. An operator's certificates add to
 * them, or replace them. AMD's are told apart by the subject's common name: ARK-Milan, SEV-Milan, SEV-VLEK-Milan and so on for
 * Genoa and Turin; any other self-signed certificate is a root of Intel's kind.
 * Immutable once made, so threads may share it.
 */
#pragma once

#include <openssl/types.h>

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

#define ANCHORS_PEM_MAX (256u * 1024)
#define ANCHORS_MAX     128

enum amd_generation { AMD_MILAN, AMD_GENOA, AMD_TURIN, AMD_GENERATION_COUNT };

/* One of AMD's is the family's first plus the generation. */
enum anchor_role {
    ANCHOR_AMD_ARK_MILAN,
    ANCHOR_AMD_ARK_GENOA,
    ANCHOR_AMD_ARK_TURIN,
    ANCHOR_AMD_ASK_MILAN,
    ANCHOR_AMD_ASK_GENOA,
    ANCHOR_AMD_ASK_TURIN,
    ANCHOR_AMD_ASVK_MILAN,
    ANCHOR_AMD_ASVK_GENOA,
    ANCHOR_AMD_ASVK_TURIN,
    ANCHOR_INTEL_ROOT,
    ANCHOR_ROLE_COUNT
};
#define ANCHOR_AMD_ARK  ANCHOR_AMD_ARK_MILAN
#define ANCHOR_AMD_ASK  ANCHOR_AMD_ASK_MILAN
#define ANCHOR_AMD_ASVK ANCHOR_AMD_ASVK_MILAN

struct anchors;

/* `keep_pins` false: only the operator's count. ERR_CONFIG: malformed, none among it that is of any use, too many. */
bool anchors_new(struct bytes pem, bool keep_pins, struct anchors **ret_anchors, struct err *err)
    MUST_CHECK;
void anchors_free(struct anchors *anchors); /* NULL is fine */
DEFINE_AUTO(struct anchors, anchors_free);
#define auto_anchors AUTO(anchors_free) struct anchors

/* Whether the certificate's key is one of this role; `anchors` NULL: the pins. The certificate's dates and signature are the caller's to
 * check. */
bool anchors_trusted(const struct anchors *anchors, enum anchor_role role, X509 *certificate);
/* Whether anchors of this role are known at all. */
bool anchors_any(const struct anchors *anchors, enum anchor_role role);
/* The operator's first certificate of this role (for evidence that brings only a leaf), borrowed; NULL: none was given. */
X509 *anchors_get(const struct anchors *anchors, enum anchor_role role);
/* The subject's common name of an AMD role, e.g. "SEV-VLEK-Genoa". NULL for ANCHOR_INTEL_ROOT. */
const char *anchor_name(enum anchor_role role);
const char *amd_generation_name(enum amd_generation generation); /* "Milan" */
