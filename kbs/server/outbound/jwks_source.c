/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/outbound/jwks_source.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "crypt/base/log.h"
#include "kbs/server/quiet_thread.h"

#define TIMEOUT_MS 10000

struct jwks_source {
    const struct conf_list *words; /* borrowed from the configuration */
    struct courier *courier;
    struct token_trust *trust;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool stopping;
};

bool jwks_source_is_url(const char *word)
{
    return strncmp(word, "https://", 8) == 0 || strncmp(word, "http://", 7) == 0;
}

static bool fetch(struct jwks_source *source, const char *url, struct err *err)
{
    auto_buf message = BUF_INIT(0);
    struct courier_response response;
    const struct courier_request request = {.target = url,
        .method = COURIER_GET,
        .path = "",
        .timeout_ms = TIMEOUT_MS,
        .response_max = TOKEN_TRUST_SET_MAX};
    if (!courier_ask(source->courier, &request, &message, &response, err))
        return false;
    if (response.status != 200)
        return err_set(err, ERR_UNREACH, "%s answered with status %u", url, response.status);
    return token_trust_set_keys(source->trust, response.body, url, err);
}

static bool fetch_all(struct jwks_source *source)
{
    bool all = true;
    for (size_t i = 0; i < source->words->count; i++) {
        struct err err = ERR_INIT;
        const char *word = source->words->items[i];
        if (!jwks_source_is_url(word) || fetch(source, word, &err))
            continue;
        log_err(LOG_LEVEL_WARNING, &err, "[token] trusted_jwks");
        all = false;
    }
    return all;
}

static void *run(void *arg)
{
    struct jwks_source *source = arg;
    pthread_mutex_lock(&source->lock);
    while (!source->stopping) {
        struct timespec until;
        pthread_mutex_unlock(&source->lock);
        bool all = fetch_all(source);
        pthread_mutex_lock(&source->lock);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += all ? JWKS_EVERY_S : JWKS_RETRY_S;
        int waited = 0;
        while (!source->stopping && waited != ETIMEDOUT)
            waited = pthread_cond_timedwait(&source->changed, &source->lock, &until);
    }
    pthread_mutex_unlock(&source->lock);
    return NULL;
}

static bool start(struct jwks_source *source, struct err *err)
{
    pthread_mutex_init(&source->lock, NULL);
    quiet_thread_condition(&source->changed);
    int failed = quiet_thread_start(&source->thread, run, source);
    errno = failed;
    return failed == 0 || err_set_errno(err, ERR_NOMEM, "thread that fetches key sets");
}

bool jwks_source_start(const struct kbs_conf *conf, struct courier *courier,
    struct token_trust *trust, struct jwks_source **ret_source, struct err *err)
{
    const struct conf_list *words = &conf->token.trusted_jwks;
    bool any = false;
    for (size_t i = 0; i < words->count; i++)
        any = any || jwks_source_is_url(words->items[i]);
    if (!any)
        return true;
    struct jwks_source *source = calloc(1, sizeof *source);
    if (!source)
        return err_nomem(err);
    source->words = words;
    source->courier = courier;
    source->trust = trust;
    if (!start(source, err)) {
        free(source);
        return false;
    }
    *ret_source = source;
    return true;
}

void jwks_source_stop(struct jwks_source *source)
{
    if (!source)
        return;
    pthread_mutex_lock(&source->lock);
    source->stopping = true;
    pthread_cond_signal(&source->changed);
    pthread_mutex_unlock(&source->lock);
    pthread_join(source->thread, NULL);
    pthread_cond_destroy(&source->changed);
    pthread_mutex_destroy(&source->lock);
    free(source);
}
