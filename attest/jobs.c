/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define STOP_WAIT_S 5

STAILQ_HEAD(job_list, job);

struct jobs {
    pthread_t thread;
    bool started;
    int done_fd; /* eventfd: something is in `finished`. Not loop_post(), which can fail for want of memory */
    struct loop_watch *watch;
    size_t waiting_max;

    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t changed;
    bool stopping;
    size_t waiting_count;
    struct job_list waiting, finished;
};

static struct job *next_job(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    while (!jobs->stopping && STAILQ_EMPTY(&jobs->waiting))
        pthread_cond_wait(&jobs->changed, &jobs->lock);
    struct job *job = jobs->stopping ? NULL : STAILQ_FIRST(&jobs->waiting);
    if (job) {
        STAILQ_REMOVE_HEAD(&jobs->waiting, link);
        jobs->waiting_count--;
    }
    pthread_mutex_unlock(&jobs->lock);
    return job;
}

static void *work(void *arg)
{
    struct jobs *jobs = arg;
    struct job *job;
    const uint64_t one = 1;
    while ((job = next_job(jobs))) {
        job->run(job);
        pthread_mutex_lock(&jobs->lock);
        STAILQ_INSERT_TAIL(&jobs->finished, job, link);
        pthread_mutex_unlock(&jobs->lock);
        while (write(jobs->done_fd, &one, sizeof one) < 0 && errno == EINTR)
            ;
    }
    return NULL;
}

static struct job *next_finished(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    struct job *job = STAILQ_FIRST(&jobs->finished);
    if (job)
        STAILQ_REMOVE_HEAD(&jobs->finished, link);
    pthread_mutex_unlock(&jobs->lock);
    return job;
}

static void on_done(void *arg, uint32_t events)
{
    struct jobs *jobs = arg;
    struct job *job;
    uint64_t count;
    (void)events;
    ssize_t got = read(jobs->done_fd, &count, sizeof count);
    (void)got; /* a spurious event leaves nothing to read */
    while ((job = next_finished(jobs)))
        job->done(job);
}

bool jobs_new(struct loop *loop, size_t waiting_max, struct jobs **ret_jobs, struct err *err)
{
    AUTO(jobs_free) struct jobs *jobs = calloc(1, sizeof *jobs);
    if (!jobs)
        return err_nomem(err);
    jobs->waiting_max = waiting_max;
    STAILQ_INIT(&jobs->waiting);
    STAILQ_INIT(&jobs->finished);
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->changed, NULL);
    jobs->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (jobs->done_fd < 0)
        return err_set_errno(err, ERR_NOMEM, "event descriptor");
    if (!loop_watch_fd(loop, jobs->done_fd, EPOLLIN, on_done, jobs, &jobs->watch, err))
        return false;
    errno = pthread_create(&jobs->thread, NULL, work, jobs);
    if (errno)
        return err_set_errno(err, ERR_NOMEM, "thread for the TPM");
    jobs->started = true;
    *ret_jobs = take_ptr(jobs);
    return true;
}

bool jobs_stop(struct jobs *jobs)
{
    struct timespec until;
    loop_unwatch(jobs->watch);
    jobs->watch = NULL;
    if (!jobs->started)
        return true;
    pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    pthread_cond_signal(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_WAIT_S;
    if (pthread_timedjoin_np(jobs->thread, NULL, &until) != 0)
        return false;
    jobs->started = false;
    return true;
}

void jobs_free(struct jobs *jobs)
{
    if (!jobs || !jobs_stop(jobs))
        return;
    if (jobs->done_fd >= 0)
        close(jobs->done_fd);
    pthread_cond_destroy(&jobs->changed);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

bool jobs_put(struct jobs *jobs, struct job *job, struct err *err)
{
    pthread_mutex_lock(&jobs->lock);
    bool room = jobs->waiting_count < jobs->waiting_max;
    if (room) {
        STAILQ_INSERT_TAIL(&jobs->waiting, job, link);
        jobs->waiting_count++;
        pthread_cond_signal(&jobs->changed);
    }
    pthread_mutex_unlock(&jobs->lock);
    if (!room)
        return err_set(err, ERR_BUSY, "%zu requests wait for the TPM already", jobs->waiting_max);
    return true;
}

bool jobs_cancel(struct jobs *jobs, struct job *job)
{
    bool found = false;
    struct job *each;
    pthread_mutex_lock(&jobs->lock);
    STAILQ_FOREACH(each, &jobs->waiting, link)
    found = found || each == job;
    if (found) {
        STAILQ_REMOVE(&jobs->waiting, job, job, link);
        jobs->waiting_count--;
    }
    pthread_mutex_unlock(&jobs->lock);
    return found;
}
