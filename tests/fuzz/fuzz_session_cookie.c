/* SPDX-License-Identifier: Apache-2.0 */
/* Any cookie header: only what session_start() made may come through. */
#include <stdint.h>
#include <stdlib.h>

#include "kbs/server/token/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sessions *make_sessions(void)
{
    struct err err = ERR_INIT;
    auto_jwk *key = NULL;
    struct sessions *sessions = NULL;
    if (!jwk_generate(JWK_EC_P256, NULL, &key, &err) || !sessions_new(key, &sessions, &err))
        abort();
    return sessions;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sessions *sessions;
    struct session session;
    struct err err = ERR_INIT;
    if (!sessions)
        sessions = make_sessions();
    if (session_open(sessions, bytes_of(data, size), 0, &session, &err))
        abort(); /* nobody but the key's holder makes one, and its key is new in each run */
    auto_free char *header = malloc(size + 1);
    if (!header)
        return 0;
    if (size > 0)
        memcpy(header, data, size);
    header[size] = '\0';
    if (session_find(sessions, header, 0, &session, &err))
        abort();
    return 0;
}
