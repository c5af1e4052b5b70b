/* SPDX-License-Identifier: Apache-2.0 */
/* TDX evidence from tests/vectors/evidence/tdx, and what tests/bad/tdx_evidence makes of it (tests/vectors/make_tdx.py tells the form). */
#pragma once

#include "tests/unit/evidence_file.h"
#include "tests/unit/unit.h"

#define TDX_GOOD_DIR TEST_SOURCE_DIR "/vectors/evidence/tdx"
#define TDX_BAD_DIR  TEST_SOURCE_DIR "/bad/tdx_evidence"

static inline json_t *tdx_file_json(const char *dir, const char *name)
{
    char path[4096];
    struct err err = ERR_INIT;
    json_t *json = NULL;
    auto_buf text = BUF_INIT(VERIFY_EVIDENCE_MAX);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_done(file_read(path, VERIFY_EVIDENCE_MAX, &text, &err), &err);
    assert_done(json_load_strict(buf_bytes(&text), VERIFY_EVIDENCE_MAX, path, &json, &err), &err);
    return json;
}

/* Takes a file as it is in memory. */
static inline void tdx_file_of(const json_t *json, struct evidence_file *file)
{
    struct err err = ERR_INIT;
    auto_free char *text = json_text(json);
    assert_non_null(text);
    assert_done(evidence_file_parse(bytes_str(text), file, &err), &err);
}

static inline void tdx_file_good(const char *name, struct evidence_file *file)
{
    char file_name[64];
    snprintf(file_name, sizeof file_name, "%s.json", name);
    auto_json *json = tdx_file_json(TDX_GOOD_DIR, file_name);
    tdx_file_of(json, file);
}

static inline void tdx_file_quote(const json_t *evidence, struct buf *quote)
{
    struct err err = ERR_INIT;
    assert_done(
        b64_decode(B64_STD, bytes_str(json_member_text(evidence, "quote")), "quote", quote, &err),
        &err);
}

static inline json_t *tdx_file_evidence(struct bytes quote)
{
    auto_free char *text = b64_encode(B64_STD, quote);
    assert_non_null(text);
    return json_pack("{s:s}", "quote", text);
}

static inline json_t *tdx_file_splice(const json_t *evidence, const json_t *splice)
{
    struct err err = ERR_INIT;
    auto_buf old = BUF_INIT(1u << 20), made = BUF_INIT(1u << 20);
    size_t head = (size_t)json_integer_value(json_object_get(splice, "head"));
    size_t tail = (size_t)json_integer_value(json_object_get(splice, "tail"));
    tdx_file_quote(evidence, &old);
    assert_true(head + tail <= old.len);
    assert_done(buf_append(&made, bytes_slice(buf_bytes(&old), 0, head), &err) &&
                    b64_decode(B64_STD, bytes_str(json_member_text(splice, "middle")), "middle",
                        &made, &err) &&
                    buf_append(&made, bytes_slice(buf_bytes(&old), old.len - tail, tail), &err),
        &err);
    return tdx_file_evidence(buf_bytes(&made));
}

/* The good file that `bad` names with what differs. */
static inline json_t *tdx_file_merge(const json_t *bad)
{
    static const char *const members[] = {"evidence", "report_data", "init_data", "at", "roots"};
    char name[64];
    json_t *object, *splice = json_object_get(bad, "splice");
    snprintf(name, sizeof name, "%s.json", json_member_text(bad, "base"));
    json_t *whole = tdx_file_json(TDX_GOOD_DIR, name);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (json_object_get(bad, members[i]))
            json_object_set(whole, members[i], json_object_get(bad, members[i]));
    if (splice)
        json_object_set_new(
            whole, "evidence", tdx_file_splice(json_object_get(whole, "evidence"), splice));
    if (json_object_get(bad, "cc_eventlog"))
        json_object_set(
            json_object_get(whole, "evidence"), "cc_eventlog", json_object_get(bad, "cc_eventlog"));
    const char *which;
    json_t *all = json_object_get(whole, "collateral");
    json_object_foreach(json_object_get(bad, "collateral"), which, object)
    {
        auto_json *chain = json_incref(json_object_get(json_object_get(all, which), "chain"));
        if (chain && !json_object_get(object, "chain"))
            json_object_set(object, "chain", chain);
        json_object_set(all, which, object);
    }
    return whole;
}
