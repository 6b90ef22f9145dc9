#!/bin/sh
# install-deps.sh: the Debian packages that building and testing need. Says
# nothing and needs no network when all of them are there; else it runs
# apt-get, through sudo unless this is root.
set -eu

# gcc and libc6-dev compile, libgomp comes with gcc; lua-busted and lua-check
# (luacheck) test; dkjson reads the JSON of `decant convert`. Without these one
# spec each is skipped: luarocks; a cross compiler and an emulator for ARM.
packages="gcc libc6-dev make pkg-config lua5.4 liblua5.4-dev lua-busted
  lua-check lua-dkjson luarocks gcc-aarch64-linux-gnu libc6-dev-arm64-cross
  qemu-user"

missing=
for package in $packages; do
  dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null |
    grep -q 'ok installed' || missing="$missing $package"
done
test -n "$missing" || exit 0

sudo=
if test "$(id -u)" != 0; then
  command -v sudo >/dev/null || {
    echo "install-deps.sh: needs root or sudo to install:$missing" >&2
    exit 1
  }
  sudo=sudo
fi
$sudo apt-get update -q
$sudo env DEBIAN_FRONTEND=noninteractive \
  apt-get install -q -y --no-install-recommends $missing
