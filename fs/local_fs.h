/* SPDX-License-Identifier: Apache-2.0 */
/* Is a file on a local file system whose kernel code is known to keep an honest ctime, and which answers without asking another machine
 * or process? What lies on anything else (network, FUSE) may differ each time it is read, and may never come. */
#pragma once

#include <stdbool.h>

bool local_fs(int fd);
