/* SPDX-License-Identifier: Apache-2.0 */
/* sealed kbs collateral status|fetch|import|delete: what AMD and Intel publish about machines, in the broker's cache (kbs/server/outbound/collateral_source.h). */
#include "fs/cli/broker.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "crypt/base/b64.h"
#include "kbs/server/outbound/collateral_files.h"

#define ROUTE "/collateral"

struct collateral_args {
    struct broker_args broker;
    bool json, standard;
    struct cli_list fmspcs, generations, chips;
};

static const struct cli_option status_options[] = {
    {"json", 0, CLI_FLAG, offsetof(struct collateral_args, json), NULL, "print JSON"},
    BROKER_OPTIONS,
};
static const struct cli_option fetch_options[] = {
    {"fmspc", 0, CLI_LIST, offsetof(struct collateral_args, fmspcs), "HEX",
        "all that TDX evidence of such a platform needs"},
    {"generation", 0, CLI_LIST, offsetof(struct collateral_args, generations), "NAME",
        "AMD's CAs and CRL for Milan, Genoa or Turin"},
    {"chip", 0, CLI_LIST, offsetof(struct collateral_args, chips), "GENERATION/CHIP-ID/TCB",
        "the certificate of one of AMD's chips"},
    BROKER_OPTIONS,
};
static const struct cli_option import_options[] = {
    {"standard", 0, CLI_FLAG, offsetof(struct collateral_args, standard), NULL,
        "of a PCS Client Tool's file, the standard publication and not the early one"},
    BROKER_OPTIONS,
};
static const struct cli_option delete_options[] = {BROKER_OPTIONS};

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_member_text(object, name);
    return text ? text : "";
}

/* -- status -------------------------------------------------------------------------------------------- */

static bool print_service(const json_t *service, struct err *err)
{
    long long rests = (long long)json_integer_value(json_object_get(service, "rests_s"));
    if (rests == 0)
        return tool_printf(err, "asks %s at %s\n", member(service, "name"), member(service, "url"));
    return tool_printf(err, "asks %s at %s, again in %lld s: %s\n", member(service, "name"),
        member(service, "url"), rests, member(service, "why"));
}

static bool print_object(const json_t *object, struct err *err)
{
    bool fetched = json_is_true(json_object_get(object, "service"));
    return tool_printf(err, "%-10s  until %s  from %s  %s%s\n", member(object, "state"),
        member(object, "until"), member(object, "origin"), member(object, "name"),
        fetched ? "" : "  (no service is asked for it)");
}

static bool run_status(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct collateral_args *args = options;
    auto_broker *broker = NULL;
    auto_json *status = NULL;
    size_t i;
    const json_t *item;
    (void)operands, (void)operand_count;
    if (!broker_open(&args->broker, &broker, err) || !broker_get_json(broker, ROUTE, &status, err))
        return false;
    if (args->json)
        return tool_print_json(status, err);
    const json_t *services = json_object_get(status, "services");
    const json_t *objects = json_object_get(status, "objects");
    if (json_array_size(services) == 0 && !tool_printf(err, "asks no service\n"))
        return false;
    json_array_foreach(services, i, item)
    {
        if (!print_service(item, err))
            return false;
    }
    json_array_foreach(objects, i, item)
    {
        if (!print_object(item, err))
            return false;
    }
    return !json_is_true(json_object_get(status, "more")) || tool_printf(err, "… and more\n");
}

/* -- fetch --------------------------------------------------------------------------------------------- */

static bool fetch_one(const struct broker *broker, const char *name, struct err *err)
{
    auto_json *body = NULL, *answer = NULL;
    if (!collateral_name_ok(name))
        return err_set(err, ERR_CONFIG,
            "\"%.80s\" is no name of a collateral object; sealed(1) says what names there are",
            name);
    return json_build(&body, err, "{s:s}", "name", name) &&
           broker_post_json(broker, ROUTE "/fetch", body, &answer, err) &&
           tool_printf(err, "%s until %s\n", name, member(answer, "until"));
}

/* Goes on after a failure, so that one object that is not to be had does not keep the others away; the last failure is told at the end. */
struct fetching {
    const struct broker *broker;
    bool failed;
    struct err cause;
};

static void fetch_next(struct fetching *fetching, const char *name)
{
    struct err err = ERR_INIT;
    if (fetch_one(fetching->broker, name, &err))
        return;
    if (fetching->failed)
        fprintf(stderr, "sealed: %s\n", fetching->cause.message);
    err_wrap(&err, "%s", name);
    fetching->failed = true;
    fetching->cause = err;
}

static void fetch_platform(struct fetching *fetching, const char *fmspc)
{
    static const char *const common[] = {
        "intel/qe-identity", "intel/root-crl", "intel/pck-crl/platform", "intel/pck-crl/processor"};
    char name[COLLATERAL_NAME_MAX];
    snprintf(name, sizeof name, "intel/tcb/%.40s", fmspc);
    for (char *at = name + strlen("intel/tcb/"); *at; at++)
        *at = (char)toupper((unsigned char)*at);
    fetch_next(fetching, name);
    for (size_t i = 0; i < ARRAY_LEN(common); i++)
        fetch_next(fetching, common[i]);
}

static void fetch_generation(struct fetching *fetching, const char *generation)
{
    static const char *const kinds[] = {"chain", "vlek-chain", "crl"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char name[COLLATERAL_NAME_MAX];
        snprintf(name, sizeof name, "amd/%s/%.40s", kinds[i], generation);
        fetch_next(fetching, name);
    }
}

static bool run_fetch(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct collateral_args *args = options;
    auto_broker *broker = NULL;
    if (operand_count + args->fmspcs.count + args->generations.count + args->chips.count == 0)
        return err_set(err, ERR_CONFIG, "fetch what? A NAME, --fmspc, --generation or --chip");
    if (!broker_open(&args->broker, &broker, err))
        return false;
    struct fetching fetching = {.broker = broker};
    for (int i = 0; i < operand_count; i++)
        fetch_next(&fetching, operands[i]);
    for (size_t i = 0; i < args->fmspcs.count; i++)
        fetch_platform(&fetching, args->fmspcs.items[i]);
    for (size_t i = 0; i < args->generations.count; i++)
        fetch_generation(&fetching, args->generations.items[i]);
    for (size_t i = 0; i < args->chips.count; i++) {
        char name[COLLATERAL_NAME_MAX];
        snprintf(name, sizeof name, "amd/vcek/%.200s", args->chips.items[i]);
        fetch_next(&fetching, name);
    }
    if (fetching.failed)
        *err = fetching.cause;
    return !fetching.failed;
}

/* -- import -------------------------------------------------------------------------------------------- */

struct sending {
    const struct broker *broker;
    size_t kept, older;
};

static bool send(
    void *context, const char *name, struct bytes body, struct bytes chain, struct err *err)
{
    struct sending *sending = context;
    auto_json *message = NULL, *answer = NULL;
    auto_free char *encoded = b64_encode(B64_STD, body);
    auto_free char *pem = strndup(chain.len > 0 ? (const char *)chain.data : "", chain.len);
    if (!encoded || !pem)
        return err_nomem(err);
    if (!json_build(
            &message, err, "{s:s, s:s, s:s}", "name", name, "body", encoded, "chain", pem) ||
        !broker_post_json(sending->broker, ROUTE, message, &answer, err))
        return err_wrap(err, "%s", name);
    bool kept = json_is_true(json_object_get(answer, "kept"));
    sending->kept += kept;
    sending->older += !kept;
    return tool_printf(err, "%s until %s%s\n", name, member(answer, "until"),
        kept ? "" : " (the broker had a newer one)");
}

static bool run_import(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct collateral_args *args = options;
    auto_broker *broker = NULL;
    if (!broker_open(&args->broker, &broker, err))
        return false;
    struct sending sending = {.broker = broker};
    struct collateral_files files = {
        .update = args->standard ? COLLATERAL_PCS_STANDARD : COLLATERAL_PCS_EARLY,
        .take = send,
        .context = &sending};
    for (int i = 0; i < operand_count; i++)
        if (!collateral_files_read(&files, operands[i], err))
            return false;
    if (files.objects == 0)
        return err_set(err, ERR_CONFIG, "no collateral among %zu files", files.others);
    return tool_printf(err, "%zu imported, %zu older than the broker's, %zu other files\n",
        sending.kept, sending.older, files.others);
}

static bool run_delete(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct collateral_args *args = options;
    auto_broker *broker = NULL;
    auto_buf answer = BUF_INIT(BROKER_ANSWER_MAX);
    char path[COLLATERAL_NAME_MAX + sizeof ROUTE + 1];
    (void)operand_count;
    if (!collateral_name_ok(operands[0]))
        return err_set(err, ERR_CONFIG, "\"%.80s\" is no name of a collateral object", operands[0]);
    snprintf(path, sizeof path, ROUTE "/%s", operands[0]);
    return broker_open(&args->broker, &broker, err) &&
           broker_call(broker, "DELETE", path, BYTES_EMPTY, &answer, err) &&
           tool_printf(err, "%s deleted\n", operands[0]);
}

#define COLLATERAL_COMMAND(variable, verb, operand, min, max, text, more, table, function) \
    const struct cli_command variable = {                                                  \
        .name = "kbs collateral " verb,                                                    \
        .operands = operand,                                                               \
        .operands_min = min,                                                               \
        .operands_max = max,                                                               \
        .summary = text,                                                                   \
        .detail = more,                                                                    \
        .options = table,                                                                  \
        .option_count = ARRAY_LEN(table),                                                  \
        .args_size = sizeof(struct collateral_args),                                       \
        .run = function,                                                                   \
    }

#define OPERANDS_MAX 1000

COLLATERAL_COMMAND(tool_kbs_collateral_status, "status", "", 0, 0,
    "show the certificates, CRLs and TCB info of AMD and Intel that the broker keeps",
    "First the services that it asks; then one object a line: good, due (fetched anew when it is "
    "asked for next), expired\nor unreadable; until when; from where; its name.",
    status_options, run_status);
COLLATERAL_COMMAND(tool_kbs_collateral_fetch, "fetch", "[NAME...]", 0, OPERANDS_MAX,
    "have the broker fetch collateral from AMD or Intel now",
    "NAME is as kbs collateral status shows it and kbs explain names it.", fetch_options,
    run_fetch);
COLLATERAL_COMMAND(tool_kbs_collateral_import, "import", "FILE|DIR...", 1, OPERANDS_MAX,
    "give collateral to a broker that has no way to AMD and Intel",
    "Takes a file of Intel's PCS Client Tool, certificates of AMD's chips, cert_chain files and "
    "CRLs, and directories of them.",
    import_options, run_import);
COLLATERAL_COMMAND(tool_kbs_collateral_delete, "delete", "NAME", 1, 1,
    "drop an object from the broker's cache", NULL, delete_options, run_delete);
