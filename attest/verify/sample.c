/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CoCo's sample evidence, of a guest and of a device in it: {"svn":text,"report_data":std64}. Nothing is signed: it proves only that
 * somebody knew the report data. For tests; a KBS takes it only when it is configured to. The
 * claims are Trustee's, constants included.
 */
#include <stdio.h>

#include "attest/verify/check.h"
#include "crypt/base/b64.h"

#define SVN_MAX  64
#define TEXT_MAX 256

struct evidence {
    const char *svn;
    const char *report_data;
};

static const struct json_field evidence_fields[] = {
    {"svn", JSON_FIELD_TEXT, offsetof(struct evidence, svn), .max = SVN_MAX, .required = true},
    {"report_data", JSON_FIELD_TEXT, offsetof(struct evidence, report_data), .max = TEXT_MAX},
};

static bool check_report_data(const struct verify_input *input, const char *check,
    const struct evidence *evidence, struct verdict *verdict, struct err *err)
{
    auto_buf got = BUF_INIT(TEXT_MAX);
    auto_free char *expected = b64_encode(B64_STD, input->report_data);
    if (!expected)
        return err_nomem(err);
    if (!b64_decode(B64_STD, bytes_str(evidence->report_data), "report_data", &got, err))
        return check_error(verdict, check, expected, err);
    if (input->unbound)
        return true;
    if (input->report_data.len == 0 || !bytes_equal(buf_bytes(&got), input->report_data))
        verdict_fail(verdict, check, evidence->report_data, expected);
    return true;
}

/* What may be claimed of evidence `tee`: false with err for trouble of our own, no good evidence is *ret_good false. */
static bool read_evidence(const struct verify_input *input, const char *tee,
    struct evidence *evidence, struct verdict *verdict, bool *ret_good, struct err *err)
{
    static const char shape[] = "{\"svn\":text,\"report_data\":standard base64}";
    char check[48];
    *ret_good = false;
    snprintf(check, sizeof check, "%s.evidence", tee);
    if (!json_is_object(input->evidence)) {
        verdict_fail(verdict, check, "not a JSON object", shape);
        return true;
    }
    if (!json_decode(input->evidence, evidence_fields, ARRAY_LEN(evidence_fields), true,
            "sample evidence", evidence, err))
        return check_error(verdict, check, shape, err);
    snprintf(check, sizeof check, "%s.report-data", tee);
    if (!check_report_data(input, check, evidence, verdict, err))
        return false;
    *ret_good = verdict->reason_count == 0;
    return true;
}

static bool sample_verify(
    const struct verify_input *input, struct verdict *verdict, struct err *err)
{
    struct evidence evidence = {.report_data = ""};
    auto_json *claims = NULL;
    bool good = false;
    verdict->class_name = "cpu";
    if (!read_evidence(input, "sample", &evidence, verdict, &good, err))
        return false;
    if (!good)
        return true;
    if (!json_build(&claims, err, "{s:s, s:b, s:{s:i, s:i}, s:s, s:s}", "launch_digest", "abcde",
            "debug", 0, "platform_version", "major", 1, "minor", 4, "report_data",
            evidence.report_data, "svn", evidence.svn))
        return false;
    if (input->init_data.len > 0) {
        auto_free char *text = b64_encode(B64_STD, input->init_data);
        if (!text || json_object_set_new(claims, "init_data", json_string(text)) != 0)
            return err_nomem(err);
    }
    verdict->claims = take_ptr(claims);
    return true;
}

static bool sampledevice_verify(
    const struct verify_input *input, struct verdict *verdict, struct err *err)
{
    struct evidence evidence = {.report_data = ""};
    bool good = false;
    verdict->class_name = "gpu";
    if (!read_evidence(input, "sampledevice", &evidence, verdict, &good, err))
        return false;
    return !good || json_build(&verdict->claims, err, "{s:s, s:s}", "report_data",
                        evidence.report_data, "svn", evidence.svn);
}

const struct verifier verifier_sample = {.tee = "sample", .verify = sample_verify};
const struct verifier verifier_sampledevice = {
    .tee = "sampledevice", .verify = sampledevice_verify};
