/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UEFI device paths as text (UEFI 2.10, section 10.6), node by node, in the forms that Trustee's claims have:
 *     Pci(0,3) ACPI(PNP0A03,0) HD(15,GPT,00F1275E-…,0x2800,0x35000) VenMedia(GUID,hex) File(\EFI\BOOT\BOOTX64.EFI)
 *     USB(1,2) Mac(001320F5FA77,0x01) IPv4(remote,TCP,Static,local) FibreEx(0x…,0x…) BBS(DEV,text,0)
 * and Path(type,subtype,hex) for every other node.
 */
#pragma once

#include "crypt/base/json.h"

/* Appends one text a node of `path` (without its end node) to the array. *ret_ok false: lengths that cannot be; the array then holds
 * the nodes before. False only for want of memory. */
bool eventlog_paths(struct bytes path, json_t *array, bool *ret_ok, struct err *err) MUST_CHECK;
