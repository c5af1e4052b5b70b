/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the agent that more than one subcommand asks. */
#pragma once

#include "fs/cli/tool.h"

/* `text` opened under the agent's rules; `context` as if it had been found under that path, "" for none. `socket` as for tool_socket(). */
bool agent_unseal(const char *socket, const char *context, struct bytes text,
    struct secret **ret_plaintext, struct err *err) MUST_CHECK;
