#!/bin/sh
# Prepares a private virtual environment and builds picocorn in it: the first half of `make serve` and `make test`.
# Knows Debian's package names; installs with apt-get only as root and only what is missing. Safe to run any number of times.
#
#   scripts/setup.sh VENV PYTHON run|dev
#
# VENV is the folder of the environment, PYTHON the interpreter asked for, dev adds what the suite and the linters need:
# on Debian a Chromium too, unless PICOCORN_BROWSER=no, and nginx and HAProxy, unless PICOCORN_PROXIES=no.
set -eu

venv=$1
python=$2
kind=$3
cd "$(dirname "$0")/.."

say() { printf 'picocorn: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
has_apt() { [ -r /etc/debian_version ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; }
is_from_debian() { [ "$("$python" -c 'import sys; print(sys.base_prefix)')" = /usr ]; }

apt_install() {
    say "installing $* with apt-get"
    # apt-get talks a lot; only what it says when it fails is of interest.
    if ! told=$(apt-get update -qq 2>&1 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" 2>&1)
    then
        printf '%s\n' "$told" | tail -n 5 >&2
        return 1
    fi
}

find_python() {
    for candidate in "$python" python3.14 python3.13 python3.12 python3.11; do
        if is_recent "$candidate"; then python=$candidate; return; fi
    done
    if has_apt && ! command -v python3 >/dev/null; then
        apt_install python3 && is_recent python3 && { python=python3; return; }
    fi
    die "no Python 3.11 or newer found (looked for $python, python3.11 to python3.14); name one with PYTHON=/path/to/python"
}

make_venv() {
    if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then return; fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        if has_apt && is_from_debian; then
            apt_install "python$version-venv" || die "apt-get could not install python$version-venv, which $python needs"
        else
            die "$python cannot make virtual environments; install its venv module (Debian: apt-get install python$version-venv)"
        fi
    fi
    rm -rf "$venv"
    "$python" -m venv "$venv" || die "$python could not create $venv"
}

# Debian keeps Python.h apart from python3. Without a compiler it would be of no use.
find_headers() {
    if [ "${PICOCORN_BUILD_EXTENSION:-}" = no ]; then return; fi
    if ! command -v cc >/dev/null && ! command -v gcc >/dev/null && ! command -v clang >/dev/null; then return; fi
    if "$venv/bin/python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
    then return; fi
    version=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if has_apt && [ "$("$venv/bin/python" -c 'import sys; print(sys.base_prefix)')" = /usr ]; then
        apt_install "python$version-dev" || say "apt-get could not install python$version-dev"
    fi
}

# HTTP/2 is served over libnghttp2 where it is there at the build, else over h2. Tried once: old systems have too old a library.
find_nghttp2() {
    if [ "${PICOCORN_BUILD_EXTENSION:-}" = no ] || [ "${PICOCORN_BUILD_NGHTTP2:-}" = no ]; then return; fi
    if [ -e "$venv/.nghttp2-asked" ] || ! has_apt; then return; fi
    if ! command -v cc >/dev/null && ! command -v gcc >/dev/null && ! command -v clang >/dev/null; then return; fi
    touch "$venv/.nghttp2-asked"
    if ! pkg-config --exists libnghttp2 2>/dev/null; then
        apt_install pkg-config libnghttp2-dev || say "no libnghttp2: HTTP/2 is served over the h2 package, slower"
    fi
    if [ "$kind" = dev ] && ! command -v h2load >/dev/null; then
        apt_install nghttp2-client || say "no nghttp and h2load: the tests that need them are skipped (Debian: nghttp2-client)"
    fi
}

# pip is asked only when pyproject.toml has changed since it last answered.
install_dependencies() {
    stamp=$venv/.installed-$kind
    if [ "$stamp" -nt pyproject.toml ]; then return; fi
    case $kind in
        dev) what='.[dev]' ;;
        *) what='.' ;;
    esac
    say "installing into $venv"
    requires=$("$venv/bin/python" -c 'import tomllib; print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"]))')
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    printf '%s\n' "$requires" >"$venv/.build-requires"
    "$venv/bin/python" -m pip install -q -r "$venv/.build-requires" || die "pip could not install the build requirements (see above)"
    # The extensions are built below, where a fallback can be seen; pip hides what a build says.
    PICOCORN_BUILD_EXTENSION=no "$venv/bin/python" -m pip install -q --no-build-isolation -e "$what" ||
        die "pip could not install the dependencies (see above)"
    touch "$stamp"
}

# A browser for the tests that want a real one; without it they are skipped, and pytest says so. It is large, and tried once.
find_browser() {
    if [ "$kind" != dev ] || [ "${PICOCORN_BROWSER:-}" = no ] || [ -e "$venv/.browser-asked" ]; then return; fi
    for candidate in chromium chromium-browser google-chrome google-chrome-stable chrome; do
        if command -v "$candidate" >/dev/null; then return; fi
    done
    touch "$venv/.browser-asked"
    if has_apt && apt_install chromium; then return; fi
    say "no Chromium: the tests that need a browser are skipped (Debian: apt-get install chromium)"
}

# Real proxies for the tests of examples/deploy; without them these are skipped, and pytest says so. Tried once.
find_proxies() {
    if [ "$kind" != dev ] || [ "${PICOCORN_PROXIES:-}" = no ] || [ -e "$venv/.proxies-asked" ]; then return; fi
    missing=
    for package in nginx-light:nginx haproxy:haproxy; do
        if ! PATH=$PATH:/usr/sbin command -v "${package#*:}" >/dev/null; then missing="$missing ${package%:*}"; fi
    done
    touch "$venv/.proxies-asked"
    if [ -z "$missing" ]; then return; fi
    if has_apt; then
        # For the tests alone: Debian starts services that it installs, unless this script says no.
        policy=/usr/sbin/policy-rc.d
        if [ -e "$policy" ]; then policy=; else
            trap 'rm -f /usr/sbin/policy-rc.d; exit 130' INT TERM
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod 755 "$policy"
        fi
        # shellcheck disable=SC2086  # two words are two packages
        if apt_install $missing; then missing=; fi
        if [ -n "$policy" ]; then rm -f "$policy"; trap - INT TERM; fi
    fi
    if [ -n "$missing" ]; then say "no$missing: the tests that need one are skipped (Debian: apt-get install$missing)"; fi
}

# Always asked: setup.py compares time stamps itself, and a compiler may have arrived.
build() {
    "$venv/bin/python" setup.py -q build_ext --inplace ||
        die "the extensions do not build (see above); PICOCORN_BUILD_EXTENSION=no installs without them"
}

find_python
make_venv
find_headers
find_nghttp2
install_dependencies
find_browser
find_proxies
build
