/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/agents/webhook.h"

#include <errno.h>
#include <pthread.h>
#include <sys/queue.h>
#include <time.h>

#include "crypt/base/log.h"
#include "crypt/base/loop.h"
#include "kbs/server/quiet_thread.h"

#define TIMEOUT_MS   10000
#define ANSWER_MAX   65536
#define FIRST_WAIT_S 1
#define LONGEST_S    60

struct event {
    TAILQ_ENTRY(event) link;
    char *text;
    unsigned tries;
    int64_t not_before_ms;
};

struct webhook {
    struct courier *courier;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    TAILQ_HEAD(, event) queue; /* the first is sent first; one that failed waits at the front */
    struct webhook_stats stats;
    bool stopping;
};

static void event_free(struct event *event)
{
    if (event)
        free(event->text);
    free(event);
}

static bool post(struct webhook *webhook, const struct event *event, struct err *err)
{
    auto_buf message = BUF_INIT(0);
    struct courier_response response;
    const struct courier_request request = {.target = WEBHOOK_TARGET,
        .method = COURIER_POST,
        .path = "",
        .body = bytes_str(event->text),
        .timeout_ms = TIMEOUT_MS,
        .response_max = ANSWER_MAX};
    if (!courier_ask(webhook->courier, &request, &message, &response, err))
        return false;
    return response.status / 100 == 2 ||
           err_set(err, ERR_UNREACH, "the webhook answered with status %u", response.status);
}

/* Called with the lock; the event is the thread's own meanwhile. */
static void deliver(struct webhook *webhook, struct event *event)
{
    struct err err = ERR_INIT;
    TAILQ_REMOVE(&webhook->queue, event, link);
    pthread_mutex_unlock(&webhook->lock);
    bool sent = post(webhook, event, &err);
    event->tries++;
    bool again = !sent && event->tries < WEBHOOK_TRIES;
    if (!sent)
        log_err(LOG_LEVEL_WARNING, &err,
            again ? "webhook; it is tried again: %s" : "webhook; it is lost: %s", event->text);
    pthread_mutex_lock(&webhook->lock);
    webhook->stats.sent += sent;
    webhook->stats.lost += !sent && !again;
    if (again) {
        int64_t wait_s = FIRST_WAIT_S << (2 * (event->tries - 1));
        event->not_before_ms = loop_now_ms() + (wait_s < LONGEST_S ? wait_s : LONGEST_S) * 1000;
        TAILQ_INSERT_HEAD(&webhook->queue, event, link);
        return;
    }
    webhook->stats.waiting--;
    event_free(event);
}

static void wait_until(struct webhook *webhook, const struct event *event)
{
    struct timespec until = {0};
    if (!event) {
        pthread_cond_wait(&webhook->changed, &webhook->lock);
        return;
    }
    until.tv_sec = (time_t)(event->not_before_ms / 1000 + 1);
    pthread_cond_timedwait(&webhook->changed, &webhook->lock, &until);
}

static void *run(void *arg)
{
    struct webhook *webhook = arg;
    pthread_mutex_lock(&webhook->lock);
    while (!webhook->stopping) {
        struct event *first = TAILQ_FIRST(&webhook->queue);
        if (first && first->not_before_ms <= loop_now_ms())
            deliver(webhook, first);
        else
            wait_until(webhook, first);
    }
    pthread_mutex_unlock(&webhook->lock);
    return NULL;
}

static bool start(struct webhook *webhook, struct err *err)
{
    TAILQ_INIT(&webhook->queue);
    pthread_mutex_init(&webhook->lock, NULL);
    quiet_thread_condition(&webhook->changed);
    int failed = quiet_thread_start(&webhook->thread, run, webhook);
    errno = failed;
    return failed == 0 || err_set_errno(err, ERR_NOMEM, "thread of the webhook");
}

bool webhook_start(struct courier *courier, struct webhook **ret_webhook, struct err *err)
{
    if (!courier || !courier_has(courier, WEBHOOK_TARGET))
        return true;
    struct webhook *webhook = calloc(1, sizeof *webhook);
    if (!webhook)
        return err_nomem(err);
    webhook->courier = courier;
    if (!start(webhook, err)) {
        free(webhook);
        return false;
    }
    *ret_webhook = webhook;
    return true;
}

void webhook_stop(struct webhook *webhook)
{
    struct event *event;
    if (!webhook)
        return;
    pthread_mutex_lock(&webhook->lock);
    webhook->stopping = true;
    pthread_cond_signal(&webhook->changed);
    pthread_mutex_unlock(&webhook->lock);
    pthread_join(webhook->thread, NULL);
    if (webhook->stats.waiting > 0)
        log_warning("%zu events for the webhook were not delivered", webhook->stats.waiting);
    while ((event = TAILQ_FIRST(&webhook->queue))) {
        TAILQ_REMOVE(&webhook->queue, event, link);
        event_free(event);
    }
    pthread_cond_destroy(&webhook->changed);
    pthread_mutex_destroy(&webhook->lock);
    free(webhook);
}

void webhook_send(struct webhook *webhook, const json_t *json)
{
    if (!webhook)
        return;
    struct event *event = calloc(1, sizeof *event);
    if (event)
        event->text = json_text(json);
    bool good = event && event->text;
    pthread_mutex_lock(&webhook->lock);
    bool room = good && webhook->stats.waiting < WEBHOOK_QUEUE;
    if (room) {
        TAILQ_INSERT_TAIL(&webhook->queue, event, link);
        webhook->stats.waiting++;
        pthread_cond_signal(&webhook->changed);
    } else {
        webhook->stats.lost++;
    }
    pthread_mutex_unlock(&webhook->lock);
    if (room)
        return;
    log_warning("webhook: an event is lost: %s", good ? event->text : "no memory");
    event_free(event);
}

struct webhook_stats webhook_stats(struct webhook *webhook)
{
    struct webhook_stats stats = {0};
    if (!webhook)
        return stats;
    pthread_mutex_lock(&webhook->lock);
    stats = webhook->stats;
    pthread_mutex_unlock(&webhook->lock);
    return stats;
}
