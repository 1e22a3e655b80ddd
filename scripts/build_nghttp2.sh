#!/bin/sh
# Builds libnghttp2 for wheels: static, so that nothing has to be found at run time, and of a version that we have looked at.
#
#   scripts/build_nghttp2.sh PREFIX     then PKG_CONFIG_PATH=PREFIX/lib/pkgconfig
set -eu

prefix=$1
version=1.69.0
sum=c866b7477cbb7512ab6863a685027adbb1bb8da8fc3bab7429ed43d3281d5aa9
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
archive=$folder/nghttp2.tar.gz

curl -fsSL -o "$archive" "https://github.com/nghttp2/nghttp2/releases/download/v$version/nghttp2-$version.tar.gz"
if command -v sha256sum >/dev/null; then found=$(sha256sum "$archive"); else found=$(shasum -a 256 "$archive"); fi
if [ "${found%% *}" != "$sum" ]; then
    printf 'picocorn: nghttp2-%s.tar.gz has another checksum than expected: %s\n' "$version" "${found%% *}" >&2
    exit 1
fi
tar -xzf "$archive" -C "$folder"
cd "$folder/nghttp2-$version"
./configure -q --prefix="$prefix" --libdir="$prefix/lib" --enable-lib-only --disable-shared --enable-static --with-pic
make -s -j4
make -s install
