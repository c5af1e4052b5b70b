/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Rego policy as Trustee takes it (protocol.md D.2: `package policy`, Rego v1) as a module of its own for Open Policy Agent. OPA keeps all
 * modules in one tree, so two texts that both say `package policy` would be one policy; each gets the package
 *
 *     sealed_kbs.p_<first half of the text's SHA-256, hex>
 *
 * instead, in the very line where its own stands. So lines in OPA's errors are those of the text, the same text is the same module in
 * every replica, and another text never takes its place. Behind the text are added the mark by which a query sees that the module is
 * there, and the function query_reference_value(ID), which Trustee has as a builtin: the value, or null.
 *
 * The text is not understood here: whether the package was the only thing that changed is asked of OPA's own parser (opa.c).
 */
#pragma once

#include "crypt/base/buf.h"

#define REGO_ID_SIZE   35 /* "p_", 32 hex digits and a NUL */
#define REGO_PACKAGE   "sealed_kbs"
#define REGO_MARK      "sealed_kbs_module"
#define REGO_VALUES    "sealed_kbs_reference_values" /* below data, put there by each query */
#define REGO_ADDED_MAX 512                           /* what a module is longer than its text */

bool rego_id(struct bytes text, char ret_id[REGO_ID_SIZE], struct err *err) MUST_CHECK;
/* The text with its package renamed, then, from *ret_added on, what is added. ERR_FORMAT with "line N: …": the first statement is not `package policy`. */
bool rego_module(struct bytes text, const char *id, struct buf *out, size_t *ret_added,
    struct err *err) MUST_CHECK;
