/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of our own, detached with a stack of a size that suits a process whose memory is locked. */
#pragma once

#include "crypt/base/err.h"

/* ERR_NOMEM when there can be no more. Signals are masked as in the calling thread. */
bool thread_start(void *(*main)(void *arg), void *arg, struct err *err) MUST_CHECK;
