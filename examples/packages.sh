# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# The Debian packages that building, running and testing take, in one place. Sourced by quickstart.sh and tests/run.sh.
BUILD_PACKAGES="cmake ninja-build gcc libc6-dev pkg-config libfuse3-dev libssl-dev libcurl4-openssl-dev libjansson-dev
 libtss2-dev libmicrohttpd-dev libpq-dev libinih-dev libseccomp-dev libcmocka-dev"
RUN_PACKAGES="swtpm swtpm-tools tpm2-tools openssl ca-certificates procps util-linux jq"
TEST_PACKAGES="acl clang clang-format libclang-rt-14-dev busybox-static jose python3 python3-cryptography python3-requests
 python3-jwcrypto python3-yaml curl shellcheck mandoc fuse3 libcap2-bin binutils git crun systemd
 haproxy postgresql qemu-system-x86 dash xz-utils"

# install_packages NAME…: only what is missing, so that a second run needs no network.
install_packages() {
    local missing=() name
    for name; do
        dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || { echo "missing packages, and not root to install them: ${missing[*]}" >&2; return 1; }
    echo "installing: ${missing[*]}"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
