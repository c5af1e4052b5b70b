/* SPDX-License-Identifier: Apache-2.0 */
/* Every key of sealedfs.conf: the documentation that --print-sample prints and sealedfs(8) is checked against. */
#include "fs/sealedfs_fields.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)
#define DAY    (24 * 60 * (int64_t)MINUTE)
#define MIB    (1024 * 1024)

static const char *const contexts[] = {"required", "when-present", NULL};
static const char *const signatures[] = {"required", "optional", NULL};
/* In the order of enum log_level. */
static const char *const levels[] = {"error", "warning", "notice", "info", "debug", NULL};
/* In the order of the enums of sealedfs_conf.h. */
static const char *const caches[] = {"direct", "page", NULL};
static const char *const verdicts[] = {"allow", "deny", NULL};
static const char *const audits[] = {"off", "best-effort", "required", NULL};

#define AT(member) offsetof(struct sealedfs_conf, member)

#define KBS_FIELDS(type, at)                                                                      \
    {"kbs", "ca_file", CONF_PATH, offsetof(type, at ca_file),                                     \
        .help = "certificates that may sign the broker's (PEM); default: the system's"},          \
        {"kbs", "pinned_key", CONF_TEXT, offsetof(type, at pinned_key),                           \
            .help = "public key of the broker, sha256//BASE64, several with ;"},                  \
        {"kbs", "proxy", CONF_TEXT, offsetof(type, at proxy),                                     \
            .help = "HTTP proxy, http://host:port; default: none"},                               \
        {"kbs", "proxy_credential", CONF_CREDENTIAL, offsetof(type, at proxy_credential),         \
            .group_ok = true, .help = "file with user:password for the proxy"},                   \
        {"kbs", "no_proxy", CONF_LIST, offsetof(type, at no_proxy),                               \
            .help = "hosts and domains that are reached without the proxy"},                      \
        {"kbs", "allow_plain", CONF_BOOL, offsetof(type, at allow_plain), .text_default = "no",   \
            .help = "take http:// to other hosts than loopback"},                                 \
        {"kbs", "continuous", CONF_BOOL, offsetof(type, at continuous), .text_default = "no",     \
            .help = "attest in the background, so that a token never ends; no: when the broker "  \
                    "asks for it"},                                                               \
        {"kbs", "token_file", CONF_PATH, offsetof(type, at token_file),                           \
            .help = "take the token and its key from this file instead of attesting"},            \
        {"kbs", "token_command", CONF_TEXT, offsetof(type, at token_command),                     \
            .help = "or from the output of this program, an absolute path and its words"},        \
        {"kbs", "token_user", CONF_TEXT, offsetof(type, at token_user), .text_default = "nobody", \
            .help = "user that runs token_command"},                                              \
    {                                                                                             \
        "kbs", "request_timeout", CONF_DURATION, offsetof(type, at request_timeout_ms), 100,      \
            10 * MINUTE, .text_default = "10s",                                                   \
                         .help = "one HTTP request, with several URLs the tries together"         \
    }

static const struct conf_field fields[] = {
    {"kbs", "host", CONF_LIST, AT(kbs.hosts),
        .help = "names that stand for this broker as well, in kbs://HOST/repository/type/tag"},
    {"kbs", "url", CONF_LIST, AT(kbs.urls),
        .help = "the key broker, https://host:port; several replicas of it are tried in turn"},
    KBS_FIELDS(struct sealedfs_conf, kbs.),
    {"kbs", "keep", CONF_DURATION, AT(keep_ms), 0, DAY, .text_default = "5m",
        .help = "how long signing and wrapping keys are kept; 0s: not at all"},
    {"attest", "socket", CONF_PATH, AT(attest.socket), .text_default = "/run/sealedfs/attestd.sock",
        .help = "socket of sealed-attestd"},
    {"attest", "tee", CONF_TEXT, AT(attest.tee),
        .help = "kind of evidence to announce; default: ask"},
    {"attest", "timeout", CONF_DURATION, AT(attest.timeout_ms), 100, 10 * MINUTE,
        .text_default = "20s", .help = "one piece of evidence"},
    {"secrets", "ttl", CONF_DURATION, AT(secrets.ttl_ms), 0, DAY, .text_default = "5m",
        .help = "how long a plaintext is kept; 0s: not at all"},
    {"secrets", "usable", CONF_DURATION, AT(secrets.usable_ms), 0, 30 * DAY, .text_default = "0s",
        .help =
            "how long after it was fetched a plaintext may be served while no key broker can be "
            "reached; 0s: not longer than ttl"},
    {"secrets", "stamps", CONF_PATH, AT(secrets.stamps), .text_default = "/run/sealedfs/changed",
        .help = "directory of the files that on_change names"},
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
    {"audit", "policy", CONF_CHOICE, AT(audit.policy), .choices = audits,
        .text_default = "best-effort",
        .help =
            "who opened what: not recorded, recorded when possible, or no record, no plaintext"},
    {"audit", "journal", CONF_BOOL, AT(audit.journal), .text_default = "yes",
        .help = "records go to the journal"},
    {"audit", "file", CONF_PATH, AT(audit.file), .help = "records go to this file as well"},
    {"audit", "rotate_size", CONF_SIZE, AT(audit.rotate_size), 4096, 1024 * (int64_t)MIB,
        .text_default = "16M", .help = "a file of this size is put aside and a new one begun"},
    {"audit", "rotate_keep", CONF_INT, AT(audit.rotate_keep), 0, 999, .text_default = "8",
        .help = "how many files put aside are kept"},
    {"metrics", "listen", CONF_TEXT, AT(metrics.listen),
        .help = "where metrics and health are served: path of a socket, or 127.0.0.1:port"},
    {"credentials", "socket", CONF_PATH, AT(credentials.socket),
        .text_default = "/run/sealedfs/credentials.sock",
        .help = "where LoadCredential= of systemd units is answered, if there is a section "
                "[credential:NAME]"},
};

#define SETTINGS(kind, type)                                                               \
    {kind, "fresh", CONF_DURATION, offsetof(type, settings.fresh_ms), 0, DAY, .unset = -1, \
        .help = "how long the plaintext is served from memory; default: secrets.ttl"},     \
        {kind, "usable", CONF_DURATION, offsetof(type, settings.usable_ms), 0, 30 * DAY,   \
            .unset = -1,                                                                   \
            .help = "how long it is served while no key broker can be reached; default: "  \
                    "secrets.usable"},                                                     \
        {kind, "cache", CONF_CHOICE, offsetof(type, settings.cache), .choices = caches,    \
            .text_default = "direct",                                                      \
            .help = "page: the kernel keeps the plaintext for who reads it often"},        \
    {                                                                                      \
        kind, "on_change", CONF_TEXT, offsetof(type, settings.on_change),                  \
            .help = "name of the file in secrets.stamps that is written when the secret "  \
                    "changes"                                                              \
    }

static const struct conf_field kbs_fields[] = {
    {"kbs", "host", CONF_LIST, offsetof(struct conf_kbs, hosts), .required = true,
        .help = "what stands for this broker in kbs://HOST/repository/type/tag; nothing else is "
                "asked there"},
    {"kbs", "url", CONF_LIST, offsetof(struct conf_kbs, urls), .required = true,
        .help = "https://host:port; several replicas of it are tried in turn"},
    KBS_FIELDS(struct conf_kbs, ),
};

#define OF(member) offsetof(struct conf_mount, member)
static const struct conf_field mount_fields[] = {
    {"mount", "path", CONF_PATH, OF(path), .required = true, .help = "the mount point"},
    {"mount", "by_name", CONF_BOOL, OF(by_name), .text_default = "no",
        .help = "show every resource as .kbs/REPOSITORY/TYPE/TAG"},
    {"mount", "by_name_mode", CONF_MODE, OF(by_name_mode), .text_default = "0400",
        .help = "mode of the files below .kbs"},
    {"mount", "by_name_owner", CONF_TEXT, OF(by_name_owner), .text_default = "root",
        .help = "owner of the files below .kbs"},
    {"mount", "by_name_group", CONF_TEXT, OF(by_name_group), .text_default = "root",
        .help = "group of the files below .kbs"},
};
#undef OF

#define OF(member) offsetof(struct conf_source, member)
static const struct conf_field source_fields[] = {
    {"source", "mount", CONF_TEXT, OF(mount_name),
        .help = "name of the mount that shows it; default: the only one"},
    {"source", "directory", CONF_PATH, OF(directory), .required = true,
        .help = "the directory that is shown with its sealed files opened"},
    {"source", "at", CONF_TEXT, OF(at),
        .help = "directory below the mount point where it is shown; default: the mount point"},
    SETTINGS("source", struct conf_source),
};
#undef OF

#define OF(member) offsetof(struct conf_file, member)
static const struct conf_field file_fields[] = {
    {"file", "mount", CONF_TEXT, OF(mount_name),
        .help = "name of the mount that shows it; default: the only one"},
    {"file", "path", CONF_TEXT, OF(path), .required = true,
        .help = "path below the mount point; its directories are made"},
    {"file", "resource", CONF_TEXT, OF(resource),
        .help = "the resource that is shown: kbs:///repository/type/tag"},
    {"file", "sealed_file", CONF_PATH, OF(sealed_file),
        .help = "or the file with the sealed string that is shown"},
    {"file", "mode", CONF_MODE, OF(mode), .text_default = "0400", .help = "its mode"},
    {"file", "owner", CONF_TEXT, OF(owner), .text_default = "root", .help = "its owner"},
    {"file", "group", CONF_TEXT, OF(group), .text_default = "root", .help = "its group"},
    {"file", "rules", CONF_LIST, OF(rules),
        .help = "names of rules that hold for this file, beside those whose path fits"},
    SETTINGS("file", struct conf_file),
};
#undef OF

#define OF(member) offsetof(struct conf_rule, member)
static const struct conf_field rule_fields[] = {
    {"rule", "verdict", CONF_CHOICE, OF(verdict), .choices = verdicts, .required = true,
        .help = "what happens to an open that all of the following fit"},
    {"rule", "path", CONF_LIST, OF(paths), .filled = true,
        .help = "patterns of whole paths such as /sealed/db/*; default: every path, or the files "
                "that name this rule"},
    {"rule", "user", CONF_LIST, OF(users), .filled = true, .help = "names or numbers"},
    {"rule", "group", CONF_LIST, OF(groups), .filled = true, .help = "names or numbers"},
    {"rule", "cgroup", CONF_LIST, OF(cgroups), .filled = true,
        .help = "patterns of control group paths"},
    {"rule", "pod", CONF_LIST, OF(pods), .filled = true, .help = "patterns of Kubernetes pod UIDs"},
    {"rule", "container", CONF_LIST, OF(containers), .filled = true,
        .help = "patterns of container IDs"},
    {"rule", "exe", CONF_LIST, OF(exes), .filled = true,
        .help = "patterns of the executable's path"},
    {"rule", "exe_sha256", CONF_LIST, OF(exe_sha256), .filled = true,
        .help = "SHA-256 of the executable, 64 hexadecimal digits"},
};
#undef OF

#define OF(member) offsetof(struct conf_unit_credential, member)
static const struct conf_field credential_fields[] = {
    {"credential", "unit", CONF_LIST, OF(units), .required = true,
        .help = "patterns of the units that get it, such as web@*.service"},
    {"credential", "id", CONF_TEXT, OF(id),
        .help = "the ID in LoadCredential=ID:SOCKET; default: the section's name"},
    {"credential", "resource", CONF_TEXT, OF(resource), .required = true,
        .help = "what it gets: kbs:///repository/type/tag, or the path of a file with a sealed "
                "string"},
};
#undef OF

#define ITEMS(kind, member, type, table, text)                        \
    {                                                                 \
        kind, AT(member), sizeof(type), table, ARRAY_LEN(table), text \
    }

static const struct conf_section sections[] = {
    ITEMS("kbs", brokers, struct conf_kbs, kbs_fields,
        "a further key broker, for resources that name its host"),
    ITEMS("mount", mounts, struct conf_mount, mount_fields,
        "a mount point; the command line's SOURCE MOUNTPOINT is one more"),
    ITEMS("source", sources, struct conf_source, source_fields, "a directory that is mirrored"),
    ITEMS("file", files, struct conf_file, file_fields, "a file that is in no source"),
    ITEMS("rule", rules, struct conf_rule, rule_fields,
        "who may open what; the first rule that fits decides, and where there are rules nothing "
        "else is allowed"),
    ITEMS("credential", unit_credentials, struct conf_unit_credential, credential_fields,
        "what a systemd unit gets with LoadCredential="),
};

const struct conf_table sealedfs_table = {fields, ARRAY_LEN(fields), sections, ARRAY_LEN(sections)};
