/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/policy/policy_engine.h"

#include <stdio.h>

#include "crypt/base/log.h"
#include "kbs/server/policy/opa.h"
#include "kbs/server/policy/policy_versions.h"

#define ATTESTATION "attestation/"
#define REGO        ".rego"

static bool is_opa(const struct server *server)
{
    return server->conf->policy.engine == KBS_POLICY_OPA;
}

static bool is_resource(const char *id)
{
    return strcmp(id, POLICY_RESOURCE) == 0;
}

/* By engine: "resource-policy", "resource-policy.rego", "attestation/ID.rego". */
static void policy_key(bool opa, const char *id, char ret_key[STORE_KEY_MAX + 1])
{
    if (is_resource(id))
        snprintf(ret_key, STORE_KEY_MAX + 1, "%s%s", id, opa ? REGO : "");
    else
        snprintf(ret_key, STORE_KEY_MAX + 1, ATTESTATION "%s" REGO, id);
}

bool policy_id_ok(const char *id)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = strlen(id);
    return len > 0 && len <= POLICY_ID_MAX && strspn(id, allowed) == len;
}

static bool check_id(const char *id, struct err *err)
{
    return policy_id_ok(id) ||
           err_set(err, ERR_FORMAT,
               "policy id \"%.80s\" is not one of letters, digits, '_' and '-'", id);
}

bool policy_engine_text(
    struct server *server, const char *id, uint32_t version, struct buf *text, struct err *err)
{
    char key[STORE_KEY_MAX + 1];
    struct err cause = ERR_INIT;
    if (!check_id(id, err))
        return false;
    policy_key(is_opa(server), id, key);
    if (version > 0)
        return policy_versions_get(server->store, key, version, text, err);
    if (store_get(server->store, STORE_POLICY, key, text, &cause))
        return true;
    if (cause.code == ERR_NOTFOUND && is_resource(id))
        return buf_append_str(text, is_opa(server) ? policy_default_rego : POLICY_DEFAULT, err);
    if (cause.code == ERR_NOTFOUND)
        return err_set(err, ERR_NOTFOUND,
            "no attestation policy %s is set; the built-in appraisal is in force", id);
    *err = cause;
    return false;
}

/* Text of the other language is the usual mistake. */
static bool check_text(struct server *server, struct bytes text, struct err *err)
{
    auto_policy *policy = NULL;
    struct err other = ERR_INIT;
    if (!is_opa(server)) {
        if (policy_parse(text, &policy, err))
            return true;
        if (memmem(text.data, text.len, "package policy", 14))
            err_wrap(err, "this is Rego, which needs [policy] engine = opa in the server's "
                          "configuration; as a policy of the embedded language");
        return false;
    }
    if (opa_check(server, text, err))
        return true;
    if (err->code == ERR_FORMAT && policy_parse(text, &policy, &other))
        err_wrap(err, "this is a policy of the embedded language, which needs [policy] engine = "
                      "embedded; as Rego");
    return false;
}

/* What was in force before versions were kept is a version, too. */
static bool keep_unknown(struct server *server, const char *key, struct bytes text, struct err *err)
{
    auto_json *list = NULL;
    uint32_t number;
    const struct policy_version version = {
        .id = key, .now = server_now(server), .keep = server->conf->policy.versions};
    return policy_versions_list(server->store, key, &list, err) &&
           (json_array_size(list) > 0 ||
               policy_versions_add(server->store, &version, text, &number, err));
}

static bool read_old(struct server *server, const char *key, struct buf *old, struct err *err)
{
    struct err cause = ERR_INIT;
    if (store_get(server->store, STORE_POLICY, key, old, &cause))
        return keep_unknown(server, key, buf_bytes(old), err);
    if (cause.code == ERR_NOTFOUND)
        return true;
    *err = cause;
    return false;
}

/* OPA need not keep what is not asked for any more; should another policy have the same text, it is put again. */
static void forget(struct server *server, struct bytes old)
{
    struct err err = ERR_INIT;
    if (is_opa(server) && old.len > 0 && !opa_forget(server, old, &err))
        log_err(LOG_LEVEL_WARNING, &err, "Open Policy Agent keeps a policy that is not in force");
}

bool policy_engine_set(struct server *server, const char *id, struct bytes text, const char *who,
    uint32_t *ret_version, struct err *err)
{
    char key[STORE_KEY_MAX + 1];
    auto_buf old = BUF_INIT(POLICY_TEXT_MAX);
    uint32_t number;
    if (!check_id(id, err))
        return false;
    if (!is_resource(id) && !is_opa(server))
        return err_set(err, ERR_CONFIG,
            "the embedded appraisal of this server has fixed rules, so it takes no attestation "
            "policy; set reference values and a resource policy that names the claims you require, "
            "or use Rego with [policy] engine = opa");
    policy_key(is_opa(server), id, key);
    const struct policy_version version = {
        .id = key, .who = who, .now = server_now(server), .keep = server->conf->policy.versions};
    if (!check_text(server, text, err) || !read_old(server, key, &old, err) ||
        !policy_versions_add(server->store, &version, text, &number, err) ||
        !store_put(server->store, STORE_POLICY, key, text, err))
        return false;
    struct bytes before = old.len > 0       ? buf_bytes(&old)
                          : is_resource(id) ? bytes_str(policy_default_rego)
                                            : BYTES_EMPTY;
    if (!bytes_equal(before, text))
        forget(server, before);
    *ret_version = number;
    return true;
}

bool policy_engine_unset(struct server *server, const char *id, struct err *err)
{
    char key[STORE_KEY_MAX + 1];
    auto_buf old = BUF_INIT(POLICY_TEXT_MAX);
    if (!check_id(id, err))
        return false;
    policy_key(is_opa(server), id, key);
    if (!store_get(server->store, STORE_POLICY, key, &old, err) ||
        !keep_unknown(server, key, buf_bytes(&old), err) ||
        !store_delete(server->store, STORE_POLICY, key, err))
        return err_wrap(err, "policy %s", id);
    forget(server, buf_bytes(&old));
    return true;
}

bool policy_engine_versions(
    struct server *server, const char *id, json_t **ret_list, struct err *err)
{
    char key[STORE_KEY_MAX + 1];
    if (!check_id(id, err))
        return false;
    policy_key(is_opa(server), id, key);
    return policy_versions_list(server->store, key, ret_list, err);
}

bool policy_engine_ids(struct server *server, json_t **ret_ids, struct err *err)
{
    auto_json *keys = NULL, *ids = json_array();
    size_t index;
    json_t *key;
    if (!ids)
        return err_nomem(err);
    if (!store_list(server->store, STORE_POLICY, &keys, err))
        return false;
    json_array_foreach(keys, index, key)
    {
        const char *text = json_string_value(key);
        size_t len = strlen(text), before = strlen(ATTESTATION), behind = strlen(REGO);
        if (len <= before + behind || strncmp(text, ATTESTATION, before) != 0 ||
            strcmp(text + len - behind, REGO) != 0)
            continue;
        if (json_array_append_new(ids, json_stringn(text + before, len - before - behind)) != 0)
            return err_nomem(err);
    }
    *ret_ids = take_ptr(ids);
    return true;
}
