#!/usr/bin/env bash
# Install what building mysqlclient needs from the system's packages, where that asks nobody for anything.
# Usage: install_headers.sh PYTHON. Does nothing, and says nothing, where it may not: mysqlclient is optional.
set -euo pipefail

has() { command -v "$1" >/dev/null 2>&1; }

packages=()
{ has gcc || has cc; } || packages+=(gcc libc6-dev)
has pkg-config || packages+=(pkg-config)
{ pkg-config --exists mysqlclient || pkg-config --exists libmariadb || pkg-config --exists mariadb; } 2>/dev/null \
    || packages+=(libmariadb-dev)
"$1" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' \
    || packages+=(python3-dev)
[ ${#packages[@]} -eq 0 ] && exit 0
has apt-get || exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || exit 0
    sudo=(sudo -n)
fi
echo "Installing ${packages[*]} ..."
install=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-remove --no-install-recommends)
"${install[@]}" "${packages[@]}" >/dev/null 2>&1 && exit 0
"${sudo[@]}" apt-get update -qq || true
"${install[@]}" "${packages[@]}" >/dev/null || echo "apt-get install ${packages[*]} failed; its message is above." >&2
