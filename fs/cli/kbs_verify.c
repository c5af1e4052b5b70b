/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed kbs verify: is this evidence genuine, and what does it claim? Offline and without a server; who may have what is not asked.
 * Files are read first; then the process shuts itself off (it may still open what is below --vcek-store) and looks at the evidence.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <time.h>

#include "attest/verify/collateral_pcs.h"
#include "attest/verify/tpm_structs.h"
#include "attest/verify/verify.h"
#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "crypt/base/landlock.h"
#include "crypt/base/sandbox.h"
#include "fs/cli/tool.h"
#include "fs/cli/vcek_store.h"
#include "kbs/server/pem_dir.h"

#define BOUND_MAX    64 /* bytes of report data and init data */
#define ROUNDS       3  /* an object that was got may show that another is needed */
#define EXIT_REFUSED 1

struct verify_args {
    const char *tee, *evidence, *report_data, *init_data, *at, *roots, *collateral, *vcek_store;
    bool collateral_optional;
};

static const struct cli_option options_table[] = {
    {"tee", 't', CLI_TEXT, offsetof(struct verify_args, tee), "TEE",
        "what made it: tpm, snp, tdx, az-snp-vtpm, az-tdx-vtpm, sample…", .required = true},
    {"evidence", 'e', CLI_TEXT, offsetof(struct verify_args, evidence), "FILE",
        "the JSON that travels on the wire; - is standard input", .required = true},
    {"report-data", 0, CLI_TEXT, offsetof(struct verify_args, report_data), "HEX",
        "what the evidence must be bound to; without it that is not checked"},
    {"init-data", 0, CLI_TEXT, offsetof(struct verify_args, init_data), "HEX",
        "digest of the init data that the guest must have been started with"},
    {"at", 0, CLI_TEXT, offsetof(struct verify_args, at), "RFC3339",
        "judge dates by this time instead of now"},
    {"roots", 0, CLI_TEXT, offsetof(struct verify_args, roots), "DIR",
        "trust the PEM certificates in DIR instead of AMD's and Intel's keys"},
    {"collateral", 0, CLI_TEXT, offsetof(struct verify_args, collateral), "FILE",
        "Intel's collateral, as its PCS Client Tool writes it"},
    {"collateral-optional", 0, CLI_FLAG, offsetof(struct verify_args, collateral_optional), NULL,
        "take TDX evidence without collateral as Unverified"},
    {"vcek-store", 0, CLI_TEXT, offsetof(struct verify_args, vcek_store), "DIR",
        "certificates of AMD's chips, for evidence that brings none"},
};

/* What was read before the door was shut. */
struct material {
    struct buf evidence, roots, collateral, chains;
    uint8_t report_data[BOUND_MAX], init_data[BOUND_MAX];
    json_t *json;
    struct anchors *anchors;
    struct collateral *set;
};

static void material_done(struct material *material)
{
    buf_done(&material->evidence);
    buf_done(&material->roots);
    buf_done(&material->collateral);
    buf_done(&material->chains);
    json_unref(material->json);
    anchors_free(material->anchors);
    collateral_free(material->set);
}

/* -- reading ------------------------------------------------------------------------------------------ */

/* A file that is not there or a directory that is none is a wrong command line; a device that fails is not. */
static bool as_usage(struct err *err)
{
    if (err->code == ERR_NOTFOUND || err->code == ERR_FORMAT)
        err->code = ERR_CONFIG;
    return false;
}

static bool read_hex(const char *text, const char *option, uint8_t out[BOUND_MAX],
    struct bytes *ret_bytes, struct err *err)
{
    size_t len = text ? strlen(text) : 0;
    if (!text)
        return true;
    if (len == 0 || len % 2 != 0 || len > 2 * BOUND_MAX)
        return err_set(err, ERR_CONFIG, "%s: 2 to %d hex digits are taken, an even number of them",
            option, 2 * BOUND_MAX);
    if (!hex_decode(bytes_str(text), option, out, len / 2, err))
        return as_usage(err);
    *ret_bytes = bytes_of(out, len / 2);
    return true;
}

static bool read_input(const struct verify_args *args, struct material *material,
    struct verify_input *input, struct err *err)
{
    input->now = clock_wall_s();
    input->unbound = !args->report_data;
    input->collateral_optional = args->collateral_optional;
    if (args->at && !clock_parse_rfc3339(bytes_str(args->at), "--at", &input->now, err))
        return as_usage(err);
    return read_hex(args->report_data, "--report-data", material->report_data, &input->report_data,
               err) &&
           read_hex(args->init_data, "--init-data", material->init_data, &input->init_data, err);
}

/* More than the verifier takes is read to be refused by it. */
static bool read_files(const struct verify_args *args, struct material *material, struct err *err)
{
    if (!tool_read(args->evidence, VERIFY_EVIDENCE_MAX + 1, &material->evidence, err) &&
        err->code != ERR_FORMAT)
        return as_usage(err);
    if ((args->roots && !pem_dir_read(args->roots, PEM_DIR_ALL, &material->roots, err)) ||
        (args->collateral &&
            !tool_read(args->collateral, COLLATERAL_PCS_MAX, &material->collateral, err)) ||
        (args->vcek_store && !vcek_store_chains(args->vcek_store, &material->chains, err)))
        return as_usage(err);
    return true;
}

/* The tool has what its user has, not a service's keys: in a container or under a debugger that takes no filters the answer is worth as
 * much, and is given; which of its walls are missing is told. */
static bool go_on(struct err *err)
{
    if (err->code == ERR_NOMEM)
        return false;
    fprintf(
        stderr, "sealed: going on with less protection against the evidence: %s\n", err->message);
    err_clear(err);
    return true;
}

/* What OpenSSL, jansson and libc open on first use is opened before. */
static bool shut(const struct verify_args *args, struct err *err)
{
    static const char *const syscalls[] = {"openat", "newfstatat", "fstat", "lseek", NULL};
    static const struct sandbox_rule is_terminal[] = {{"ioctl", STDOUT_FILENO}};
    const struct landlock_rule rules[] = {{args->vcek_store, LANDLOCK_READ}};
    struct hash hash;
    auto_json *seeds = json_object();
    tzset();
    if (!seeds ||
        OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_LOAD_CONFIG, NULL) != 1)
        return err_nomem(err);
    return hash_bytes(HASH_SHA384, BYTES_EMPTY, &hash, err) &&
           (landlock_enter(rules, ARRAY_LEN(rules), LANDLOCK_NET_NONE, err) || go_on(err)) &&
           (sandbox_seccomp_rules(syscalls, is_terminal, ARRAY_LEN(is_terminal), err) ||
               go_on(err));
}

/* -- looking ------------------------------------------------------------------------------------------- */

static bool parse(const struct verify_args *args, struct material *material,
    struct verify_input *input, struct verdict *verdict, struct err *err)
{
    if (args->roots && !anchors_new(buf_bytes(&material->roots), false, &material->anchors, err)) {
        err_wrap(err, "--roots");
        return as_usage(err);
    }
    if (!json_load_strict(buf_bytes(&material->evidence), VERIFY_EVIDENCE_MAX, "evidence",
            &material->json, err)) {
        if (err->code != ERR_FORMAT)
            return false;
        verdict_fail(verdict, "evidence", err->message, "JSON as it travels on the wire");
    }
    input->evidence = material->json;
    input->anchors = material->anchors;
    input->collateral = material->set;
    return true;
}

/* False in *ret_more: nothing of what was needed is here. */
static bool get_needs(const struct verify_args *args, const struct verdict *verdict,
    struct material *material, bool *ret_more, struct err *err)
{
    struct bytes body;
    *ret_more = false;
    if (args->collateral &&
        !collateral_pcs_load(buf_bytes(&material->collateral), COLLATERAL_PCS_EARLY, verdict->needs,
            verdict->need_count, material->set, err)) {
        err_wrap(err, "--collateral");
        return as_usage(err);
    }
    for (size_t i = 0; i < verdict->need_count; i++) {
        const char *name = verdict->needs[i];
        if (args->vcek_store && !vcek_store_get(args->vcek_store, buf_bytes(&material->chains),
                                    name, material->set, err))
            return as_usage(err);
        *ret_more = *ret_more || collateral_get(material->set, name, &body, NULL);
    }
    return true;
}

static bool look(const struct verify_args *args, const struct verifier *verifier,
    struct material *material, struct verify_input *input, struct verdict *verdict, struct err *err)
{
    bool more = true;
    if (!parse(args, material, input, verdict, err))
        return false;
    /* What is optional counts all the same where it is at hand: so it is asked for first. */
    input->collateral_optional = false;
    for (int round = 0; material->json && more && round < ROUNDS; round++) {
        verdict_done(verdict);
        *verdict = (struct verdict){0};
        if (!verify_evidence(verifier, input, verdict, err))
            return false;
        if (verdict->reason_count > 0 || verdict->need_count == 0)
            break;
        if (!get_needs(args, verdict, material, &more, err))
            return false;
    }
    if (args->collateral_optional && verdict->reason_count == 0 && verdict->need_count > 0) {
        input->collateral_optional = true;
        verdict_done(verdict);
        *verdict = (struct verdict){0};
        if (!verify_evidence(verifier, input, verdict, err))
            return false;
    }
    verdict_refuse_needs(verdict);
    return true;
}

/* -- telling ------------------------------------------------------------------------------------------- */

static void print_reasons(const struct verify_args *args, const struct verdict *verdict)
{
    fprintf(stderr, "sealed: %s evidence is refused: %zu failed check%s\n", args->tee,
        verdict->reason_count, verdict->reason_count == 1 ? "" : "s");
    for (size_t i = 0; i < verdict->reason_count; i++) {
        const struct verify_reason *reason = &verdict->reasons[i];
        fprintf(stderr, "%s: got %s; expected %s\n", reason->check, reason->got, reason->expected);
    }
}

/* An error of a kind that has no exit status here is trouble of our own. */
static bool verify_material(const struct verify_args *args, struct material *material,
    struct verdict *verdict, struct err *err)
{
    struct verify_input input = {0};
    const struct verifier *verifier = verifier_find(args->tee);
    if (!verifier)
        return err_set(
            err, ERR_CONFIG, "--tee: no kind of evidence is called \"%.40s\"", args->tee);
    if (!read_input(args, material, &input, err) || !read_files(args, material, err) ||
        !collateral_new(&material->set, err) || !shut(args, err) ||
        !look(args, verifier, material, &input, verdict, err)) {
        if (err->code != ERR_CONFIG && err->code != ERR_NOMEM)
            err->code = ERR_INTERNAL;
        return false;
    }
    if (input.unbound)
        fputs("sealed: no --report-data: whether the evidence is fresh and meant for you is not "
              "checked\n",
            stderr);
    return true;
}

static bool run(const void *args_ptr, char **operands, int operand_count, struct err *err)
{
    const struct verify_args *args = args_ptr;
    (void)operands, (void)operand_count;
    tpm_structs_silence();
    AUTO_DONE(material_done)
    struct material material = {
        .evidence = BUF_INIT(VERIFY_EVIDENCE_MAX + 1),
        .roots = BUF_INIT(ANCHORS_PEM_MAX),
        .collateral = BUF_INIT(COLLATERAL_PCS_MAX),
        .chains = BUF_INIT(VCEK_STORE_PEM_MAX),
    };
    auto_verdict verdict = {0};
    if (!verify_material(args, &material, &verdict, err))
        return false;
    if (verdict.reason_count == 0)
        return tool_print_json(verdict.claims, err);
    print_reasons(args, &verdict);
    exit(EXIT_REFUSED);
}

const struct cli_command tool_kbs_verify = {
    .name = "kbs verify",
    .operands = "",
    .summary = "verify evidence without a server, and print its claims",
    .detail = "Exit status: 0 and the claims on standard output; 1 and every failed check on "
              "standard error; 2 for a\n"
              "wrong command line; 3 for trouble of our own. Enrolment and policy are the broker's "
              "business.",
    .options = options_table,
    .option_count = ARRAY_LEN(options_table),
    .args_size = sizeof(struct verify_args),
    .run = run,
};
