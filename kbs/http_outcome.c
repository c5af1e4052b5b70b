/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/x509_vfy.h>
#include <string.h>

#include "kbs/http_private.h"

/* What each result of curl means, and what a person can do. Not listed: unreachable, in curl's words. */
static const struct outcome {
    CURLcode result;
    enum err_code code;
    const char *text;
} outcomes[] = {
    {CURLE_COULDNT_RESOLVE_HOST, ERR_UNREACH,
        "the host name cannot be resolved; check the URL and DNS"},
    {CURLE_OPERATION_TIMEDOUT, ERR_UNREACH, "no connection came about in time"},
    {CURLE_GOT_NOTHING, ERR_UNREACH,
        "the connection was closed without an answer (a broker with TLS is reached by https://)"},
    {CURLE_RECV_ERROR, ERR_UNREACH, "the connection broke while waiting for the answer"},
    {CURLE_SEND_ERROR, ERR_UNREACH, "the connection broke while sending"},
    {CURLE_PARTIAL_FILE, ERR_UNREACH, "the connection broke in the middle of the answer"},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, ERR_UNREACH,
        "its key is not the pinned one; if the KBS has a new key, set pinned_key= to it"},
    {CURLE_UNSUPPORTED_PROTOCOL, ERR_FORMAT, "the answer is not HTTP/1.1"},
    {CURLE_WEIRD_SERVER_REPLY, ERR_FORMAT, "the answer is not HTTP"},
    {CURLE_BAD_CONTENT_ENCODING, ERR_FORMAT, "the answer is badly encoded"},
    {CURLE_OUT_OF_MEMORY, ERR_NOMEM, "out of memory"},
};

/* What went wrong on the way to the KBS at the proxy, or between the proxy and the KBS. False: nothing of that. */
static bool explain_proxy(const struct http_call *call, CURLcode result, struct err *err)
{
    long status = 0, sys_errno = 0;
    curl_easy_getinfo(call->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &sys_errno);
    if (result == CURLE_COULDNT_RESOLVE_PROXY)
        err_set(err, ERR_UNREACH,
            "%s: the name of the proxy %s cannot be resolved; check proxy= and DNS", call->origin,
            call->proxy);
    else if (result == CURLE_COULDNT_CONNECT)
        err_set_at(err, ERR_UNREACH, (int)sys_errno, __FILE__, __LINE__,
            "%s: cannot connect to the proxy %s (does it run there, and is proxy= right?)",
            call->origin, call->proxy);
    else if (status == 407)
        err_set(err, ERR_UNREACH,
            "%s: the proxy %s asks for another user and password (status 407); set "
            "proxy_credential= to a file with user:password",
            call->origin, call->proxy);
    else if (status >= 300)
        err_set(err, ERR_UNREACH,
            "%s: the proxy %s makes no connection to it (status %ld); does it allow this host and "
            "port?",
            call->origin, call->proxy, status);
    else if (status == 0)
        err_set(err, ERR_UNREACH, "%s: the proxy %s made no connection to it: %s", call->origin,
            call->proxy, call->error[0] ? call->error : curl_easy_strerror(result));
    else
        return false;
    return true;
}

static void explain_tls(const struct http_call *call, struct err *err)
{
    /* Also what curl starts from, before any chain was looked at. */
    long verify = X509_V_ERR_UNSPECIFIED;
    curl_easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
    /* A name that does not match has no code of OpenSSL, since curl compares names itself. */
    if (strstr(call->error, "subject name") || strstr(call->error, "common name"))
        verify = X509_V_ERR_HOSTNAME_MISMATCH;
    if (call->http->store && verify != X509_V_OK && verify != X509_V_ERR_UNSPECIFIED)
        trust_refusal(verify, call->origin, call->http->ca_file, &call->http->refused, err);
    else if (strstr(call->error, "wrong version number"))
        err_set(err, ERR_UNREACH,
            "%s: it does not speak TLS; is the URL's port right, or is it an http:// one?",
            call->origin);
    else
        err_set(err, ERR_UNREACH, "%s: no TLS connection: %s", call->origin, call->error);
}

void http_explain(const struct http_call *call, CURLcode result, struct err *err)
{
    long sys_errno = 0;
    if (call->failed.code != ERR_OK) {
        *err = call->failed;
        err_wrap(err, "%s", call->origin);
        return;
    }
    if (call->proxy && explain_proxy(call, result, err))
        return;
    if (result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CONNECT_ERROR) {
        explain_tls(call, err);
        return;
    }
    if (result == CURLE_FILESIZE_EXCEEDED) {
        err_set(
            err, ERR_FORMAT, "%s: an answer of more than %zu bytes", call->origin, call->body.max);
        return;
    }
    curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &sys_errno);
    if (result == CURLE_COULDNT_CONNECT && sys_errno != 0) {
        err_set_at(err, ERR_UNREACH, (int)sys_errno, __FILE__, __LINE__,
            "%s: cannot connect (does the %s run there, and are host and port of the URL "
            "right?)",
            call->origin, call->http->peer);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
        if (outcomes[i].result == result) {
            err_set(err, outcomes[i].code, "%s: %s", call->origin, outcomes[i].text);
            return;
        }
    err_set(err, ERR_UNREACH, "%s: %s", call->origin,
        call->error[0] ? call->error : curl_easy_strerror(result));
}
