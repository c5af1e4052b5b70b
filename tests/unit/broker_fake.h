/* SPDX-License-Identifier: Apache-2.0 */
/* A key broker of the test's own in the place of kbs/client: a table of resources that answers on the loop's next turn and counts what
 * was asked. */
#pragma once

#include "tests/unit/unit.h"

#include "crypt/sealed.h"
#include "fs/resolve_sealed.h"

#define SIGNER_URI "kbs:///team/signing-key/main"
#define WRAP_URI   "kbs:///team/key/wrap"
#define SECRET_URI "kbs:///team/secret/db"

struct resource {
    const char *uri;
    struct secret *value; /* NULL: refused by policy */
    int asked;
};

struct kbs_client {
    struct loop *loop;
    bool other;
};

struct kbs_fetch {
    struct kbs_fetch *next;
    char uri[KBS_URI_MAX];
    struct loop_timer *timer;
    kbs_fetch_fn *fn;
    void *arg;
};

static struct kbs_client clients[2];
static size_t client_count;
static struct resource resources[8];
static struct kbs_fetch *fetches;

static struct resource *resource_find(const char *uri)
{
    for (size_t i = 0; i < ARRAY_LEN(resources); i++)
        if (resources[i].uri && strcmp(resources[i].uri, uri) == 0)
            return &resources[i];
    return NULL;
}

static kbs_distrust_fn *distrust;
static void *distrust_arg;

void kbs_client_on_distrust(struct kbs_client *client, kbs_distrust_fn *fn, void *arg)
{
    (void)client;
    distrust = fn;
    distrust_arg = arg;
}

bool kbs_client_new(struct loop *loop, const struct kbs_client_conf *conf,
    struct kbs_client **ret_client, struct err *err)
{
    (void)conf, (void)err;
    clients[client_count] = (struct kbs_client){loop, client_count > 0};
    *ret_client = &clients[client_count++];
    return true;
}

void kbs_fetch_cancel(struct kbs_fetch *fetch)
{
    if (!fetch)
        return;
    for (struct kbs_fetch **at = &fetches; *at; at = &(*at)->next)
        if (*at == fetch) {
            *at = fetch->next;
            break;
        }
    loop_timer_free(fetch->timer);
    free(fetch);
}

bool kbs_client_leave(struct kbs_client *client, int64_t timeout_ms, kbs_left_fn *fn, void *arg)
{
    (void)client, (void)timeout_ms, (void)fn, (void)arg;
    return false; /* nobody waits for it */
}

void kbs_client_free(struct kbs_client *client)
{
    if (client)
        client_count--;
    while (fetches)
        kbs_fetch_cancel(fetches);
}

static void fetch_answer(void *arg)
{
    struct kbs_fetch *fetch = arg;
    struct resource *resource = resource_find(fetch->uri);
    kbs_fetch_fn *fn = fetch->fn;
    void *fn_arg = fetch->arg;
    struct err err = ERR_INIT;
    char uri[KBS_URI_MAX];
    memcpy(uri, fetch->uri, sizeof uri);
    kbs_fetch_cancel(fetch);
    if (resource)
        resource->asked++;
    if (!resource)
        err_set(&err, ERR_NOTFOUND, "%s: no such resource", uri);
    else if (!resource->value)
        err_set(&err, ERR_DENIED_POLICY, "%s: the policy denies it", uri);
    auto_secret *value = resource && resource->value ? secret_ref(resource->value) : NULL;
    fn(fn_arg, value, &err);
}

bool kbs_client_fetch(struct kbs_client *client, const struct kbs_uri *uri, int64_t timeout_ms,
    kbs_fetch_fn *fn, void *arg, struct kbs_fetch **ret_fetch, struct err *err)
{
    struct kbs_fetch *fetch = calloc(1, sizeof *fetch);
    assert_non_null(fetch);
    assert_true(timeout_ms > 0);
    kbs_uri_format(uri, fetch->uri);
    if (client
            ->other) /* a resource of the other broker stands in the table with its name in front */
        snprintf(
            fetch->uri, sizeof fetch->uri, "other:%s/%s/%s", uri->repository, uri->type, uri->tag);
    fetch->fn = fn;
    fetch->arg = arg;
    fetch->next = fetches;
    fetches = fetch;
    if (!loop_timer_new(client->loop, fetch_answer, fetch, &fetch->timer, err))
        return false;
    loop_timer_set(fetch->timer, 0);
    *ret_fetch = fetch;
    return true;
}

#define LATE_MAX 16
static bool attest_late; /* kept until answer_late() */
static struct {
    kbs_token_fn *fn;
    void *arg;
} late[LATE_MAX];
static size_t late_count;

static void answer_late(void)
{
    struct err none = ERR_INIT;
    while (late_count > 0) {
        late_count--;
        late[late_count].fn(late[late_count].arg, "a.b.c", &none);
    }
}

bool kbs_client_attest(
    struct kbs_client *client, int64_t timeout_ms, kbs_token_fn *fn, void *arg, struct err *err)
{
    (void)client, (void)timeout_ms, (void)err;
    late[late_count].fn = fn;
    late[late_count++].arg = arg;
    if (!attest_late)
        answer_late();
    return true;
}

static int forgotten;
void kbs_client_forget(struct kbs_client *client)
{
    (void)client;
    forgotten++;
}

void kbs_client_doubt(struct kbs_client *client)
{
    (void)client;
}

void kbs_client_state(const struct kbs_client *client, struct kbs_client_state *ret_state)
{
    (void)client;
    *ret_state =
        (struct kbs_client_state){.accepted_evidence = "{\"tpm_quote\":{\"pcrs\":[\"00\"]}}",
            .latest_evidence = "{\"tpm_quote\":{\"pcrs\":[\"01\"]}}",
            .accepted_at = 7};
}
