#!/bin/sh
# Every fuzz target, one after the other: `sh fuzz/run.sh SECONDS`, with the suite's python in PATH. Ends at the first finding.
# Installs clang where apt-get can, as scripts/setup.sh does for the rest: libFuzzer comes with no other compiler.

set -eu
seconds=${1:-60}
here=$(dirname "$0")

for target in "$here"/twins_*.py; do
    echo "$target, $seconds s"
    python "$target" --seconds "$seconds"
done

apt_install() {
    [ -r /etc/debian_version ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return 1
    echo "fuzz: installing $* with apt-get" >&2
    apt-get update -qq > /dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" > /dev/null
}

# Debian keeps the sanitizers' and the fuzzer's runtime apart from the compiler.
has_runtime() { echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | clang -x c - -fsanitize=fuzzer,address -o /dev/null 2> /dev/null; }

command -v clang > /dev/null || apt_install clang || true
if command -v clang > /dev/null && ! has_runtime; then
    apt_install "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev" || true
fi
if ! command -v clang > /dev/null || ! has_runtime; then
    echo "fuzz: no clang with libFuzzer here: the C targets were not run (Debian 12: apt-get install clang libclang-rt-14-dev)" >&2
    exit 1
fi
make -s -C "$here" run SECONDS="$seconds" PYTHON=python
