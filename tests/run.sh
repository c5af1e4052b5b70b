#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole test run on a fresh Debian 12 (root): installs what it needs, builds release, ASan+UBSan and the fuzz targets,
# runs lint, unit, integration and (briefly) fuzz tests, and ends with ctest's summary of all of them.
#
#     tests/run.sh [-R REGEX] [--quick] [--long]   -R: only tests whose name matches; --quick: release build only;
#                                                  --long: 1,000 deaths of the worker and 200 upgrades instead of 30 and 20
#     SEALED_BUILD=DIR   where to build (default ./build)      SEALED_FUZZ_SECONDS=N   per fuzz target (default 10)
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
build=${SEALED_BUILD:-$top/build}
export SEALED_FUZZ_SECONDS=${SEALED_FUZZ_SECONDS:-10}
regex=. flavours="release asan fuzz"
while [ $# -gt 0 ]; do
    case $1 in
    -R) regex=$2; shift 2 ;;
    --quick) flavours=release; shift ;;
    --long) export SEALED_KILLS=1000 SEALED_UPGRADES=200; shift ;;
    -h | --help) sed -n '3,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "tests/run.sh: unknown argument '$1'; see --help" >&2; exit 2 ;;
    esac
done

. "$top/examples/packages.sh"
# shellcheck disable=SC2086
install_packages $BUILD_PACKAGES $RUN_PACKAGES $TEST_PACKAGES

configure() { # FLAVOUR CMAKE-ARGS…
    local flavour=$1; shift
    cmake -S "$top" -B "$build/$flavour" -G Ninja "-DSEALED_TEST_PREFIX=$flavour/" "$@" >"$build/$flavour.configure.log" 2>&1 ||
        { cat "$build/$flavour.configure.log"; exit 1; }
    cmake --build "$build/$flavour" >"$build/$flavour.build.log" 2>&1 || { grep -v '^\[[0-9/]*\] Building' "$build/$flavour.build.log"; exit 1; }
    echo "built $flavour"
}
mkdir -p "$build"
: >"$build/CTestTestfile.cmake"
for flavour in $flavours; do
    case $flavour in
    release) configure release -DCMAKE_BUILD_TYPE=RelWithDebInfo ;;
    asan) configure asan -DCMAKE_BUILD_TYPE=Debug -DSEALED_SANITIZE=ON ;;
    fuzz) configure fuzz -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_COMPILER=clang -DSEALED_SANITIZE=ON -DSEALED_FUZZ=ON ;;
    esac
    echo "subdirs($flavour)" >>"$build/CTestTestfile.cmake"
done

cd "$build"
status=0
ctest --no-tests=error --output-on-failure -j "$(nproc)" -R "$regex" 2>&1 | tee "$build/ctest.log" || status=$?
if [ -n "${CI:-}" ] && grep -q '\*\*\*Skipped' "$build/ctest.log"; then
    echo "tests were skipped, and in CI nothing may skip"
    exit 1
fi
exit "$status"
