/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups as the configuration names them: by name or by number. */
#pragma once

#include <sys/types.h>

#include "crypt/base/err.h"

/* ERR_CONFIG when there is none of that name. A number need not be anybody's. */
bool owner_user(const char *text, uid_t *ret_uid, struct err *err) MUST_CHECK;
bool owner_group(const char *text, gid_t *ret_gid, struct err *err) MUST_CHECK;
