/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one type for plaintext and keys. Each secret is a mapping of its own: guard page, data, guard
 * page. The data pages come from memfd_secret(2) where the kernel has it (then they are
 * out of the kernel's own address space: what pins pages, such as a reply to /dev/fuse, fails with
 * EFAULT, see secret_bounce), else from locked anonymous memory. Either way: locked, out of core dumps,
 * absent in forked children, wiped before release; a few wiped pages are kept for the next secrets
 * (crypt/base/pages.h). Size is capped at SECRET_SIZE_MAX.
 *
 * Counted: secret_ref/secret_unref are atomic and may be called from any thread; the content is
 * written by one thread before the secret is shared and is constant afterwards.
 */
#pragma once

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

#define SECRET_SIZE_MAX (1024u * 1024u)

struct secret;

/*
 * Call once at the start of every program that holds secrets, before threads, before the first JSON
 * value and before privilege is dropped: raises RLIMIT_MEMLOCK as far as it may (without end where
 * that is allowed), proves that `want` bytes can be locked (else ERR_CONFIG naming the limit, its
 * value and how to raise it), sets up OpenSSL's secure heap and jansson's wiping allocator
 * (json_init), and locks the rest of the process's memory where the limit is without end
 * (secret_process_locked). A secret takes whole pages: count 4 KiB for each small one.
 */
bool secret_init_process(size_t want, struct err *err) MUST_CHECK;
/* Whether mlockall() covers all memory of the process, present and future; false under a finite
 * limit and in sanitizer builds. Secrets themselves are locked either way. */
bool secret_process_locked(void);

/* `size` zero bytes that end at a guard page (so without any alignment), 0..SECRET_SIZE_MAX;
 * ERR_FORMAT above, ERR_NOMEM when locking fails. */
bool secret_new(size_t size, struct secret **ret_secret, struct err *err) MUST_CHECK;
bool secret_copy(struct bytes source, struct secret **ret_secret, struct err *err) MUST_CHECK;
bool secret_random(size_t size, struct secret **ret_secret, struct err *err) MUST_CHECK;

struct secret *secret_ref(struct secret *secret);
void secret_unref(struct secret *secret); /* NULL is fine; the last one wipes and unmaps */
DEFINE_AUTO(struct secret, secret_unref);
#define auto_secret AUTO(secret_unref) struct secret

size_t secret_len(const struct secret *secret);
/* Bytes of locked memory that it takes: whole pages, also for one byte. */
size_t secret_cost(const struct secret *secret);
struct bytes secret_bytes(const struct secret *secret); /* borrowed: while you hold a reference */
uint8_t *secret_data(struct secret *secret);            /* writable: only before it is shared */
/* Shortens; the bytes cut off are wiped at once. `len` must not exceed the present length. */
void secret_truncate(struct secret *secret, size_t len);
/* Constant time in the content; false at once when lengths differ. */
bool secret_equal(struct bytes a, struct bytes b);

/* All of `fd` up to its end, at most `max` bytes and SECRET_SIZE_MAX (ERR_FORMAT above), through a
 * bounce buffer that is wiped. Waits on a non-blocking
 * descriptor; so does the next. */
bool secret_read_fd(int fd, size_t max, struct secret **ret_secret, struct err *err) MUST_CHECK;
/* Everything, through a small locked bounce buffer that is wiped. */
bool secret_write_fd(const struct secret *secret, int fd, struct err *err) MUST_CHECK;

/*
 * A locked, page-aligned, dump-excluded plain page range that the kernel CAN read, for handing
 * plaintext to write(2)/writev(2). `size` up to SECRET_SIZE_MAX. Wipe with secret_bounce_wipe after
 * use. secret_bounce_done takes a zeroed struct and does nothing with it.
 */
struct secret_bounce {
    uint8_t *data;
    size_t size;
};
bool secret_bounce_init(struct secret_bounce *bounce, size_t size, struct err *err) MUST_CHECK;
void secret_bounce_wipe(struct secret_bounce *bounce, size_t used);
void secret_bounce_done(struct secret_bounce *bounce);

/* explicit_bzero under our name, for stack copies: `AUTO_DONE(secret_wipe_key32) struct key32 k`.
 */
void secret_wipe(void *data, size_t len);
/* Bytes of secrets alive now, and how many; for status, tests and leak checks. */
void secret_stats(size_t *ret_count, size_t *ret_bytes);
