/* SPDX-License-Identifier: Apache-2.0 */
/* The paravisor's report of Azure: its bounds, then its runtime data. Views stay within the input. */
#include <stdint.h>
#include <stdlib.h>

#include "attest/verify/hcl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct hcl_report report;
    struct hcl_runtime runtime = {0};
    if (!hcl_report_parse(bytes_of(data, size), &report, &err))
        return 0;
    struct bytes inner = report.runtime_data;
    if (report.hardware.len != HCL_HARDWARE_SIZE ||
        (inner.len > 0 && (inner.data + inner.len > data + size || inner.data < data)))
        abort();
    if (hcl_runtime_parse(report.runtime_data, &runtime, &err) && !runtime.ak)
        abort();
    hcl_runtime_done(&runtime);
    return 0;
}
