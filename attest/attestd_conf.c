/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/attestd_conf.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "attest/boot_log.h"
#include "attest/wire.h"
#include "crypt/base/sandbox.h"

/* Persistent handles that owner authorization may set (TPM 2.0 Library part 2, 7.5). */
#define OWNER_HANDLE_FIRST 0x81000000
#define OWNER_HANDLE_LAST  0x817fffff

static const char *const tee_names[] = {"auto", "tpm", "sample", NULL};
static const char *const level_names[] = {"error", "warning", "notice", "info", "debug", NULL};

#define FIELD(member) offsetof(struct attestd_conf, member)

const struct conf_field attestd_fields[] = {
    {"attestd", "socket", CONF_PATH, FIELD(socket), .text_default = ATTEST_SOCKET_DEFAULT,
        .help = "socket to listen on; its directory is made if it is missing"},
    {"attestd", "user", CONF_TEXT, FIELD(user), .text_default = "sealed-attest",
        .help = "user to become when started as root"},
    {"attestd", "group", CONF_TEXT, FIELD(group), .text_default = "tss",
        .help = "additional group, which may open the TPM, or \"none\""},
    {"attestd", "allow_users", CONF_LIST, FIELD(allow_users), .text_default = "root sealedfs",
        .help = "users (names or numbers) whose processes get answers"},
    {"attestd", "rate", CONF_INT, FIELD(rate), .min = 1, .max = 1000, .text_default = "10",
        .help = "requests a second that one user may make"},
    {"attestd", "burst", CONF_INT, FIELD(burst), .min = 1, .max = 10000, .text_default = "50",
        .help = "requests that one user may make at once"},
    {"attestd", "rate_total", CONF_INT, FIELD(rate_total), .min = 1, .max = 1000,
        .text_default = "20", .help = "requests a second from all users together"},
    {"attestd", "burst_total", CONF_INT, FIELD(burst_total), .min = 1, .max = 10000,
        .text_default = "100", .help = "requests at once from all users together"},
    {"attestd", "deadline", CONF_DURATION, FIELD(deadline_ms), .min = 100, .max = 600000,
        .text_default = "30s", .help = "how long a request may wait for the TPM"},
    {"attestd", "tee", CONF_CHOICE, FIELD(tee), .choices = tee_names, .text_default = "auto",
        .help = "what makes evidence: tpm, sample, or auto (the TPM if there is one)"},
    {"attestd", "log_level", CONF_CHOICE, FIELD(log_level), .choices = level_names,
        .text_default = "info", .help = "least important messages to log"},
    {"tpm", "tcti", CONF_TEXT, FIELD(attester.tcti), .text_default = "device:/dev/tpmrm0",
        .help = "how to reach the TPM: device:PATH or swtpm:path=SOCKET"},
    {"tpm", "ak_handle", CONF_INT, FIELD(attester.ak_handle), .min = OWNER_HANDLE_FIRST,
        .max = OWNER_HANDLE_LAST, .text_default = "0x81010002",
        .help = "persistent handle of the attestation key"},
    {"tpm", "event_log", CONF_TEXT, FIELD(attester.event_log), .text_default = BOOT_LOG_DEFAULT,
        .help = "the firmware's event log, which goes with the evidence so that a refusal can be "
                "explained, or \"none\""},
    {"sample", "enabled", CONF_BOOL, FIELD(attester.sample_enabled), .text_default = "no",
        .help = "allow sample evidence, which proves nothing; for tests only"},
};
const size_t attestd_field_count = ARRAY_LEN(attestd_fields);

/* Only local ones: the system call filter gives this process no network, so say it here and not by killing it. */
static bool check_tcti(const char *tcti, struct err *err)
{
    static const char *const schemes[] = {"device:/", "swtpm:path=/"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (strncmp(tcti, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return err_set(err, ERR_CONFIG,
        "[tpm] tcti = %s: device:/PATH and swtpm:path=/PATH are taken (no network)", tcti);
}

static bool check_event_log(const char *path, struct err *err)
{
    if (path[0] == '/' || strcmp(path, BOOT_LOG_NONE) == 0)
        return true;
    return err_set(
        err, ERR_CONFIG, "[tpm] event_log = %s: an absolute path or \"none\" is taken", path);
}

static bool parse_uid(const char *text, uid_t *ret_uid)
{
    char *end = NULL;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || value >= (uid_t)-1)
        return false;
    *ret_uid = (uid_t)value;
    return true;
}

static bool has_uid(const struct attestd_uids *uids, uid_t uid)
{
    for (size_t i = 0; i < uids->count; i++)
        if (uids->items[i] == uid)
            return true;
    return false;
}

bool attestd_conf_uids(
    const struct attestd_conf *conf, struct attestd_uids *ret_uids, struct err *err)
{
    struct attestd_uids uids = {.count = 0};
    for (size_t i = 0; i < conf->allow_users.count; i++) {
        uid_t uid;
        gid_t gid;
        const char *name = conf->allow_users.items[i];
        if (!parse_uid(name, &uid) && !sandbox_user_ids(name, &uid, &gid, err))
            return err_wrap(err, "[attestd] allow_users");
        if (has_uid(&uids, uid))
            continue;
        if (uids.count == ATTESTD_UIDS_MAX)
            return err_set(
                err, ERR_CONFIG, "[attestd] allow_users: at most %d users", ATTESTD_UIDS_MAX);
        uids.items[uids.count++] = uid;
    }
    if (uids.count == 0)
        return err_set(err, ERR_CONFIG, "[attestd] allow_users is empty: nobody would get answers");
    *ret_uids = uids;
    return true;
}

bool attestd_conf_attester(
    const struct attestd_conf *conf, const struct attester **ret_attester, struct err *err)
{
    return attester_choose(tee_names[conf->tee], &conf->attester, ret_attester, err);
}

bool attestd_conf_load(const char *path, struct attestd_conf *ret_conf, struct err *err)
{
    struct attestd_conf conf = {0};
    const struct attester *attester = NULL;
    if (!conf_load(path, attestd_fields, attestd_field_count, &conf, err))
        return false;
    if (!check_tcti(conf.attester.tcti, err) || !check_event_log(conf.attester.event_log, err) ||
        !attestd_conf_attester(&conf, &attester, err)) {
        attestd_conf_done(&conf);
        return path ? err_wrap(err, "%s", path) : false;
    }
    *ret_conf = conf;
    return true;
}

void attestd_conf_done(struct attestd_conf *conf)
{
    conf_done(conf, attestd_fields, attestd_field_count);
}
