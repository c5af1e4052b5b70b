/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/greeting.h"

#include <errno.h>
#include <unistd.h>

#define OPCODE_INIT 26
/* From 6.9 on; the headers of Debian 12 are older. */
#define NOTIFY_RESEND 7
#define FLAG_INIT_EXT (1u << 30)
#define FLAG2_RESEND  (1u << 7)

/* The head of each request, and of FUSE_INIT's body. */
struct init_request {
    uint32_t len, opcode;
    uint64_t unique, node;
    uint32_t uid, gid, pid, padding;
    uint32_t major, minor, max_readahead, flags, flags2;
};

struct notify {
    uint32_t len;
    int32_t code;
    uint64_t unique;
};

/* Kernels before 5.16 have no flags2. */
#define LEN_MIN offsetof(struct init_request, flags2)

static bool is_greeting(struct bytes request)
{
    struct init_request init = {0};
    if (request.len < LEN_MIN || request.len > NODETABLE_INIT)
        return false;
    memcpy(&init, request.data, request.len < sizeof init ? request.len : sizeof init);
    return init.opcode == OPCODE_INIT && init.len == request.len;
}

bool greeting_keep(struct nodetable_data *table, struct bytes request, struct err *err)
{
    if (!is_greeting(request))
        return err_set(err, ERR_INTERNAL, "the kernel's first request is not FUSE_INIT");
    memcpy(table->init, request.data, request.len);
    __atomic_store_n(&table->init_len, (uint32_t)request.len, __ATOMIC_RELEASE);
    return true;
}

bool greeting_is_kept(const struct nodetable_data *table)
{
    return table->init_len > 0;
}

bool greeting_recall(
    const struct nodetable_data *table, uint8_t *out, size_t *ret_len, struct err *err)
{
    size_t len = table->init_len;
    if (len > NODETABLE_INIT || !is_greeting(bytes_of(table->init, len)))
        return err_set(err, ERR_INTERNAL, "what is kept of the kernel's FUSE_INIT is not one");
    memcpy(out, table->init, len);
    *ret_len = len;
    return true;
}

bool greeting_can_resend(const uint8_t *greeting, size_t len)
{
    struct init_request init;
    if (len < sizeof init)
        return false;
    memcpy(&init, greeting, sizeof init);
    return (init.flags & FLAG_INIT_EXT) && (init.flags2 & FLAG2_RESEND);
}

bool greeting_resend(int fuse_fd, struct err *err)
{
    struct notify resend = {.len = sizeof resend, .code = NOTIFY_RESEND};
    if (write(fuse_fd, &resend, sizeof resend) != (ssize_t)sizeof resend)
        return err_set_errno(err, ERR_IO, "ask the kernel for unanswered requests");
    return true;
}
