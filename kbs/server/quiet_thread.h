/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the broker beside those that serve requests: the program's signals are the main thread's business, and waits are measured
 * on the steady clock. */
#pragma once

#include <pthread.h>

/* pthread_create() with every signal blocked in the new thread; gives its error number, 0 when it runs. */
int quiet_thread_start(pthread_t *ret_thread, void *(*main)(void *arg), void *arg);
/* A condition whose timed waits take times of CLOCK_MONOTONIC. */
void quiet_thread_condition(pthread_cond_t *condition);
