/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands of `sealed` share: files or standard input in, text, JSON or plaintext out, the agent's socket. One file a
 * subcommand; each exports its struct cli_command, and sealed.c lists them. */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/base/cli.h"
#include "crypt/base/clock.h"
#include "crypt/base/json.h"
#include "crypt/base/secret.h"

/* "-" is standard input. Public data. */
bool tool_read(const char *path, size_t max, struct buf *out, struct err *err) MUST_CHECK;
/* Plaintext to be sealed or uploaded: a file of any mode, or "-". */
bool tool_read_secret(const char *path, size_t max, struct secret **ret_secret, struct err *err)
    MUST_CHECK;
/* Text to standard output (`path` NULL or "-"), or to a new or replaced file; a device or pipe is written to. Exactly the text: only
 * a terminal gets a newline after it, because CoCo's guest refuses a sealed string with one. */
bool tool_write_text(const char *path, const char *text, struct err *err) MUST_CHECK;
/* Plaintext to standard output, or into a new file of mode 0600 that takes the place of an old one; a device or pipe is
 * written to. */
bool tool_write_secret(const char *path, const struct secret *secret, struct err *err) MUST_CHECK;
/* Key material into a file that must not exist yet. */
bool tool_create_secret(const char *path, const struct secret *secret, struct err *err) MUST_CHECK;
bool tool_print_json(const json_t *json, struct err *err) MUST_CHECK;
/* One member of an object a line, for people: "name:  value", aligned; nested values as JSON. */
bool tool_print_members(const json_t *object, struct err *err) MUST_CHECK;
bool tool_printf(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3) MUST_CHECK;

/* The end of something: RFC 3339, or a duration from now on, as RFC 3339. `what` is the option. */
bool tool_end(const char *text, const char *what, char ret_when[CLOCK_TEXT_SIZE], struct err *err)
    MUST_CHECK;

/* The agent's socket: --socket, else $SEALED_SOCKET (a path, no secret), else the default. */
const char *tool_socket(const char *option);
/* Path as the agent sees it: absolute. malloc'd. */
bool tool_absolute(const char *path, char **ret_path, struct err *err) MUST_CHECK;

extern const struct cli_command tool_seal_vault, tool_seal_envelope, tool_unseal,
    tool_keygen_signing, tool_keygen_wrapping, tool_inspect, tool_get, tool_explain, tool_attest,
    tool_doctor, tool_enroll, tool_exec, tool_flush, tool_log, tool_status, tool_reload,
    tool_upgrade, tool_kbs_init, tool_kbs_renew, tool_kbs_put, tool_kbs_get, tool_kbs_list,
    tool_kbs_show, tool_kbs_delete, tool_kbs_policy_get, tool_kbs_policy_set, tool_kbs_policy_check,
    tool_kbs_policy_default, tool_kbs_policy_versions, tool_kbs_policy_restore,
    tool_kbs_policy_delete, tool_kbs_policy_test, tool_kbs_refvalue_set, tool_kbs_refvalue_add,
    tool_kbs_refvalue_remove, tool_kbs_refvalue_get, tool_kbs_refvalue_list,
    tool_kbs_refvalue_delete, tool_kbs_agent_list, tool_kbs_agent_show, tool_kbs_agent_admit,
    tool_kbs_agent_revoke, tool_kbs_agent_delete, tool_kbs_agent_add, tool_kbs_explain,
    tool_kbs_token_key_roll, tool_kbs_store_rewrap, tool_kbs_agent_history, tool_kbs_store_migrate,
    tool_kbs_store_copy;

extern const struct cli_command tool_kbs_verify, tool_kbs_collateral_status,
    tool_kbs_collateral_fetch, tool_kbs_collateral_import, tool_kbs_collateral_delete;

/* Instead of sandbox_harden, when the command is exec: it must not pass our own limits on. */
bool tool_exec_prepare(struct err *err) MUST_CHECK;
