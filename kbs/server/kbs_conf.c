/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/kbs_conf.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "crypt/base/log.h"
#include "crypt/base/number.h"
#include "kbs/server/outbound/collateral_url.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define KIB    1024
#define MIB    (1024 * KIB)

static const char *const modes[] = {"deny", "jwt", NULL};
static const char *const error_styles[] = {"compatible", "strict", NULL};
/* In the order of enum kbs_store, enum kbs_encryption, enum pg_tls. */
static const char *const stores[] = {"directory", "postgresql", NULL};
static const char *const database_tls[] = {"verify", "require", "off", NULL};
static const char *const encryptions[] = {"auto", "optional", "required", NULL};
static const char *const admits[] = {"manual", "auto", "listed", NULL};
static const char *const requires[] = {"affirming", "any", NULL};
/* In the order of enum kbs_policy_engine. */
static const char *const engines[] = {"embedded", "opa", NULL};
static const char *const collaterals[] = {"required", "optional", NULL};
static const char *const tcb_updates[] = {"early", "standard", NULL};
static const char *const expireds[] = {"refuse", "report", NULL};
/* In the order of enum log_level. */
static const char *const levels[] = {"error", "warning", "notice", "info", "debug", NULL};

#define AT(member) offsetof(struct kbs_conf, member)

const struct conf_field kbs_conf_fields[] = {
    {"server", "listen", CONF_TEXT, AT(server.listen), .text_default = "127.0.0.1:8080",
        .help = "numeric address and port; port 0 takes a free one"},
    {"server", "tls_cert", CONF_PATH, AT(server.tls_cert), .help = "certificate chain (PEM)"},
    {"server", "tls_key", CONF_CREDENTIAL, AT(server.tls_key), .group_ok = true,
        .help = "its private key (PEM), readable by root only"},
    {"server", "plain_http", CONF_BOOL, AT(server.plain_http), .text_default = "no",
        .help = "serve HTTP without TLS beyond loopback"},
    {"server", "user", CONF_TEXT, AT(server.user), .text_default = "sealed-kbs",
        .help = "user to become when started as root"},
    {"server", "store", CONF_CHOICE, AT(server.store), .choices = stores,
        .text_default = "directory",
        .help = "where resources and the rest are: in state_dir, or in a database of many servers"},
    {"server", "state_dir", CONF_PATH, AT(server.state_dir), .text_default = "/var/lib/sealed-kbs",
        .help = "directory of resources, policies, reference values and agents"},
    {"server", "port_file", CONF_PATH, AT(server.port_file),
        .help = "file that gets the port when the server is ready"},
    {"server", "log_level", CONF_CHOICE, AT(server.log_level), .choices = levels,
        .text_default = "info", .help = "least important message that is logged"},
    {"server", "error_style", CONF_CHOICE, AT(server.error_style), .choices = error_styles,
        .text_default = "compatible",
        .help = "compatible: refusals are 401, as CoCo clients expect; strict: right status codes"},
    {"server", "request_timeout", CONF_DURATION, AT(server.request_ms), 100, 10 * MINUTE,
        .text_default = "20s", .help = "one request, from its first to its last byte"},
    {"server", "idle_timeout", CONF_DURATION, AT(server.idle_ms), 100, HOUR, .text_default = "2m",
        .help = "a kept connection until its next request"},
    {"server", "stop_timeout", CONF_DURATION, AT(server.stop_ms), 0, 10 * MINUTE,
        .text_default = "5s", .help = "requests in flight when the server is told to stop"},
    {"server", "connections", CONF_INT, AT(server.connections), 4, 65536, .text_default = "512",
        .help = "connections at a time"},
    {"server", "connections_per_address", CONF_INT, AT(server.connections_per_ip), 0, 65536,
        .text_default = "128", .help = "of them from one address; 0: no limit"},
    {"server", "threads", CONF_INT, AT(server.threads), 1, 64, .text_default = "4",
        .help = "threads that serve requests"},
    {"server", "body_max", CONF_SIZE, AT(server.body_max), KIB, 2 * MIB, .text_default = "2M",
        .help = "largest body of a request"},
    {"store", "kek", CONF_CREDENTIAL, AT(store.kek),
        .help = "file of the key that values are encrypted under; sealed keygen wrapping makes it"},
    {"store", "kek_old", CONF_LIST, AT(store.kek_old),
        .help = "files of other keys that values may be under, until sealed kbs store rewrap"},
    {"store", "encryption", CONF_CHOICE, AT(store.encryption), .choices = encryptions,
        .text_default = "auto",
        .help = "required: plaintext in the store is not read; auto: required when kek is set"},
    {"store", "versions", CONF_INT, AT(store.versions), 1, 1000, .text_default = "10",
        .help = "versions that are kept of each resource"},
    {"postgresql", "host", CONF_TEXT, AT(postgresql.host), .text_default = "/run/postgresql",
        .help = "name or address of the database, or the directory of its socket"},
    {"postgresql", "port", CONF_INT, AT(postgresql.port), 1, 65535, .text_default = "5432",
        .help = "its port"},
    {"postgresql", "database", CONF_TEXT, AT(postgresql.database), .text_default = "sealed_kbs",
        .help = "its name"},
    {"postgresql", "user", CONF_TEXT, AT(postgresql.user), .text_default = "sealed-kbs",
        .help = "the role that owns it"},
    {"postgresql", "password_file", CONF_CREDENTIAL, AT(postgresql.password_file),
        .help = "file with the role's password; none: the database knows the user otherwise"},
    {"postgresql", "tls", CONF_CHOICE, AT(postgresql.tls), .choices = database_tls,
        .text_default = "verify",
        .help = "verify: certificate and name; require: any certificate; a socket needs none"},
    {"postgresql", "ca_file", CONF_PATH, AT(postgresql.ca_file),
        .help = "certificate authority of the database, PEM, readable by [server] user"},
    {"postgresql", "connections", CONF_INT, AT(postgresql.connections), 1, 64, .text_default = "8",
        .help = "connections of this server to it"},
    {"postgresql", "connect_timeout", CONF_DURATION, AT(postgresql.connect_ms), 100, MINUTE,
        .text_default = "5s", .help = "to make one"},
    {"postgresql", "statement_timeout", CONF_DURATION, AT(postgresql.statement_ms), 100, MINUTE,
        .text_default = "10s", .help = "one statement"},
    {"postgresql", "retry", CONF_DURATION, AT(postgresql.retry_ms), 0, MINUTE, .text_default = "8s",
        .help =
            "how long a request waits for a database that restarts, before it is refused (503)"},
    {"postgresql", "start_timeout", CONF_DURATION, AT(postgresql.start_ms), 0, HOUR,
        .text_default = "2m", .help = "how long the start waits for the database"},
    {"server", "rate", CONF_INT, AT(server.rate), 0, 1000000, .text_default = "200",
        .help = "attestations and enrolments begun by one address, a second; 0: no limit"},
    {"server", "rate_burst", CONF_INT, AT(server.rate_burst), 1, 1000000, .text_default = "5000",
        .help = "how many of them at once"},
    {"server", "rate_total", CONF_INT, AT(server.rate_total), 0, 1000000, .text_default = "0",
        .help = "by all addresses together, a second; 0: no limit"},
    {"token", "key", CONF_CREDENTIAL, AT(token.key), .text_default = "/etc/sealedfs/kbs-token.jwk",
        .help = "private P-256 key (JWK or PEM) that signs tokens; sealed kbs init makes it"},
    {"token", "certificate", CONF_PATH, AT(token.certificate),
        .help = "PEM certificates of that key, leaf first; tokens carry them as x5c"},
    {"token", "previous", CONF_PATH, AT(token.previous),
        .text_default = "/etc/sealedfs/kbs-token-previous.jwk",
        .help = "the key before, written by sealed kbs token-key roll; may be missing"},
    {"token", "issuer", CONF_TEXT, AT(token.issuer), .text_default = "sealed-kbs",
        .help = "iss of tokens"},
    {"token", "lifetime", CONF_DURATION, AT(token.lifetime_ms), 10 * SECOND, DAY,
        .text_default = "5m", .help = "how long a token is good"},
    {"token", "trusted_certs", CONF_LIST, AT(token.trusted_certs),
        .help = "PEM files: authorities of attestation services elsewhere whose tokens are taken"},
    {"token", "trusted_jwks", CONF_LIST, AT(token.trusted_jwks),
        .help =
            "JWK sets of such services: files, or URLs that are fetched again every ten minutes"},
    {"token", "trusted_jwks_ca_file", CONF_PATH, AT(token.trusted_jwks_ca_file),
        .help = "certificate authority of such URLs (PEM); default: the system's"},
    {"admin", "mode", CONF_CHOICE, AT(admin.mode), .choices = modes, .text_default = "deny",
        .help = "deny: no administrator; jwt: those with a signed token"},
    {"admin", "keys", CONF_LIST, AT(admin.keys),
        .help = "files of public keys (JWK or PEM) that sign administrators' tokens"},
    {"admin", "issuer", CONF_TEXT, AT(admin.issuer), .help = "iss that their tokens must have"},
    {"admin", "audience", CONF_TEXT, AT(admin.audience), .help = "aud that their tokens must name"},
    {"admin", "read_resources", CONF_BOOL, AT(admin.read_resources), .text_default = "no",
        .help = "let administrators read resources back, not only attested guests"},
    {"admin", "acl", CONF_LIST, AT(admin.acl),
        .help = "ROLE=REGEX words, ^/kbs...$ on path and query; default: admin=^/kbs/.*$"},
    {"attestation", "tees", CONF_LIST, AT(attestation.tees), .text_default = "tpm",
        .help = "kinds of evidence to take, of guests and their devices: tpm snp tdx "
                "az-snp-vtpm az-tdx-vtpm, for tests sample sampledevice"},
    {"attestation", "session", CONF_DURATION, AT(attestation.session_ms), 5 * SECOND, HOUR,
        .text_default = "5m", .help = "how long a session lasts from /auth on"},
    {"attestation", "admit", CONF_CHOICE, AT(attestation.admit), .choices = admits,
        .text_default = "manual",
        .help = "who admits an enrolled attestation key: an administrator, nobody, admit_list"},
    {"attestation", "admit_list", CONF_PATH, AT(attestation.admit_list),
        .help =
            "file of machines for admit = listed: EK-SHA256 [uuid=UUID] [NAME=VALUE...] a line"},
    {"attestation", "ek_roots", CONF_PATH, AT(attestation.ek_roots),
        .help = "directory of root certificates (PEM) of TPM makers; none: no enrolment"},
    {"attestation", "roots", CONF_PATH, AT(attestation.roots),
        .help =
            "directory of certificates (PEM) of AMD and Intel to trust beside the built-in keys"},
    {"attestation", "tdx_collateral", CONF_CHOICE, AT(attestation.tdx_collateral),
        .choices = collaterals, .text_default = "required",
        .help = "optional: TDX evidence without Intel's collateral is taken as Unverified"},
    {"attestation", "collateral_expired", CONF_CHOICE, AT(attestation.collateral_expired),
        .choices = expireds, .text_default = "refuse",
        .help = "report: the policy decides about evidence whose collateral is out of date"},
    {"attestation", "verifiers", CONF_INT, AT(attestation.verifiers), 1, 16, .text_default = "2",
        .help = "processes that look at evidence"},
    {"attestation", "rest", CONF_BOOL, AT(attestation.rest), .text_default = "no",
        .help = "offer the REST interface of an attestation service, for other relying parties"},
    {"reference_values", "publishers", CONF_LIST, AT(reference_values.publishers),
        .help = "files of public keys (JWK or PEM) that sign reference values"},
    {"reference_values", "require_signed", CONF_BOOL, AT(reference_values.require_signed),
        .text_default = "no", .help = "take no reference values but those that one of them signed"},
    {"policy", "engine", CONF_CHOICE, AT(policy.engine), .choices = engines,
        .text_default = "embedded",
        .help = "embedded: the language of sealed-kbs(8); opa: Rego, in Open Policy Agent"},
    {"policy", "versions", CONF_INT, AT(policy.versions), 1, 1000, .text_default = "20",
        .help = "how many texts of each policy are kept, with who set them and when"},
    {"policy", "opa_url", CONF_TEXT, AT(policy.opa_url),
        .help = "https://HOST:PORT of Open Policy Agent; http:// on this machine"},
    {"policy", "opa_socket", CONF_PATH, AT(policy.opa_socket),
        .help = "its Unix socket, instead of opa_url"},
    {"policy", "opa_ca_file", CONF_PATH, AT(policy.opa_ca_file),
        .help = "certificate authority of opa_url (PEM); default: the system's"},
    {"policy", "opa_token", CONF_CREDENTIAL, AT(policy.opa_token),
        .help = "file with a bearer token for Open Policy Agent"},
    {"policy", "opa_timeout", CONF_DURATION, AT(policy.opa_ms), 10, MINUTE, .text_default = "2s",
        .help = "one question to it; without an answer the guest is refused"},
    {"collateral", "fetch", CONF_BOOL, AT(collateral.fetch), .text_default = "yes",
        .help = "fetch what evidence needs and is not cached, when tees has snp, tdx or az-..."},
    {"collateral", "directory", CONF_PATH, AT(collateral.directory),
        .help =
            "directory of certificates and CRLs of AMD and Intel, read into the cache at start"},
    {"collateral", "pcs_file", CONF_PATH, AT(collateral.pcs_file),
        .help = "file of Intel's PCS Client Tool, read into the cache at start"},
    {"collateral", "amd_kds", CONF_TEXT, AT(collateral.amd_kds), .text_default = COLLATERAL_AMD_URL,
        .help = "URL of AMD's Key Distribution Service"},
    {"collateral", "intel_pcs", CONF_TEXT, AT(collateral.intel_pcs),
        .text_default = COLLATERAL_INTEL_URL,
        .help = "URL of Intel's Provisioning Certification Service, or of a PCCS"},
    {"collateral", "intel_root_crl", CONF_TEXT, AT(collateral.intel_root_crl),
        .help = "URL of the CRL of Intel's root; default: Intel's, or the PCCS of intel_pcs"},
    {"collateral", "ca_file", CONF_PATH, AT(collateral.ca_file),
        .help = "certificate authority of these URLs, PEM; default: the system's"},
    {"collateral", "tcb_update_type", CONF_CHOICE, AT(collateral.tcb_update),
        .choices = tcb_updates, .text_default = "early",
        .help = "which of Intel's publications: early, else standard; or standard only"},
    {"collateral", "refresh", CONF_DURATION, AT(collateral.refresh_ms), MINUTE, 30 * (int64_t)DAY,
        .text_default = "1d", .help = "CRLs and TCB info are fetched anew after this time"},
    {"outbound", "proxy", CONF_TEXT, AT(outbound.proxy),
        .help = "http://HOST:PORT of a proxy for what the server asks over the network"},
    {"outbound", "no_proxy", CONF_LIST, AT(outbound.no_proxy),
        .help = "hosts, and domains with all below, that are asked directly"},
    {"agents", "interval", CONF_DURATION, AT(agents.interval_ms), 0, DAY, .text_default = "0s",
        .help = "agents must attest at least so often (a second or more); 0s: when they like"},
    {"agents", "grace", CONF_DURATION, AT(agents.grace_ms), SECOND, DAY, .text_default = "1m",
        .help = "how long after that an agent is late"},
    {"agents", "require", CONF_CHOICE, AT(agents.require), .choices = requires,
        .text_default = "affirming",
        .help = "what an appraisal must be, or the agent has failed; only with an interval"},
    {"agents", "webhook", CONF_TEXT, AT(agents.webhook),
        .help = "URL that is told of agents that failed, are late or duplicate, or were revoked"},
    {"agents", "webhook_ca_file", CONF_PATH, AT(agents.webhook_ca_file),
        .help = "certificate authority of that URL, PEM; default: the system's"},
    {"agents", "webhook_token_file", CONF_CREDENTIAL, AT(agents.webhook_token_file),
        .help = "file with the bearer token that it is shown"},
};
const size_t kbs_conf_field_count = ARRAY_LEN(kbs_conf_fields);

static bool parse_port(const char *text, uint16_t *ret_port)
{
    int64_t port;
    if (!number_int(text, &port) || port < 0 || port > 65535)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

bool kbs_conf_address(const char *text, struct kbs_address *ret_address, struct err *err)
{
    struct kbs_address address = {0};
    struct sockaddr_in *four = (void *)&address.any;
    struct sockaddr_in6 *six = (void *)&address.any;
    char host[64];
    uint16_t port;
    const char *colon = strrchr(text, ':');
    bool brackets = text[0] == '[' && colon > text && colon[-1] == ']';
    size_t len = colon ? (size_t)(colon - text) - (brackets ? 2 : 0) : 0;
    if (!colon || len >= sizeof host || !parse_port(colon + 1, &port))
        return err_set(err, ERR_CONFIG,
            "\"%.80s\" is no address to listen on; write 127.0.0.1:8080 or [::]:8443", text);
    snprintf(host, sizeof host, "%.*s", (int)len, text + (brackets ? 1 : 0));
    if (!brackets && inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        address.len = sizeof *four;
        address.loopback = ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    } else if (brackets && inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        address.len = sizeof *six;
        address.loopback = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
    } else {
        return err_set(err, ERR_CONFIG,
            "\"%.80s\": the address must be numeric: 127.0.0.1:8080 or [::]:8443", text);
    }
    *ret_address = address;
    return true;
}

static bool check_tls(const struct kbs_conf *conf, struct err *err)
{
    struct kbs_address address;
    if (!kbs_conf_address(conf->server.listen, &address, err))
        return err_wrap(err, "[server] listen");
    if (!conf->server.tls_cert != !conf->server.tls_key)
        return err_set(err, ERR_CONFIG, "[server] tls_cert and tls_key belong together; set both");
    if (!conf->server.tls_cert && !address.loopback && !conf->server.plain_http)
        return err_set(err, ERR_CONFIG,
            "[server] listen = %s is no loopback address, so tls_cert and tls_key are needed (or "
            "plain_http = yes, where something in front does TLS)",
            conf->server.listen);
    return true;
}

static bool check_tees(const struct kbs_conf *conf, struct err *err)
{
    static const char *const known[] = {
        "tpm", "snp", "tdx", "az-snp-vtpm", "az-tdx-vtpm", "sample", "sampledevice"};
    const struct conf_list *tees = &conf->attestation.tees;
    if (tees->count == 0)
        return err_set(err, ERR_CONFIG, "[attestation] tees is empty; tpm is the usual value");
    for (size_t i = 0; i < tees->count; i++) {
        bool found = false;
        for (size_t j = 0; j < ARRAY_LEN(known); j++)
            found = found || strcmp(known[j], tees->items[i]) == 0;
        if (!found)
            return err_set(err, ERR_CONFIG,
                "[attestation] tees: \"%s\" is not known here (sealed-kbs(8) lists them)",
                tees->items[i]);
    }
    return true;
}

static bool check_paths(const struct conf_list *paths, const char *name, struct err *err)
{
    for (size_t i = 0; i < paths->count; i++)
        if (paths->items[i][0] != '/')
            return err_set(
                err, ERR_CONFIG, "%s: \"%s\" is no absolute path", name, paths->items[i]);
    return true;
}

static bool check_database(const struct kbs_conf *conf, struct err *err)
{
    bool socket = conf->postgresql.host[0] == '/';
    if (conf->server.store != KBS_STORE_POSTGRESQL)
        return true;
    if (!conf->store.kek)
        return err_set(err, ERR_CONFIG,
            "[server] store = postgresql needs [store] kek: no plaintext is given to a database; "
            "make a key with: sealed keygen wrapping FILE");
    if (conf->store.encryption == KBS_ENCRYPTION_OPTIONAL)
        return err_set(err, ERR_CONFIG,
            "[store] encryption = optional is for a directory; a database holds no plaintext");
    if (!socket && conf->postgresql.tls == 0 && !conf->postgresql.ca_file)
        return err_set(err, ERR_CONFIG,
            "[postgresql] tls = verify needs ca_file, the authority of the database's certificate");
    return true;
}

static bool check_key_sets(const struct conf_list *sets, struct err *err)
{
    for (size_t i = 0; i < sets->count; i++)
        if (sets->items[i][0] != '/' && strncmp(sets->items[i], "http", 4) != 0)
            return err_set(err, ERR_CONFIG,
                "[token] trusted_jwks: \"%s\" is neither an absolute path nor a URL",
                sets->items[i]);
    return true;
}

static bool check_store(const struct kbs_conf *conf, struct err *err)
{
    if (!conf->store.kek && conf->store.kek_old.count > 0)
        return err_set(
            err, ERR_CONFIG, "[store] kek_old without kek; set kek to what values are to be under");
    if (!conf->store.kek && conf->store.encryption != KBS_ENCRYPTION_AUTO)
        return err_set(err, ERR_CONFIG,
            "[store] encryption is set but kek is not; make a key with: sealed keygen wrapping "
            "FILE");
    return check_paths(&conf->store.kek_old, "[store] kek_old", err) && check_database(conf, err);
}

static bool check_agents(const struct kbs_conf *conf, struct err *err)
{
    if (conf->attestation.admit == KBS_ADMIT_LISTED && !conf->attestation.admit_list)
        return err_set(err, ERR_CONFIG,
            "[attestation] admit = listed needs admit_list, the file that lists the machines");
    if (conf->agents.interval_ms > 0 && conf->agents.interval_ms < SECOND)
        return err_set(err, ERR_CONFIG, "[agents] interval: a second or more, or 0s for none");
    return true;
}

static bool check_publishers(const struct kbs_conf *conf, struct err *err)
{
    const struct conf_list *publishers = &conf->reference_values.publishers;
    if (conf->reference_values.require_signed && publishers->count == 0)
        return err_set(err, ERR_CONFIG,
            "[reference_values] require_signed = yes without publishers: nobody could set any");
    return check_paths(publishers, "[reference_values] publishers", err);
}

static bool check_opa(const struct kbs_conf *conf, struct err *err)
{
    bool opa = conf->policy.engine == KBS_POLICY_OPA;
    if (opa && !conf->policy.opa_url == !conf->policy.opa_socket)
        return err_set(err, ERR_CONFIG,
            "[policy] engine = opa needs either opa_url or opa_socket, where Open Policy Agent is");
    if (!opa && (conf->policy.opa_url || conf->policy.opa_socket || conf->policy.opa_token))
        return err_set(err, ERR_CONFIG,
            "[policy] opa_url, opa_socket and opa_token are for engine = opa, which is not set");
    return true;
}

bool kbs_conf_check(const struct kbs_conf *conf, struct err *err)
{
    return check_opa(conf, err) && check_publishers(conf, err) && check_tls(conf, err) &&
           check_tees(conf, err) && check_store(conf, err) && check_agents(conf, err) &&
           check_paths(&conf->admin.keys, "[admin] keys", err) &&
           check_paths(&conf->token.trusted_certs, "[token] trusted_certs", err) &&
           check_key_sets(&conf->token.trusted_jwks, err);
}

bool kbs_conf_load(const char *path, struct kbs_conf *ret_conf, struct err *err)
{
    auto_kbs_conf conf = {0};
    if (!conf_load(path, kbs_conf_fields, kbs_conf_field_count, &conf, err))
        return false;
    if (!kbs_conf_check(&conf, err))
        return err_wrap(err, "%s", path ? path : "configuration");
    *ret_conf = conf;
    conf = (struct kbs_conf){0};
    return true;
}

void kbs_conf_done(struct kbs_conf *conf)
{
    conf_done(conf, kbs_conf_fields, kbs_conf_field_count);
}

bool kbs_conf_tee_ok(const struct kbs_conf *conf, const char *tee)
{
    for (size_t i = 0; i < conf->attestation.tees.count; i++)
        if (strcmp(conf->attestation.tees.items[i], tee) == 0)
            return true;
    return false;
}
