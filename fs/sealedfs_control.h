/* SPDX-License-Identifier: Apache-2.0 */
/* The seam between the process and the control socket: fs/sealedfs_control.c in the product, nothing in the test program. */
#pragma once

#include "fs/worker_main.h"

bool sealedfs_control_bind(const struct sealedfs_conf *conf, int *ret_fd, struct err *err)
    MUST_CHECK;
bool sealedfs_control_serve(struct loop *loop, const struct sealedfs_conf *conf, int fd,
    struct resolver *resolver, struct worker *worker, struct err *err) MUST_CHECK;
