/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/sealedfs_conf.h"

#include <errno.h>
#include <string.h>

#include "crypt/base/log.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)
#define DAY    (24 * 60 * MINUTE)
#define MIB    (1024 * 1024)

static const char *const contexts[] = {"required", "when-present", NULL};
static const char *const signatures[] = {"required", "optional", NULL};
/* In the order of enum log_level. */
static const char *const levels[] = {"error", "warning", "notice", "info", "debug", NULL};

#define AT(member) offsetof(struct sealedfs_conf, member)

static const struct conf_field fields[] = {
    {"kbs", "url", CONF_TEXT, AT(kbs.url), .help = "the key broker, https://host:port"},
    {"kbs", "ca_file", CONF_PATH, AT(kbs.ca_file),
        .help = "certificates that may sign the broker's (PEM); default: the system's"},
    {"kbs", "pinned_key", CONF_TEXT, AT(kbs.pinned_key),
        .help = "public key of the broker, sha256//BASE64, several with ;"},
    {"kbs", "proxy", CONF_TEXT, AT(kbs.proxy), .help = "HTTP proxy; default: none"},
    {"kbs", "allow_plain", CONF_BOOL, AT(kbs.allow_plain), .text_default = "no",
        .help = "take http:// to other hosts than loopback"},
    {"kbs", "request_timeout", CONF_DURATION, AT(kbs.request_timeout_ms), 100, 10 * MINUTE,
        .text_default = "10s", .help = "one HTTP request"},
    {"kbs", "keep", CONF_DURATION, AT(kbs.keep_ms), 0, DAY, .text_default = "5m",
        .help = "how long signing and wrapping keys are kept; 0s: not at all"},
    {"attest", "socket", CONF_PATH, AT(attest.socket), .text_default = "/run/sealedfs/attestd.sock",
        .help = "socket of sealed-attestd"},
    {"attest", "tee", CONF_TEXT, AT(attest.tee),
        .help = "kind of evidence to announce; default: ask"},
    {"attest", "timeout", CONF_DURATION, AT(attest.timeout_ms), 100, 10 * MINUTE,
        .text_default = "20s", .help = "one piece of evidence"},
    {"secrets", "ttl", CONF_DURATION, AT(secrets.ttl_ms), 0, DAY, .text_default = "5m",
        .help = "how long a plaintext is kept; 0s: not at all"},
    {"secrets", "error_ttl", CONF_DURATION, AT(secrets.error_ttl_ms), 0, MINUTE,
        .text_default = "1s", .help = "how long a refusal is repeated without asking again"},
    {"secrets", "maximum", CONF_SIZE, AT(secrets.maximum), 1, MIB, .text_default = "1M",
        .help = "largest plaintext, and the size shown while the true one is not known"},
    {"secrets", "memory", CONF_SIZE, AT(secrets.memory), 0, 1024 * (int64_t)MIB,
        .text_default = "4M",
        .help = "locked memory for plaintexts that are kept; each takes whole pages"},
    {"secrets", "open_timeout", CONF_DURATION, AT(secrets.open_timeout_ms), 10, 10 * MINUTE,
        .text_default = "30s", .help = "how long an open waits for a secret"},
    {"secrets", "context_prefix", CONF_TEXT, AT(secrets.context_prefix),
        .help = "put before the path to make the context that a sealed secret must name"},
    {"secrets", "context", CONF_CHOICE, AT(secrets.context), .choices = contexts,
        .text_default = "when-present", .help = "must a sealed secret name its context?"},
    {"secrets", "signature", CONF_CHOICE, AT(secrets.signature), .choices = signatures,
        .text_default = "required", .help = "must a sealed secret be signed?"},
    {"secrets", "signers", CONF_LIST, AT(secrets.signers),
        .help = "key URIs that may sign; default: any resource of type signing-key"},
    {"secrets", "signer_files", CONF_PATH, AT(secrets.signer_files),
        .help = "directory of public keys (JWK) that a signer's file name is looked up in"},
    {"secrets", "vault_prefixes", CONF_LIST, AT(secrets.vault_prefixes),
        .help = "URI prefixes that a sealed secret may name; default: any"},
    {"control", "socket", CONF_PATH, AT(control.socket),
        .text_default = "/run/sealedfs/control.sock", .help = "socket for the program sealed"},
    {"control", "allow_users", CONF_LIST, AT(control.allow_users),
        .help = "users beside root that may ask there"},
    {"mount", "user", CONF_TEXT, AT(mount.user), .text_default = "sealedfs",
        .help = "user that serves the mount and holds the plaintext"},
    {"mount", "threads", CONF_INT, AT(mount.threads), 1, 16, .text_default = "3",
        .help = "threads that serve the kernel's requests"},
    {"mount", "stop_timeout", CONF_DURATION, AT(mount.stop_ms), 0, MINUTE, .text_default = "2s",
        .help = "how long a busy mount is waited for at the end before it is detached"},
    {"mount", "log_level", CONF_CHOICE, AT(mount.log_level), .choices = levels,
        .text_default = "info", .help = "least important message that is logged"},
};

/* What mount(8), mount.fuse3(8) and fstab bring along. A sealedfs mount is what it is; none of
 * these changes it. */
static const char *const ignored[] = {"rw", "ro", "suid", "nosuid", "dev", "nodev", "exec",
    "noexec", "allow_other", "default_permissions", "auto", "noauto", "user", "nouser", "users",
    "owner", "group", "defaults", "nofail", "_netdev", "atime", "noatime", "relatime", "norelatime",
    "strictatime", "diratime", "nodiratime", "sync", "async", "lazytime", "nolazytime"};

static bool is_ignored(const char *option)
{
    if (strncmp(option, "x-", 2) == 0 || strncmp(option, "comment=", 8) == 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        if (strcmp(option, ignored[i]) == 0)
            return true;
    return false;
}

/* Takes "config=FILE" out of the options; malloc'd or NULL. */
static bool find_config(char *options, char **ret_path, struct err *err)
{
    for (char *rest = options, *word; (word = strsep(&rest, ","));) {
        if (strncmp(word, "config=", 7) == 0) {
            *ret_path = strdup(word + 7);
            return *ret_path || err_nomem(err);
        }
    }
    return true;
}

static bool assign_option(struct sealedfs_conf *conf, char *word, struct err *err)
{
    if (*word == '\0' || is_ignored(word) || strncmp(word, "config=", 7) == 0)
        return true;
    char *value = strchr(word, '=');
    if (!value)
        return err_set(err, ERR_CONFIG, "option -o %s: not known, or a value is missing", word);
    *value++ = '\0';
    return conf_assign(conf, fields, ARRAY_LEN(fields), "option -o", word, value, err);
}

static bool assign_options(struct sealedfs_conf *conf, const char *options, struct err *err)
{
    auto_free char *copy = strdup(options);
    if (!copy)
        return err_nomem(err);
    for (char *rest = copy, *word; (word = strsep(&rest, ","));)
        if (!assign_option(conf, word, err))
            return false;
    return true;
}

static bool check(const struct sealedfs_conf *conf, struct err *err)
{
    if (conf->secrets.memory > 0 && conf->secrets.memory < conf->secrets.maximum)
        return err_set(err, ERR_CONFIG,
            "secrets.memory (%lld bytes) is less than secrets.maximum (%lld): the largest secret "
            "could never be kept; raise memory, lower maximum, or set memory = 0 to keep none",
            (long long)conf->secrets.memory, (long long)conf->secrets.maximum);
    return true;
}

bool sealedfs_conf_load(
    const char *path, const char *options, struct sealedfs_conf *ret_conf, struct err *err)
{
    auto_free char *copy = strdup(options ? options : "");
    auto_free char *named = NULL;
    if (!copy)
        return err_nomem(err);
    if (!find_config(copy, &named, err))
        return false;
    if (named)
        path = named;
    if (path && *path != '/')
        return err_set(err, ERR_CONFIG,
            "configuration %s: the path must be absolute (the worker reads it again, from /)",
            path);
    if (!path && access(SEALEDFS_CONF_DEFAULT, F_OK) == 0)
        path = SEALEDFS_CONF_DEFAULT;
    struct sealedfs_conf conf = {0};
    if (!conf_load(path, fields, ARRAY_LEN(fields), &conf, err))
        return false;
    if (!assign_options(&conf, options ? options : "", err) || !check(&conf, err)) {
        sealedfs_conf_done(&conf);
        return false;
    }
    *ret_conf = conf;
    return true;
}

void sealedfs_conf_done(struct sealedfs_conf *conf)
{
    conf_done(conf, fields, ARRAY_LEN(fields));
}

bool sealedfs_conf_sample(int fd, struct err *err)
{
    return conf_print_sample(fields, ARRAY_LEN(fields), fd, err);
}
