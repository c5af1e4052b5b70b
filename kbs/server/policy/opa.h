/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open Policy Agent over its REST API, by the courier (target OPA_TARGET). Modules are named by their text (rego.h), so they can be put at any time by any
 * replica, and a query whose module is not there (OPA was restarted) puts it and asks again. Nothing about a request is ever written
 * into OPA: claims, path and reference values travel as the input of one query, which binds them with `with`; no byte of them is a part of its text.
 *
 * Errors: ERR_FORMAT: the policy's text, with "line N: …"; ERR_DENIED_POLICY: the policy failed while it ran, with OPA's words and
 * line; anything else: OPA could not be asked or gave no answer that is one. Thread-safe.
 */
#pragma once

#include "crypt/base/json.h"
#include "kbs/server/server.h"

#define OPA_TARGET    "opa"
#define OPA_TRACE_MAX 200 /* lines */

/* Would OPA take this text? Asks its parser and its compiler; nothing stays. */
bool opa_check(struct server *server, struct bytes text, struct err *err) MUST_CHECK;
/* Lets go of the module of a text that is not in force any more. */
bool opa_forget(struct server *server, struct bytes text, struct err *err) MUST_CHECK;

struct opa_query {
    struct bytes text;          /* of the policy */
    const char *const *rules;   /* names of rules, NULL-terminated: constants of ours */
    const json_t *input;        /* as the policy sees it */
    const json_t *values;       /* reference values by name */
    const char *plugin;         /* data.plugin, or NULL: `path` and `query` are not there either */
    const json_t *path, *query; /* data["resource-path"], data.query */
    bool trace;                 /* what was evaluated, in lines; the module does not stay */
};
/* An object with an array for each rule: empty when the rule is undefined, else its value. *ret_trace (with `trace`): an array of
 * {"line","text"}. */
bool opa_eval(struct server *server, const struct opa_query *query, json_t **ret_results,
    json_t **ret_trace, struct err *err) MUST_CHECK;
