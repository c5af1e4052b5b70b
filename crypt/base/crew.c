/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SIZE_MOST 4u
/* Whoever locks all memory pays for a stack as a whole. */
#define STACK_SIZE (512u * 1024u)

STAILQ_HEAD(job_list, crew_job);

struct crew {
    size_t size, started;
    bool tried; /* to start the threads */
    pthread_t threads[SIZE_MOST];
    int done_fd; /* eventfd: something is in `finished`. Not loop_post(), which can fail for want of memory */
    struct loop_watch *watch;
    struct job_list now; /* finished, taken by the loop's thread and not told yet */
    bool *freed;         /* set by crew_free, for on_done */

    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t changed;
    bool stopping;
    size_t idle;
    struct job_list waiting, finished;
};

size_t crew_size(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    size_t others = count > 1 ? (size_t)count - 1 : 0;
    return others < SIZE_MOST ? others : SIZE_MOST;
}

/* -- on a thread of the crew ---------------------------------------------------------------------- */

static struct crew_job *next_job(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    while (!crew->stopping && STAILQ_EMPTY(&crew->waiting)) {
        crew->idle++;
        pthread_cond_wait(&crew->changed, &crew->lock);
        crew->idle--;
    }
    struct crew_job *job = STAILQ_FIRST(&crew->waiting);
    if (job)
        STAILQ_REMOVE_HEAD(&crew->waiting, link);
    pthread_mutex_unlock(&crew->lock);
    return job;
}

/* The loop is woken by the first that it finds there, not by each. */
static void finish(struct crew *crew, struct crew_job *job)
{
    const uint64_t one = 1;
    pthread_mutex_lock(&crew->lock);
    bool first = STAILQ_EMPTY(&crew->finished);
    STAILQ_INSERT_TAIL(&crew->finished, job, link);
    pthread_mutex_unlock(&crew->lock);
    while (first && write(crew->done_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void *work(void *arg)
{
    struct crew *crew = arg;
    struct crew_job *job;
    while ((job = next_job(crew))) {
        job->run(job);
        finish(crew, job);
    }
    return NULL;
}

/* -- on the loop's thread --------------------------------------------------------------------------- */

static void take_finished(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    STAILQ_CONCAT(&crew->now, &crew->finished);
    pthread_mutex_unlock(&crew->lock);
}

/* False when a job's end was the crew's. */
static bool tell(struct crew *crew)
{
    struct crew_job *job;
    bool freed = false;
    bool *before = crew->freed;
    crew->freed = &freed;
    while ((job = STAILQ_FIRST(&crew->now))) {
        STAILQ_REMOVE_HEAD(&crew->now, link);
        job->done(job);
        if (freed) {
            if (before)
                *before = true;
            return false;
        }
    }
    crew->freed = before;
    return true;
}

static void on_done(void *arg, uint32_t events)
{
    struct crew *crew = arg;
    uint64_t count;
    (void)events;
    ssize_t got = read(crew->done_fd, &count, sizeof count);
    (void)got; /* a spurious event leaves nothing to read */
    take_finished(crew);
    (void)tell(crew);
}

bool crew_new(struct loop *loop, size_t size, struct crew **ret_crew, struct err *err)
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        return err_nomem(err);
    crew->size = size < SIZE_MOST ? size : SIZE_MOST;
    STAILQ_INIT(&crew->now);
    STAILQ_INIT(&crew->waiting);
    STAILQ_INIT(&crew->finished);
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->changed, NULL);
    crew->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (crew->done_fd < 0) {
        err_set_errno(err, ERR_NOMEM, "event descriptor");
        crew_free(crew);
        return false;
    }
    if (!loop_watch_fd(loop, crew->done_fd, EPOLLIN, on_done, crew, &crew->watch, err)) {
        crew_free(crew);
        return false;
    }
    *ret_crew = crew;
    return true;
}

static void stop(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->stopping = true;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
    for (size_t i = 0; i < crew->started; i++)
        pthread_join(crew->threads[i], NULL);
}

void crew_free(struct crew *crew)
{
    if (!crew)
        return;
    if (crew->freed)
        *crew->freed = true;
    crew->freed = NULL;
    stop(crew);
    loop_unwatch(crew->watch);
    take_finished(crew);
    (void)tell(crew);
    if (crew->done_fd >= 0)
        close(crew->done_fd);
    pthread_cond_destroy(&crew->changed);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}

/* As many as there can be; a process that may have no more goes on with fewer. */
static void start(struct crew *crew)
{
    pthread_attr_t attr;
    crew->tried = true;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    while (crew->started < crew->size &&
           pthread_create(&crew->threads[crew->started], &attr, work, crew) == 0)
        crew->started++;
    pthread_attr_destroy(&attr);
}

void crew_put(struct crew *crew, struct crew_job *job)
{
    if (!crew->tried)
        start(crew);
    if (crew->started == 0) {
        job->run(job);
        finish(crew, job);
        return;
    }
    pthread_mutex_lock(&crew->lock);
    STAILQ_INSERT_TAIL(&crew->waiting, job, link);
    bool wake = crew->idle > 0;
    pthread_mutex_unlock(&crew->lock);
    if (wake)
        pthread_cond_signal(&crew->changed);
}
