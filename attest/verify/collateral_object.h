/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One collateral object (collateral.h) by itself: what it is, going by its content, and how long it is good. For whoever
 * fetches, keeps or imports objects. Nothing of it is trusted: signatures and chains are for the verifier to check. Bytes may come from the network.
 */
#pragma once

#include "attest/verify/collateral.h"

/* Whether the body is what the name says (kind, chip, platform, issuer) and has the issuer chain that a verifier will ask for.
 * *ret_until: the last second that it is good: notAfter of the first certificate to end, nextUpdate of a CRL or a signed document. ERR_FORMAT. */
bool collateral_examine(const char *name, struct bytes body, struct bytes chain, int64_t *ret_until,
    struct err *err) MUST_CHECK;
/* CRLs and signed documents are published again and again, so that the newest says what was revoked. Certificates are not. */
bool collateral_changes(const char *name);
/* The name that the content tells: a chip's certificate, AMD's cert_chain, a CRL, a signed document of Intel's. ERR_FORMAT:
 * nothing of these. */
bool collateral_identify(struct bytes body, char ret_name[COLLATERAL_NAME_MAX], struct err *err)
    MUST_CHECK;
/* An issuer chain as the PCS puts it into a header or a file: "%0A" becomes a newline; a plus sign stays one, since it is a digit of base64. `what`
 * names it in errors. ERR_FORMAT: a % without two hex digits. */
bool collateral_unescape(struct bytes text, const char *what, struct buf *out, struct err *err)
    MUST_CHECK;
