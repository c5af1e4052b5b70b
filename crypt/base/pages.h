/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locked pages between two guard pages; only crypt/base/secret*.c uses this. They are out of core
 * dumps, absent in forked children and wiped before they are unmapped.
 *
 * A few single hidden pages are kept for the next secret instead, wiped, with their guards: most
 * secrets are small and short-lived, and to make and unmap such a page takes eight system calls and
 * stops all threads. Any thread.
 */
#pragma once

#include "crypt/base/err.h"
#include "crypt/base/secret.h"

enum pages_kind {
    PAGES_HIDDEN, /* memfd_secret(2) where the kernel has it, else as PAGES_PLAIN */
    PAGES_PLAIN   /* mlock()ed anonymous memory, which system calls can read and write */
};

struct pages {
    uint8_t *data; /* page-aligned; NULL: nothing mapped */
    size_t len;    /* whole pages */
    enum pages_kind kind;
};

/* Single pages that are kept; they count as locked memory, and give way where that has run out. */
#define PAGES_KEPT_MAX 64u

/* At least `size` zero bytes (one page for 0). ERR_NOMEM, naming RLIMIT_MEMLOCK, when they cannot
 * be locked. */
bool pages_map(enum pages_kind kind, size_t size, struct pages *ret_pages, struct err *err)
    MUST_CHECK;
void pages_unmap(
    struct pages *pages); /* wipes all of it, or keeps it wiped; nothing mapped is fine */
