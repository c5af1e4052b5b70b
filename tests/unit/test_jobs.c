/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <semaphore.h>

#include "attest/jobs.h"

#define TURN_MS 5000

struct step {
    struct job job;
    struct steps *steps;
    pthread_t ran_on;
};

struct steps {
    struct loop *loop;
    struct jobs *jobs;
    sem_t go; /* each job waits for one */
    int ran, done;
    struct step items[8];
};

static void step_run(struct job *job)
{
    struct step *step = CONTAINER_OF(job, struct step, job);
    while (sem_wait(&step->steps->go) != 0)
        ;
    step->ran_on = pthread_self();
    step->steps->ran++;
}

static void step_done(struct job *job)
{
    struct step *step = CONTAINER_OF(job, struct step, job);
    /* In order: the n-th that ends is the n-th that was put. */
    assert_ptr_equal(step, &step->steps->items[step->steps->done]);
    step->steps->done++;
}

static int setup(void **state)
{
    static struct steps steps;
    struct err err = ERR_INIT;
    memset(&steps, 0, sizeof steps);
    sem_init(&steps.go, 0, 0);
    for (size_t i = 0; i < ARRAY_LEN(steps.items); i++)
        steps.items[i] =
            (struct step){.job = {.run = step_run, .done = step_done}, .steps = &steps};
    assert_done(loop_new(&steps.loop, &err), &err);
    assert_done(jobs_new(steps.loop, 3, &steps.jobs, &err), &err);
    *state = &steps;
    return 0;
}

static int teardown(void **state)
{
    struct steps *steps = *state;
    jobs_free(steps->jobs);
    loop_free(steps->loop);
    sem_destroy(&steps->go);
    return 0;
}

static void wait_done(struct steps *steps, int wanted)
{
    struct err err = ERR_INIT;
    while (steps->done < wanted)
        assert_done(loop_turn(steps->loop, TURN_MS, &err), &err);
}

static void test_runs_elsewhere_ends_here(void **state)
{
    struct steps *steps = *state;
    struct err err = ERR_INIT;
    sem_post(&steps->go);
    assert_done(jobs_put(steps->jobs, &steps->items[0].job, &err), &err);
    wait_done(steps, 1);
    assert_int_equal(steps->ran, 1);
    assert_false(pthread_equal(steps->items[0].ran_on, pthread_self()));
}

/* Fills until refused: the thread may have taken the first job already or not yet. */
static size_t fill(struct steps *steps)
{
    struct err err = ERR_INIT;
    size_t count = 0;
    while (count < ARRAY_LEN(steps->items) && jobs_put(steps->jobs, &steps->items[count].job, &err))
        count++;
    assert_int_equal(err.code, ERR_BUSY);
    return count;
}

static void test_bounded_and_in_order(void **state)
{
    struct steps *steps = *state;
    size_t count = fill(steps);
    assert_true(count == 3 || count == 4);
    for (size_t i = 0; i < count; i++)
        sem_post(&steps->go);
    wait_done(steps, (int)count);
    assert_int_equal(steps->ran, (int)count);
}

static void test_cancel_what_waits(void **state)
{
    struct steps *steps = *state;
    size_t count = fill(steps);
    assert_true(jobs_cancel(steps->jobs, &steps->items[count - 1].job));
    assert_false(jobs_cancel(steps->jobs, &steps->items[count - 1].job));
    for (size_t i = 0; i < count; i++)
        sem_post(&steps->go);
    wait_done(steps, (int)count - 1);
    assert_int_equal(steps->ran, (int)count - 1);
    assert_false(jobs_cancel(steps->jobs, &steps->items[0].job));
}

static void test_stop_leaves_waiting_jobs_alone(void **state)
{
    struct steps *steps = *state;
    size_t count = fill(steps);
    sem_post(&steps->go); /* at most the one that may have started */
    assert_true(jobs_stop(steps->jobs));
    assert_true(steps->ran <= 1 && count > 1);
    assert_int_equal(steps->done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_runs_elsewhere_ends_here, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded_and_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_what_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_leaves_waiting_jobs_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
