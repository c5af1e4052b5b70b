/* SPDX-License-Identifier: Apache-2.0 */
/* GET /.well-known/jwks.json: the keys that sign this broker's tokens, for relying parties elsewhere (protocol.md D.1, D.3). */
#include "kbs/server/server.h"
#include "kbs/server/token/token_keys.h"

static bool get_jwks(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *jwks = NULL;
    (void)request;
    if (!token_keys_jwks(server->token_keys, server_now(server), &jwks, err))
        return false;
    auto_free char *text = json_text(jwks);
    return text ? response_json(response, text, err) : err_nomem(err);
}

const struct route token_routes[] = {
    {REQUEST_GET, "/.well-known/jwks.json", AUTH_NONE, false, 0, get_jwks, "HTTPFailed",
        "the keys cannot be told"},
    {0},
};
