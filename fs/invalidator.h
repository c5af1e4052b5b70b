/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that drops the kernel's pages of nodes: it serves no request, since the kernel may call back into one that does before it is
 * done. Nodes are gathered for a moment, so that a file opened in a loop costs one call and not thousands.
 */
#pragma once

#include <stdint.h>

#include "crypt/base/err.h"

struct invalidator;

typedef void invalidate_fn(void *arg, uint64_t node);

bool invalidator_new(
    invalidate_fn *fn, void *arg, struct invalidator **ret_invalidator, struct err *err) MUST_CHECK;
/* Starts the thread. It lives as long as the process. */
bool invalidator_run(struct invalidator *invalidator, struct err *err) MUST_CHECK;
/* Any thread. */
void invalidator_add(struct invalidator *invalidator, uint64_t node);
