/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/server.h"

#include <time.h>

int64_t server_now(const struct server *server)
{
    return server->clock ? server->clock() : (int64_t)time(NULL);
}
