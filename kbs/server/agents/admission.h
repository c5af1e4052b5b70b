/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of machines that are admitted as they enrol ([attestation] admit = listed, admit_list = FILE). A line is
 *
 *     EK-SHA256 [uuid=UUID] [NAME=VALUE …]        # comment
 *
 * with the hex SHA-256 of the endorsement key's certificate-proved SubjectPublicKeyInfo as `sealed kbs agent show` prints it. A line with a
 * UUID admits that machine under no other. The other words become the agent's tags. Immutable once read; thread-safe.
 */
#pragma once

#include "crypt/base/json.h"

#define ADMISSION_FILE_MAX (4u * 1024 * 1024)
#define ADMISSION_MAX      65536 /* machines */

struct admission;

/* Pure: `text` of the file `name`, for errors. ERR_CONFIG with the line. */
bool admission_parse(struct bytes text, const char *name, struct admission **ret_admission,
    struct err *err) MUST_CHECK;
void admission_free(struct admission *admission);
DEFINE_AUTO(struct admission, admission_free);
/* Whether a machine with this EK and (NULL: none) this UUID is listed. *ret_tags: an object of texts, owned by the caller. */
bool admission_find(const struct admission *admission, const char *ek_sha256, const char *uuid,
    json_t **ret_tags, bool *ret_found, struct err *err) MUST_CHECK;
