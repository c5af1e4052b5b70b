/* SPDX-License-Identifier: Apache-2.0 */
/* sealed: the command line. One table of commands; each lives in a file of its own. */
#include <string.h>

#include "crypt/base/log.h"
#include "crypt/base/sandbox.h"
#include "crypt/base/secret.h"
#include "fs/cli/tool.h"

/* Enough for a plaintext, its copies on the way and a few keys. */
#define SEALED_LOCK_BYTES (3u * 1024 * 1024)

static const struct cli_command *const commands[] = {
    &tool_seal_vault,
    &tool_seal_envelope,
    &tool_unseal,
    &tool_keygen_signing,
    &tool_keygen_wrapping,
    &tool_inspect,
    &tool_get,
    &tool_explain,
    &tool_attest,
    &tool_enroll,
    &tool_exec,
    &tool_doctor,
    &tool_flush,
    &tool_log,
    &tool_status,
    &tool_reload,
    &tool_upgrade,
    &tool_kbs_init,
    &tool_kbs_renew,
    &tool_kbs_token_key_roll,
    &tool_kbs_put,
    &tool_kbs_get,
    &tool_kbs_list,
    &tool_kbs_show,
    &tool_kbs_store_rewrap,
    &tool_kbs_store_migrate,
    &tool_kbs_store_copy,
    &tool_kbs_delete,
    &tool_kbs_policy_get,
    &tool_kbs_policy_set,
    &tool_kbs_policy_check,
    &tool_kbs_policy_default,
    &tool_kbs_policy_versions,
    &tool_kbs_policy_restore,
    &tool_kbs_policy_delete,
    &tool_kbs_policy_test,
    &tool_kbs_refvalue_set,
    &tool_kbs_refvalue_add,
    &tool_kbs_refvalue_remove,
    &tool_kbs_refvalue_get,
    &tool_kbs_refvalue_list,
    &tool_kbs_refvalue_delete,
    &tool_kbs_agent_list,
    &tool_kbs_agent_show,
    &tool_kbs_agent_history,
    &tool_kbs_agent_admit,
    &tool_kbs_agent_revoke,
    &tool_kbs_agent_delete,
    &tool_kbs_agent_add,
    &tool_kbs_explain,
    &tool_kbs_verify,
    &tool_kbs_collateral_status,
    &tool_kbs_collateral_fetch,
    &tool_kbs_collateral_import,
    &tool_kbs_collateral_delete,
    NULL,
};

static const struct cli_program program = {
    .name = "sealed",
    .summary = "seal secrets, read them through the agent, and run a key broker",
    .commands = commands,
};

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    log_init("sealed", LOG_TARGET_STDERR, LOG_LEVEL_NOTICE);
    bool is_exec = argc > 1 && strcmp(argv[1], tool_exec.name) == 0;
    if (!(is_exec ? tool_exec_prepare(&err) : sandbox_harden(&err)) ||
        !secret_init_process(SEALED_LOCK_BYTES, &err)) {
        log_err(LOG_LEVEL_ERROR, &err, "sealed cannot start");
        return err_info(err.code)->exit_status;
    }
    return cli_main(&program, argc, argv);
}
