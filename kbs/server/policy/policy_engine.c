/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/policy/policy_engine.h"

#include <pthread.h>
#include <stdio.h>

#include "crypt/base/clock.h"
#include "crypt/base/log.h"
#include "kbs/server/explain.h"
#include "kbs/server/policy/opa.h"
#include "kbs/server/policy/policy_query.h"

#define ALARM_S    60 /* between lines in the log while nothing can be decided */
#define SHOWN_SIZE 160

const char policy_default_rego[] =
    "# In force while no policy is stored: guests in a known good state may have every resource.\n"
    "package policy\n"
    "\n"
    "import rego.v1\n"
    "\n"
    "default allow := false\n"
    "\n"
    "allow if {\n"
    "\tcount(input.submods) > 0\n"
    "\tevery submod in input.submods {\n"
    "\t\tsubmod[\"ear.status\"] == \"affirming\"\n"
    "\t}\n"
    "}\n";

/* -- alarm and counters ---------------------------------------------------------------------------- */

struct policy_engine {
    pthread_mutex_t lock;
    struct policy_stats stats;
    bool failing;
    int64_t told_at; /* unix seconds */
};

bool policy_engine_new(struct policy_engine **ret_engine, struct err *err)
{
    struct policy_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return err_nomem(err);
    pthread_mutex_init(&engine->lock, NULL);
    *ret_engine = engine;
    return true;
}

void policy_engine_free(struct policy_engine *engine)
{
    if (!engine)
        return;
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

struct policy_stats policy_engine_stats(struct policy_engine *engine)
{
    struct policy_stats stats = {0};
    if (!engine)
        return stats;
    pthread_mutex_lock(&engine->lock);
    stats = engine->stats;
    pthread_mutex_unlock(&engine->lock);
    return stats;
}

/* `cause` of ERR_OK: it was decided. `allowed` NULL: it was no decision on a resource. */
static void note(struct policy_engine *engine, const bool *allowed, const struct err *cause)
{
    bool failed = cause->code != ERR_OK, tell = false, recovered = false;
    if (!engine)
        return;
    pthread_mutex_lock(&engine->lock);
    int64_t now = clock_wall_s();
    engine->stats.allowed += allowed && *allowed;
    engine->stats.denied += allowed && !*allowed;
    engine->stats.failed += failed;
    tell = failed && (!engine->failing || now - engine->told_at >= ALARM_S);
    recovered = !failed && engine->failing;
    if (tell)
        engine->told_at = now;
    engine->failing = failed;
    pthread_mutex_unlock(&engine->lock);
    if (tell)
        log_err(LOG_LEVEL_ERROR, cause, "no policy can be asked, so guests are refused");
    if (recovered)
        log_notice("the policy is answered again");
}

/* -- a resource ------------------------------------------------------------------------------------ */

static bool decide_embedded(struct server *server, const struct policy_question *question,
    struct policy_decision *ret_decision, struct err *err)
{
    auto_policy *policy = NULL;
    bool loaded = question->text.data ? policy_parse(question->text, &policy, err)
                                      : policy_load(server->store, NULL, &policy, err);
    if (!loaded || !policy_decide(policy, question->resource, question->payload, question->values,
                       ret_decision, err))
        return false;
    if (ret_decision->line > 0)
        snprintf(ret_decision->summary, sizeof ret_decision->summary,
            "%s by line %d of the resource policy", ret_decision->allowed ? "allowed" : "denied",
            ret_decision->line);
    else
        snprintf(ret_decision->summary, sizeof ret_decision->summary,
            "no rule of the resource policy allows it");
    return true;
}

static void show(const json_t *value, char out[SHOWN_SIZE])
{
    auto_free char *text = value ? json_text(value) : NULL;
    snprintf(out, SHOWN_SIZE, "%.*s%s", SHOWN_SIZE - 16, text ? text : "undefined",
        text && strlen(text) > SHOWN_SIZE - 16 ? "…" : "");
}

/* A cut in the midst of a character must not become a part of a JSON text. */
static bool add_finding(
    json_t *findings, const char *got, const char *expected, bool match, struct err *err)
{
    auto_json *finding = NULL;
    struct err bad = ERR_INIT;
    if (!json_build(&finding, &bad, "{s:i, s:s, s:s, s:s, s:s, s:b}", "line", 0, "rule",
            "data.policy.allow", "claim", "data.policy.allow", "got", got, "expected", expected,
            "match", match) &&
        !json_build(&finding, err, "{s:i, s:s, s:s, s:s, s:s, s:b}", "line", 0, "rule",
            "data.policy.allow", "claim", "data.policy.allow", "got", "another value", "expected",
            expected, "match", match))
        return false;
    return json_array_append(findings, finding) == 0 || err_nomem(err);
}

static bool take_decision(const json_t *results, struct policy_decision *decision, struct err *err)
{
    char shown[SHOWN_SIZE];
    const json_t *value = json_array_get(json_object_get(results, "allow"), 0);
    decision->allowed = json_is_true(value);
    show(value, shown);
    if (decision->allowed)
        snprintf(decision->summary, sizeof decision->summary, "allowed by the Rego policy");
    else if (!value || json_is_false(value))
        snprintf(decision->summary, sizeof decision->summary,
            "denied by the Rego policy: allow is %s", value ? "false" : "undefined");
    else
        snprintf(decision->summary, sizeof decision->summary,
            "denied: allow of the Rego policy is no boolean");
    return add_finding(decision->findings, shown, "true", decision->allowed, err);
}

static bool make_path(const struct kbs_uri *resource, json_t **ret_path, struct err *err)
{
    return json_build(
        ret_path, err, "[s, s, s]", resource->repository, resource->type, resource->tag);
}

static bool ask_opa(struct server *server, const struct policy_question *question,
    struct policy_decision *decision, struct err *err)
{
    static const char *const rules[] = {"allow", NULL};
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    auto_json *path = NULL, *query = NULL, *results = NULL;
    if (!question->text.data && !policy_engine_text(server, POLICY_RESOURCE, 0, &text, err))
        return false;
    const struct opa_query asked = {.text = question->text.data ? question->text : buf_bytes(&text),
        .rules = rules,
        .input = question->payload,
        .values = question->values,
        .plugin = "resource",
        .trace = question->ret_trace != NULL};
    struct opa_query full = asked;
    if (!make_path(question->resource, &path, err) ||
        !policy_query_parse(question->query, &query, err))
        return false;
    full.path = path;
    full.query = query;
    return opa_eval(server, &full, &results, question->ret_trace, err) &&
           take_decision(results, decision, err);
}

static bool decide_opa(struct server *server, const struct policy_question *question,
    struct policy_decision *ret_decision, struct err *err)
{
    auto_policy_decision decision = {.findings = json_array()};
    if (!decision.findings)
        return err_nomem(err);
    if (!ask_opa(server, question, &decision, &decision.cause)) {
        decision.allowed = false;
        snprintf(decision.summary, sizeof decision.summary, "denied, since the policy %s: %.100s",
            decision.cause.code == ERR_DENIED_POLICY || decision.cause.code == ERR_FORMAT
                ? "failed"
                : "could not be asked",
            decision.cause.message);
        if (!add_finding(decision.findings, decision.cause.message, "true", false, err))
            return false;
    }
    *ret_decision = decision;
    decision.findings = NULL;
    return true;
}

bool policy_engine_decide(struct server *server, const struct policy_question *question,
    struct policy_decision *ret_decision, struct err *err)
{
    bool opa = server->conf->policy.engine == KBS_POLICY_OPA;
    bool decided = opa ? decide_opa(server, question, ret_decision, err)
                       : decide_embedded(server, question, ret_decision, err);
    bool allowed = decided && ret_decision->allowed;
    if (!question->text.data)
        note(server->policy_engine, &allowed, decided ? &ret_decision->cause : err);
    return decided;
}

/* -- evidence -------------------------------------------------------------------------------------- */

bool policy_engine_try_appraise(struct server *server, struct bytes text, const json_t *shaped,
    const json_t *values, struct appraisal *appraisal, json_t **ret_trace, struct err *err)
{
    static const char *const rules[] = {"trust_claims", "extensions", NULL};
    auto_json *results = NULL, *none = json_object();
    const struct opa_query query = {.text = text,
        .rules = rules,
        .input = shaped,
        .values = values,
        .trace = ret_trace != NULL};
    if (!none)
        return err_nomem(err);
    if (!opa_eval(server, &query, &results, ret_trace, err))
        return false;
    const json_t *claims = json_array_get(json_object_get(results, "trust_claims"), 0);
    const json_t *extensions = json_array_get(json_object_get(results, "extensions"), 0);
    return appraisal_replace(appraisal, claims ? claims : none, extensions, err);
}

/* Why no token was made, under an id: the guest is only told that it failed. */
static void explain_failure(
    struct server *server, const struct ear_piece *piece, const char *id, struct err *err)
{
    char ref[EXPLAIN_ID_SIZE] = "", summary[ERR_MESSAGE_SIZE];
    struct err lost = ERR_INIT;
    snprintf(summary, sizeof summary, "attestation policy %s failed: %.400s", id, err->message);
    const struct explain_entry entry = {.kind = "policy", .tee = piece->tee, .summary = summary};
    if (!explain_record(server, &entry, ref, &lost))
        log_err(LOG_LEVEL_WARNING, &lost, "the explanation is lost (%s)", summary);
    snprintf(err->ref, sizeof err->ref, "%s", ref);
    err_wrap(err, "attestation policy %s", id);
}

bool policy_engine_appraise(struct server *server, const struct ear_piece *piece,
    const json_t *values, struct appraisal *appraisal, struct err *err)
{
    static const struct err good = ERR_INIT;
    char id[POLICY_ID_MAX + 1];
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    auto_json *shaped = NULL;
    struct err cause = ERR_INIT;
    if (server->conf->policy.engine != KBS_POLICY_OPA)
        return true;
    snprintf(id, sizeof id, "default_%s", piece->class_name);
    if (!policy_engine_text(server, id, 0, &text, &cause)) {
        if (cause.code == ERR_NOTFOUND)
            return true;
        *err = cause;
        return false;
    }
    if (!ear_shape_claims(piece, &shaped, err))
        return false;
    if (policy_engine_try_appraise(
            server, buf_bytes(&text), shaped, values, appraisal, NULL, err)) {
        note(server->policy_engine, NULL, &good);
        return true;
    }
    note(server->policy_engine, NULL, err);
    explain_failure(server, piece, id, err);
    return false;
}
