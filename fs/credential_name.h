/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks for which credential: the address that systemd binds its end of a LoadCredential= connection to (systemd.exec(5)),
 *
 *     NUL RANDOM "/unit/" UNIT "/" ID        RANDOM: 1 to 16 hexadecimal digits
 *
 * in Linux's abstract namespace. Only root's word for it counts: whoever connects may bind any such name.
 */
#pragma once

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

#define CREDENTIAL_WORD_SIZE 108 /* both parts of it fit into sun_path */

struct credential_name {
    char unit[CREDENTIAL_WORD_SIZE]; /* e.g. "web@1.service"; letters, digits and :-_.\@ */
    char id[CREDENTIAL_WORD_SIZE];   /* printable ASCII without '/' and ':' */
};

/* `address`: sun_path as far as the length of the address goes, its first NUL included. Anything else is ERR_FORMAT. */
bool credential_name_parse(struct bytes address, struct credential_name *ret_name, struct err *err)
    MUST_CHECK;
/* As an ID in a configuration. */
bool credential_id_valid(const char *id);
