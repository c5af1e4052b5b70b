#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole path in a guest with Debian's own kernel (6.1): /dev/tpmrm0, enrolment, vault, envelope and ordinary file, a changed PCR, the
# death of the worker. Two boots of one machine: without memfd_secret (6.1's default) and with it; what the second needs of
# the first is in the TPM. guest.sh says what is expected inside.
export SEALED_NET=host # the kernel comes from Debian's mirror
. "$(dirname "$0")/../it/lib.sh"
. "$HERE/stack.sh"
VM_HERE=$(cd "$HERE/../vm" && pwd)
. "$VM_HERE/lib.sh"
require_root
require qemu-system-x86_64 swtpm tpm2 busybox dash strip jq python3
stack_users
vm_kernel

stack_tpm
# shellcheck disable=SC2034
KBS_INIT=(--hostname 10.0.2.100)
# shellcheck disable=SC2034
KBS_LINES="attestation admit auto"
stack_kbs
kbs reference-value set tpm_pcr11 "$(printf '0%.0s' {1..64})" >/dev/null
stack_keys
seal_vault vault "correct horse battery staple"
seal_vault cold "never read before"
seal_envelope envelope "encrypted into the file"
echo "an ordinary file" >"$SOURCE/plain"

files=$DIR/files
mkdir -p "$files/etc" "$files/source"
cp "$SOURCE"/* "$files/source/"
cp "$DIR/ca.pem" "$files/etc/kbs-ca.pem"
printf '[kbs]\nurl = https://10.0.2.100:8443\nca_file = /etc/kbs-ca.pem\nrequest_timeout = 120s\n[attest]\ntimeout = 120s\n[secrets]\nopen_timeout = 300s\n' >"$files/etc/sealedfs.conf"
printf '[tpm]\ntcti = device:/dev/tpmrm0\n[attestd]\ndeadline = 120s\n' >"$files/etc/attestd.conf"
vm_image "$DIR/initrd" "$files"
pass "an initramfs of $(($(stat -c %s "$DIR/initrd") >> 20)) MiB"

vm_boot first "$DIR/initrd" "$PORT" "stage=first secretmem.enable=0"
equal "one machine is enrolled" 1 "$(kbs agent list --json | jq length)"
id=$(sed -n 's/^@ refusal //p' "$DIR/first.log" | tr -d '\r')
equal "the broker explains the refusal, too" tpm.pcr11 \
    "$(kbs explain "$id" --json | jq -r '[.findings[] | select(.claim == "tpm.pcr11")][0].claim')"
# The BIOS's own log, as this kernel shows it: it leads to the quoted PCRs, or the broker would say so, and knows nothing of PCR 11.
equal "the broker has read the firmware's log" "the event log has no event of this PCR" \
    "$(kbs explain "$id" --json | jq -r '[.findings[] | select(.claim == "tpm.pcr11")][0].events_note')"
equal "which leads to the quote" 0 "$(kbs explain "$id" --json | jq '[.findings[] | select(.claim == "tpm.event_log")] | length')"

run_swtpm tpm
vm_boot again "$DIR/initrd" "$PORT" "stage=again secretmem.enable=1"
equal "it is still one machine" 1 "$(kbs agent list --json | jq length)"
