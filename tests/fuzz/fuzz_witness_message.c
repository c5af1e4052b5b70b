/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor's witness reads from a worker that it does not trust, and the worker from it. Whatever is taken is written the same,
 * and any record becomes one line that is JSON. */
#include <stdlib.h>

#include "crypt/base/json.h"
#include "fs/witness_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void line_of(const struct audit_record *record)
{
    auto_buf line = BUF_INIT(AUDIT_LINE_MAX);
    auto_json *json = NULL;
    struct err err = ERR_INIT;
    if (!audit_record_line(record, &line, &err) ||
        memchr(line.data, '\n', line.len) != line.data + line.len - 1 ||
        !json_load_strict(buf_bytes(&line), AUDIT_LINE_MAX, "line", &json, &err))
        abort();
}

static void request(struct bytes message)
{
    static struct witness_texts texts;
    struct witness_request request;
    auto_buf out = BUF_INIT(65536);
    struct err err = ERR_INIT;
    if (!witness_request_decode(message, &texts, &request, &err))
        return;
    if (!witness_request_encode(&request, &out, &err) || !bytes_equal(buf_bytes(&out), message))
        abort();
    if (request.operation == WITNESS_RECORD)
        line_of(&request.record);
}

static void answer(struct bytes message)
{
    struct witness_answer answer;
    auto_buf out = BUF_INIT(65536);
    struct err err = ERR_INIT;
    if (!witness_answer_decode(message, &answer, &err))
        return;
    if (!witness_answer_encode(&answer, &out, &err) || !bytes_equal(buf_bytes(&out), message))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    request(bytes_of(data, size));
    answer(bytes_of(data, size));
    return 0;
}
