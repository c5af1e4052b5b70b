/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives kbs/client for tests: one command a line on standard input, one line of JSON for each on standard output.
 *
 *     many TIMEOUT_MS COUNT PREFIX   COUNT fetches at once of PREFIX1, PREFIX2…; PREFIX is kbs:///r/t/x
 *     same TIMEOUT_MS COUNT URI      COUNT fetches at once of one URI
 *     again COUNT URI                a fetch that starts another from its callback, COUNT times (what a stubborn caller does)
 *     cancel URI                     a fetch that is cancelled at once
 *     attest TIMEOUT_MS              a token
 *     burst TIMEOUT_MS COUNT PREFIX  as many, and the client is freed in the first callback
 *     turn MS                        lets the loop run
 *     forget
 *     state
 *
 * {"codes":{"ok":N,"unreachable":N…},"wrong":N,"ms":N,"message":"the last error","ref":""}. "wrong" counts plaintext that is not
 * "plaintext of r/t/t", as tests/peer/kbs.py --any makes it.
 */
#include <stdio.h>
#include <sys/queue.h>

#include "crypt/base/cli.h"
#include "crypt/base/json.h"
#include "crypt/base/log.h"
#include "kbs/client.h"

#define AGAIN_MS 120000

struct probe_args {
    struct cli_list urls, no_proxy;
    const char *proxy, *proxy_credential, *token_file;
    const char *ca, *pin, *socket, *tee;
    bool allow_plain;
    int64_t request_ms, attest_ms, connect_ms, max;
};

struct probe {
    struct loop *loop;
    struct kbs_client *client;
    int codes[ERR_CODE_COUNT];
    int wrong, waiting, again;
    bool burst;
    struct err last;
    LIST_HEAD(, wait) waits;
};

struct wait {
    LIST_ENTRY(wait) link;
    struct probe *probe;
    struct kbs_uri uri;
    struct kbs_fetch *fetch;
};

static void wait_free(struct wait *wait)
{
    LIST_REMOVE(wait, link);
    free(wait);
}

/* The client goes, and with it everything that waits: nobody is called back any more. */
static void free_client(struct probe *probe)
{
    kbs_client_free(take_ptr(probe->client));
    while (!LIST_EMPTY(&probe->waits))
        wait_free(LIST_FIRST(&probe->waits));
    probe->waiting = 0;
}

static void count(struct probe *probe, const struct err *err)
{
    probe->codes[err->code]++;
    if (err->code != ERR_OK)
        probe->last = *err;
}

static bool is_right(const struct kbs_uri *uri, struct secret *plaintext)
{
    char want[KBS_URI_MAX + 32];
    snprintf(want, sizeof want, "plaintext of %s/%s/%s", uri->repository, uri->type, uri->tag);
    return bytes_equal(secret_bytes(plaintext), bytes_str(want));
}

static void start(struct probe *probe, const struct kbs_uri *uri, int64_t timeout_ms);

static void on_fetched(void *arg, struct secret *plaintext, const struct err *err)
{
    struct wait *wait = arg;
    struct probe *probe = wait->probe;
    struct kbs_uri uri = wait->uri;
    wait_free(wait);
    count(probe, err);
    probe->waiting--;
    if (plaintext && !is_right(&uri, plaintext))
        probe->wrong++;
    if (probe->burst && probe->client)
        free_client(probe);
    if (probe->again > 0) {
        probe->again--;
        start(probe, &uri, AGAIN_MS);
    }
}

static void start(struct probe *probe, const struct kbs_uri *uri, int64_t timeout_ms)
{
    struct err err = ERR_INIT;
    struct wait *wait = calloc(1, sizeof *wait);
    if (!wait)
        abort();
    wait->probe = probe;
    wait->uri = *uri;
    LIST_INSERT_HEAD(&probe->waits, wait, link);
    probe->waiting++;
    if (kbs_client_fetch(probe->client, uri, timeout_ms, on_fetched, wait, &wait->fetch, &err))
        return;
    on_fetched(wait, NULL, &err);
}

static void on_token(void *arg, const char *token, const struct err *err)
{
    struct probe *probe = arg;
    count(probe, err);
    if ((err->code == ERR_OK) != (token != NULL))
        probe->wrong++;
    probe->waiting--;
}

static void report(struct probe *probe, int64_t started_ms)
{
    struct err err = ERR_INIT;
    auto_json *codes = json_object();
    auto_json *line = NULL;
    for (int code = 0; code < ERR_CODE_COUNT; code++)
        if (probe->codes[code] > 0)
            json_object_set_new(
                codes, err_info((enum err_code)code)->name, json_integer(probe->codes[code]));
    if (!json_build(&line, &err, "{s:O,s:i,s:I,s:s,s:s}", "codes", codes, "wrong", probe->wrong,
            "ms", (json_int_t)(loop_now_ms() - started_ms), "message", probe->last.message, "ref",
            probe->last.ref))
        abort();
    auto_free char *text = json_text(line);
    puts(text ? text : "{}");
    fflush(stdout);
}

static void report_state(const struct probe *probe)
{
    struct err err = ERR_INIT;
    struct kbs_client_state state;
    auto_json *line = NULL;
    kbs_client_state(probe->client, &state);
    if (!json_build(&line, &err, "{s:s,s:b,s:I,s:I,s:I,s:b,s:b,s:b,s:s}", "url", state.url, "token",
            state.has_token, "handshakes", (json_int_t)state.handshakes, "failed",
            (json_int_t)state.handshakes_failed, "fetches", (json_int_t)state.fetches, "accepted",
            state.accepted_evidence != NULL, "latest", state.latest_evidence != NULL, "same",
            state.accepted_evidence && state.latest_evidence &&
                strcmp(state.accepted_evidence, state.latest_evidence) == 0,
            "refusal", state.last_refusal.message))
        abort();
    auto_free char *text = json_text(line);
    puts(text ? text : "{}");
    fflush(stdout);
}

static bool start_many(struct probe *probe, int64_t timeout_ms, int number, const char *name,
    bool same, struct err *err)
{
    for (int i = 1; i <= number; i++) {
        struct kbs_uri uri;
        char text[KBS_URI_MAX];
        snprintf(text, sizeof text, same ? "%s" : "%s%d", name, i);
        if (!kbs_uri_parse(text, &uri, err))
            return false;
        start(probe, &uri, timeout_ms);
    }
    return true;
}

static bool cancel_one(struct probe *probe, const char *name, struct err *err)
{
    struct kbs_uri uri;
    struct kbs_fetch *fetch = NULL;
    if (!kbs_uri_parse(name, &uri, err) ||
        !kbs_client_fetch(probe->client, &uri, 1000, on_fetched, NULL, &fetch, err))
        return false;
    kbs_fetch_cancel(fetch); /* a callback now would crash on the missing argument */
    return true;
}

static bool turn_for(struct probe *probe, int64_t ms, struct err *err)
{
    for (int64_t end = loop_now_ms() + ms; loop_now_ms() < end;)
        if (!loop_turn(probe->loop, (int)(end - loop_now_ms()), err))
            return false;
    return true;
}

static bool run(struct probe *probe, const char *line, struct err *err)
{
    char name[600] = "";
    int number = 0;
    long long ms = 0;
    probe->burst = strncmp(line, "burst ", 6) == 0;
    if (sscanf(line, "many %lld %d %599s", &ms, &number, name) == 3 ||
        sscanf(line, "burst %lld %d %599s", &ms, &number, name) == 3)
        return start_many(probe, ms, number, name, false, err);
    if (sscanf(line, "same %lld %d %599s", &ms, &number, name) == 3)
        return start_many(probe, ms, number, name, true, err);
    if (sscanf(line, "again %d %599s", &probe->again, name) == 2)
        return start_many(probe, AGAIN_MS, 1, name, true, err);
    if (sscanf(line, "cancel %599s", name) == 1)
        return cancel_one(probe, name, err);
    if (sscanf(line, "turn %lld", &ms) == 1)
        return turn_for(probe, ms, err);
    if (strncmp(line, "forget", 6) == 0) {
        kbs_client_forget(probe->client);
        return true;
    }
    if (sscanf(line, "attest %lld", &ms) != 1)
        return err_set(err, ERR_CONFIG, "unknown command: %s", line);
    probe->waiting++;
    if (!kbs_client_attest(probe->client, ms, on_token, probe, err)) {
        struct err told = *err;
        on_token(probe, NULL, &told);
    }
    return true;
}

static bool probe_main(const struct probe_args *arg, struct err *err)
{
    struct kbs_client_conf conf = {.urls = arg->urls.items,
        .url_count = arg->urls.count,
        .http = {.ca_file = arg->ca,
            .pinned_key = arg->pin,
            .proxy = arg->proxy,
            .proxy_credential = arg->proxy_credential,
            .no_proxy = arg->no_proxy.items,
            .no_proxy_count = arg->no_proxy.count,
            .allow_plain = arg->allow_plain,
            .connect_timeout_ms = arg->connect_ms},
        .attest_socket = arg->socket,
        .tee = arg->tee,
        .request_timeout_ms = arg->request_ms,
        .passport = {.file = arg->token_file},
        .attest_timeout_ms = arg->attest_ms,
        .resource_max = (size_t)arg->max};
    char line[1024];
    AUTO(loop_free) struct loop *loop = NULL;
    AUTO(crew_free) struct crew *crew = NULL;
    AUTO(kbs_client_free) struct kbs_client *client = NULL;
    if (!secret_init_process(1u << 20, err) || !loop_new(&loop, err) ||
        !crew_new(loop, 2, &crew, err))
        return false;
    conf.crew = crew;
    if (!kbs_client_new(loop, &conf, &client, err))
        return false;
    struct probe probe = {.loop = loop, .client = client};
    while (fgets(line, sizeof line, stdin)) {
        int64_t started = loop_now_ms();
        memset(probe.codes, 0, sizeof probe.codes);
        probe.wrong = 0;
        probe.last = (struct err)ERR_INIT;
        if (strncmp(line, "state", 5) == 0) {
            report_state(&probe);
            continue;
        }
        if (!run(&probe, line, err))
            return false;
        while (probe.waiting > 0)
            if (!loop_turn(loop, -1, err))
                return false;
        report(&probe, started);
        if (!probe.client)
            break;
    }
    client = probe.client;
    return true;
}

static const struct cli_option options[] = {
    {"url", 0, CLI_LIST, offsetof(struct probe_args, urls), "URL", "the KBS, or its replicas",
        .required = true},
    {"proxy", 0, CLI_TEXT, offsetof(struct probe_args, proxy), "URL", "HTTP proxy"},
    {"proxy-credential", 0, CLI_TEXT, offsetof(struct probe_args, proxy_credential), "FILE",
        "user:password"},
    {"no-proxy", 0, CLI_LIST, offsetof(struct probe_args, no_proxy), "HOST", "not through it"},
    {"token-file", 0, CLI_TEXT, offsetof(struct probe_args, token_file), "FILE",
        "a token and its key"},
    {"ca", 0, CLI_TEXT, offsetof(struct probe_args, ca), "FILE", "trusted certificates"},
    {"pin", 0, CLI_TEXT, offsetof(struct probe_args, pin), "PIN", "pinned key"},
    {"socket", 0, CLI_TEXT, offsetof(struct probe_args, socket), "PATH", "sealed-attestd",
        .required = true},
    {"tee", 0, CLI_TEXT, offsetof(struct probe_args, tee), "NAME", "announced TEE"},
    {"allow-plain", 0, CLI_FLAG, offsetof(struct probe_args, allow_plain), NULL,
        "plain HTTP anywhere"},
    {"request-ms", 0, CLI_INT, offsetof(struct probe_args, request_ms), "MS", "one request", 0,
        1000000},
    {"attest-ms", 0, CLI_INT, offsetof(struct probe_args, attest_ms), "MS", "one evidence", 0,
        1000000},
    {"connect-ms", 0, CLI_INT, offsetof(struct probe_args, connect_ms), "MS", "one connection", 0,
        1000000},
    {"max", 0, CLI_INT, offsetof(struct probe_args, max), "BYTES", "largest plaintext", 0, 1 << 20},
};

static const struct cli_command command = {.name = "kbs_probe",
    .operands = "",
    .summary = "drive the KBS client",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .args_size = sizeof(struct probe_args)};

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct probe_args args;
    char *operands[1] = {NULL};
    int operand_count = 0;
    bool done = false;
    log_init("kbs_probe", LOG_TARGET_STDERR, LOG_LEVEL_DEBUG);
    if (cli_parse(&command, argc, argv, &args, operands, &operand_count, &done, &err) &&
        (done || probe_main(&args, &err)))
        return 0;
    log_err(LOG_LEVEL_ERROR, &err, "kbs_probe");
    return err_info(err.code)->exit_status;
}
