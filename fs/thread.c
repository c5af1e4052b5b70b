/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/thread.h"

#include <pthread.h>

#define STACK_SIZE (512u * 1024u)

bool thread_start(void *(*main)(void *arg), void *arg, struct err *err)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int failed = pthread_create(&thread, &attr, main, arg);
    pthread_attr_destroy(&attr);
    if (failed)
        return err_set_at(err, ERR_NOMEM, failed, __FILE__, __LINE__, "start a thread");
    return true;
}
