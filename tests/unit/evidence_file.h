/* SPDX-License-Identifier: Apache-2.0 */
/* A file of tests/vectors, tests/bad/evidence or the corpus: {"tee","report_data":hex,"init_data":hex,"refused_by"?,"evidence"},
 * where it matters with "at" (unix seconds), "roots" (PEM, instead of the pins) and "collateral" ({name: {"body":std64,"chain"?:text}}). */
#pragma once

#include <dirent.h>

#include "attest/verify/verify.h"
#include "crypt/base/b64.h"
#include "crypt/base/file.h"

struct evidence_file {
    json_t *whole;
    const struct verifier *verifier;
    struct verify_input input;
    uint8_t report_data[64], init_data[64];
    struct anchors *anchors;
    struct collateral *collateral;
};

static inline void evidence_file_done(struct evidence_file *file)
{
    json_unref(file->whole);
    anchors_free(file->anchors);
    collateral_free(file->collateral);
}
#define auto_evidence_file AUTO_DONE(evidence_file_done) struct evidence_file

static inline bool evidence_file_hex(const json_t *whole, const char *name, uint8_t out[64],
    struct bytes *ret_bytes, struct err *err)
{
    const char *text = json_member_text(whole, name);
    size_t len = text ? strlen(text) / 2 : 0;
    if (len > 64 || (text && !hex_decode(bytes_str(text), name, out, len, err)))
        return false;
    *ret_bytes = bytes_of(out, len);
    return true;
}

static inline bool evidence_file_collateral(struct evidence_file *file, struct err *err)
{
    const char *name;
    json_t *object, *all = json_object_get(file->whole, "collateral");
    if (!all)
        return true;
    if (!collateral_new(&file->collateral, err))
        return false;
    json_object_foreach(all, name, object)
    {
        auto_buf body = BUF_INIT(COLLATERAL_OBJECT_MAX);
        const char *text = json_member_text(object, "body"),
                   *chain = json_member_text(object, "chain");
        if (!text || !b64_decode(B64_STD, bytes_str(text), name, &body, err) ||
            !collateral_put(
                file->collateral, name, buf_bytes(&body), bytes_str(chain ? chain : ""), err))
            return false;
    }
    file->input.collateral = file->collateral;
    return true;
}

static inline bool evidence_file_ground(struct evidence_file *file, struct err *err)
{
    const char *roots = json_member_text(file->whole, "roots");
    if (roots && !anchors_new(bytes_str(roots), false, &file->anchors, err))
        return false;
    file->input.anchors = file->anchors;
    file->input.now = json_integer_value(json_object_get(file->whole, "at"));
    return evidence_file_collateral(file, err);
}

/* `file` must stay where it is: the input points into it. */
static inline bool evidence_file_parse(
    struct bytes text, struct evidence_file *file, struct err *err)
{
    if (!json_load_strict(text, VERIFY_EVIDENCE_MAX, "evidence file", &file->whole, err))
        return false;
    const char *tee = json_member_text(file->whole, "tee");
    file->verifier = tee ? verifier_find(tee) : NULL;
    file->input.evidence = json_object_get(file->whole, "evidence");
    return file->verifier && file->input.evidence &&
           evidence_file_hex(
               file->whole, "report_data", file->report_data, &file->input.report_data, err) &&
           evidence_file_hex(
               file->whole, "init_data", file->init_data, &file->input.init_data, err) &&
           evidence_file_ground(file, err);
}

static inline bool evidence_file_load(const char *path, struct evidence_file *file, struct err *err)
{
    auto_buf text = BUF_INIT(VERIFY_EVIDENCE_MAX);
    return file_read(path, VERIFY_EVIDENCE_MAX, &text, err) &&
           evidence_file_parse(buf_bytes(&text), file, err);
}
