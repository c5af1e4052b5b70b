/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access control lists of source files. The mount checks modes only, and under an ACL the group bits of a mode are its mask: taken for
 * the owning group's they would let in whom the source keeps out. So the mode that is shown allows nobody more than the ACL does; those
 * whom only the ACL lets in are kept out.
 */
#pragma once

#include <sys/types.h>

#include "crypt/base/bytes.h"

/* Permission bits that may be shown (out of 0777), of an attribute system.posix_acl_access (linux/posix_acl_xattr.h): 0700 of one that
 * cannot be read. */
mode_t acl_allowed(struct bytes acl);
/* Of an open file, also O_PATH; 0777 without an ACL. */
mode_t acl_allowed_of(int fd);
