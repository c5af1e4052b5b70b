/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "crypt/base/crew.h"

#define TURN_MS 60000

struct share {
    struct crew_job job;
    struct shares *shares;
    pthread_t ran_on;
    int ran, done;
};

struct shares {
    struct loop *loop;
    struct crew *crew;
    pthread_t loop_thread;
    sem_t go;     /* held() waits for it */
    sem_t inside; /* and says that it does */
    atomic_int ran;
    int done;
    bool free_at_first;
    struct share items[64];
};

static void share_run(struct crew_job *job)
{
    struct share *share = CONTAINER_OF(job, struct share, job);
    share->ran_on = pthread_self();
    share->ran++;
    atomic_fetch_add(&share->shares->ran, 1);
}

static void held_run(struct crew_job *job)
{
    struct share *share = CONTAINER_OF(job, struct share, job);
    sem_post(&share->shares->inside);
    while (sem_wait(&share->shares->go) != 0)
        ;
    share_run(job);
}

static void share_done(struct crew_job *job)
{
    struct share *share = CONTAINER_OF(job, struct share, job);
    struct shares *shares = share->shares;
    assert_true(pthread_equal(pthread_self(), shares->loop_thread));
    assert_int_equal(share->ran, 1);
    share->done++;
    shares->done++;
    if (shares->free_at_first) {
        shares->free_at_first = false;
        crew_free(take_ptr(shares->crew));
    }
}

static struct shares *shares_new(size_t size)
{
    static struct shares shares;
    struct err err = ERR_INIT;
    memset(&shares, 0, sizeof shares);
    sem_init(&shares.go, 0, 0);
    sem_init(&shares.inside, 0, 0);
    shares.loop_thread = pthread_self();
    for (size_t i = 0; i < ARRAY_LEN(shares.items); i++)
        shares.items[i] =
            (struct share){.job = {.run = share_run, .done = share_done}, .shares = &shares};
    assert_done(loop_new(&shares.loop, &err), &err);
    assert_done(crew_new(shares.loop, size, &shares.crew, &err), &err);
    return &shares;
}

static void shares_free(struct shares *shares)
{
    crew_free(shares->crew);
    loop_free(shares->loop);
    sem_destroy(&shares->go);
    sem_destroy(&shares->inside);
}

static void put(struct shares *shares, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        crew_put(shares->crew, &shares->items[i].job);
}

static void wait_done(struct shares *shares, int wanted)
{
    struct err err = ERR_INIT;
    while (shares->done < wanted)
        assert_done(loop_turn(shares->loop, TURN_MS, &err), &err);
}

static void test_runs_elsewhere_ends_here(void **state)
{
    (void)state;
    struct shares *shares = shares_new(2);
    /* Twice: the threads have gone to sleep in between, or not. */
    for (size_t round = 0; round < 2; round++) {
        put(shares, round * 32, 32);
        wait_done(shares, (int)(round + 1) * 32);
    }
    for (size_t i = 0; i < ARRAY_LEN(shares->items); i++) {
        assert_int_equal(shares->items[i].done, 1);
        assert_false(pthread_equal(shares->items[i].ran_on, shares->loop_thread));
    }
    shares_free(shares);
}

/* One that is held does not hold up the other thread. */
static void test_several_at_once(void **state)
{
    (void)state;
    struct shares *shares = shares_new(2);
    shares->items[0].job.run = held_run;
    put(shares, 0, 1);
    while (sem_wait(&shares->inside) != 0)
        ;
    put(shares, 1, 5);
    wait_done(shares, 5);
    assert_int_equal(shares->items[0].done, 0);
    sem_post(&shares->go);
    wait_done(shares, 6);
    shares_free(shares);
}

static void test_alone(void **state)
{
    (void)state;
    struct shares *shares = shares_new(0);
    put(shares, 0, 3);
    assert_int_equal(atomic_load(&shares->ran), 3);
    assert_int_equal(shares->done, 0); /* never from inside crew_put() */
    wait_done(shares, 3);
    assert_true(pthread_equal(shares->items[0].ran_on, shares->loop_thread));
    shares_free(shares);
}

/* What belongs to the crew comes back, whatever had become of it. */
static void test_free_gives_everything_back(void **state)
{
    (void)state;
    struct shares *shares = shares_new(1);
    shares->items[0].job.run = held_run;
    put(shares, 0, 8);
    while (sem_wait(&shares->inside) != 0)
        ;
    sem_post(&shares->go);
    crew_free(take_ptr(shares->crew));
    assert_int_equal(shares->done, 8);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(shares->items[i].done, 1);
    shares_free(shares);
}

static void test_free_from_an_end(void **state)
{
    (void)state;
    struct shares *shares = shares_new(2);
    shares->free_at_first = true;
    put(shares, 0, 16);
    wait_done(shares, 16);
    assert_null(shares->crew);
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(shares->items[i].done, 1);
    shares_free(shares);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_elsewhere_ends_here),
        cmocka_unit_test(test_several_at_once),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_free_gives_everything_back),
        cmocka_unit_test(test_free_from_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
