/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/orphans.h"

#include <errno.h>
#include <unistd.h>

#define STEP 2u /* FUSE_REQ_ID_STEP */
/* Requests that the dead worker's threads had read and not noted yet, with room to spare. What is still in the queue is not hit:
 * until it is read, the kernel does not take an answer to it. */
#define UNNOTED (256u * STEP)

/* The kernel's struct fuse_in_header and fuse_out_header. */
struct request_head {
    uint32_t len, opcode;
    uint64_t unique;
};

struct answer {
    uint32_t len;
    int32_t error;
    uint64_t unique;
};

void orphans_note(struct nodetable_data *table, struct bytes request)
{
    struct request_head head;
    if (request.len < sizeof head)
        return;
    memcpy(&head, request.data, sizeof head);
    uint64_t unique = head.unique & ~(uint64_t)1;
    uint64_t seen = __atomic_load_n(&table->request_high, __ATOMIC_RELAXED);
    while (unique > seen && !__atomic_compare_exchange_n(&table->request_high, &seen, unique, true,
                                __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

size_t orphans_fail(struct nodetable_data *table, int fuse_fd)
{
    /* 0 would be a notification, not an answer. */
    uint64_t first = table->request_low > STEP ? table->request_low & ~(uint64_t)1 : STEP;
    uint64_t last = (table->request_high & ~(uint64_t)1) + UNNOTED;
    uint64_t count = last < first ? ORPHANS_MAX : (last - first) / STEP + 1;
    size_t failed = 0;
    if (count > ORPHANS_MAX)
        count = ORPHANS_MAX;
    for (uint64_t unique = last - (count - 1) * STEP; count > 0; count--, unique += STEP) {
        struct answer answer = {sizeof answer, -EIO, unique};
        if (write(fuse_fd, &answer, sizeof answer) == (ssize_t)sizeof answer)
            failed++;
        else if (errno != ENOENT && errno != EINTR)
            break; /* the connection is gone */
    }
    table->request_low = table->request_high;
    return failed;
}
