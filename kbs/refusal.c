/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/refusal.h"

#include "kbs/proto.h"

/* In the KBS's own names. Not listed: the status decides. */
static const struct meaning {
    const char *name;
    enum err_code code;
    bool renew;
    const char *text;
} meanings[] = {
    {"TokenNotFound", ERR_DENIED_POLICY, true, "it does not know the token"},
    {"TokenVerifierError", ERR_DENIED_POLICY, true, "it does not accept the token"},
    {"AttestationError", ERR_DENIED_POLICY, true, "it asks for a new attestation"},
    {"PolicyDeny", ERR_DENIED_POLICY, false,
        "its policy does not release this resource to this guest"},
    {"PluginInternalError", ERR_NOTFOUND, false, "it has no such resource"},
    {"PluginNotFound", ERR_NOTFOUND, false, "it serves no resources here"},
    {"InvalidRequestPath", ERR_NOTFOUND, false, "it has no such path"},
    {"JweError", ERR_CRYPTO, false, "it cannot encrypt to this guest's key"},
    {"PolicyEngineError", ERR_UNREACH, false, "its policy engine failed"},
    {"ParsePolicyError", ERR_UNREACH, false, "its policy is broken"},
    {"RvpsError", ERR_UNREACH, false, "its reference values cannot be had"},
    {"StorageBackendInitialization", ERR_UNREACH, false, "its store failed"},
};

static const struct meaning *find_meaning(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        if (strcmp(meanings[i].name, name) == 0)
            return &meanings[i];
    return NULL;
}

static enum err_code code_of_status(long status)
{
    if (status >= 500 || status == 429 || status == 408)
        return ERR_UNREACH;
    if (status == 401 || status == 403)
        return ERR_DENIED_POLICY;
    return ERR_FORMAT;
}

/* What no name tells: a proxy, a wrong URL, or a newer KBS. */
static void by_status(
    const char *url, long status, const struct proto_error *error, struct err *err)
{
    enum err_code code = code_of_status(status);
    if (status >= 300 && status < 400)
        err_set(err, ERR_FORMAT,
            "KBS %s redirects (status %ld), which is not followed; set url= to where it is", url,
            status);
    else if (code == ERR_UNREACH)
        err_set(err, code, "KBS %s has a problem (status %ld): %s", url, status, error->detail);
    else if (error->name[0] == '\0')
        err_set(err, code == ERR_DENIED_POLICY ? ERR_UNREACH : code,
            "KBS %s: status %ld and %s; is this the URL of a KBS?", url, status, error->detail);
    else
        err_set(err, code, "KBS %s refuses: %s: %s", url, error->name, error->detail);
}

bool refusal_explain(enum refusal_step step, const char *url, const struct http_response *response,
    struct err *ret_err)
{
    struct proto_error error;
    char ref[ERR_REF_SIZE];
    proto_error_decode(response->body, &error);
    proto_error_ref(&error, ref);
    const struct meaning *meaning = find_meaning(error.name);
    /* Trustee's names for a failed handshake are few; what counts is which step it was. */
    bool attestation = meaning && strcmp(meaning->name, "AttestationError") == 0;
    if (response->status >= 500) /* whatever the name: it could not decide */
        by_status(url, response->status, &error, ret_err);
    else if (step == REFUSAL_AUTH && attestation && strstr(error.detail, "ersion"))
        /* Says nothing of this guest; another replica may speak ours. */
        err_set(ret_err, ERR_UNREACH,
            "KBS %s speaks another version of the protocol (this client: " PROTO_VERSION "): %s",
            url, error.detail);
    else if (step == REFUSAL_ATTEST && attestation)
        err_set(ret_err, ERR_DENIED_POLICY, "KBS %s does not accept this guest's evidence: %s", url,
            error.detail);
    else if (step != REFUSAL_RESOURCE && attestation)
        err_set(ret_err, ERR_DENIED_POLICY, "KBS %s refuses this guest: %s", url, error.detail);
    else if (meaning)
        err_set(ret_err, meaning->code, "KBS %s: %s (%s: %s)", url, meaning->text, error.name,
            error.detail);
    else
        by_status(url, response->status, &error, ret_err);
    memcpy(ret_err->ref, ref, sizeof ref);
    return step == REFUSAL_RESOURCE && response->status < 500 && meaning && meaning->renew;
}
