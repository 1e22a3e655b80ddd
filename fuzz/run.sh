#!/bin/sh
# Every fuzz target, one after the other: `sh fuzz/run.sh SECONDS`, with the suite's python in PATH. Ends at the first finding.

set -eu
seconds=${1:-60}
here=$(dirname "$0")

python "$here/twins_http1.py" --seconds "$seconds"

if ! command -v clang > /dev/null; then
    echo "fuzz: no clang here: the C target was not run (Debian 12: apt-get install clang libclang-rt-14-dev)" >&2
    exit 1
fi
make -s -C "$here" http1 SECONDS="$seconds" PYTHON=python
