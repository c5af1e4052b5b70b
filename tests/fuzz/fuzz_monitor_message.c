/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor reads from a worker that it does not trust, and the worker from the monitor. Whatever is taken is written the same. */
#include <stdlib.h>

#include "fs/monitor_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void request(struct bytes message)
{
    struct monitor_request request;
    auto_buf out = BUF_INIT(65536);
    struct err err = ERR_INIT;
    if (!monitor_request_decode(message, &request, &err))
        return;
    if (!path_valid(request.path) || !monitor_request_encode(&request, &out, &err) ||
        !bytes_equal(buf_bytes(&out), message))
        abort();
}

static void answer(struct bytes message)
{
    struct monitor_answer answer;
    struct monitor_entry entry;
    auto_buf out = BUF_INIT(1 << 20);
    struct err err = ERR_INIT;
    unsigned count = 0;
    if (!monitor_answer_decode(message, &answer, &err))
        return;
    if (!monitor_answer_encode(&answer, &out, &err) || !bytes_equal(buf_bytes(&out), message))
        abort();
    while (monitor_entry_next(&answer.entries, &entry))
        count++;
    if (count != answer.count || answer.entries.len != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct monitor_event event;
    struct err err = ERR_INIT;
    request(bytes_of(data, size));
    answer(bytes_of(data, size));
    (void)!monitor_event_decode(bytes_of(data, size), &event, &err);
    return 0;
}
