#!/usr/bin/env bash
# Install MariaDB, Redis and RabbitMQ from the system's packages, where they are missing. Their own services
# are not needed: the suite starts private instances on free ports and stops them.
set -euo pipefail

# Servers live outside the PATH of ordinary users.
PATH=$PATH:/usr/sbin:/usr/local/sbin:/usr/libexec

has() { command -v "$1" >/dev/null 2>&1; }

missing=()
{ has mariadbd || has mysqld; } && { has mariadb-install-db || has mysql_install_db; } || missing+=(MariaDB)
has redis-server || has valkey-server || missing+=(Redis)
has rabbitmq-server || missing+=(RabbitMQ)
[ ${#missing[@]} -eq 0 ] && exit 0
what=$(printf '%s and ' "${missing[@]}")
what=${what% and }

fail() {
    printf '\nThe test suite needs %s. %s\n' "$what" "$1" >&2
    printf '(Without servers: make check. What is missing is skipped by: .venv/bin/pytest)\n' >&2
    exit 1
}

# Without the `mariadb-server` package itself no service of it is set up.
packages=()
for name in "${missing[@]}"; do
    case $name in
    MariaDB) packages+=(mariadb-server-core mariadb-client-core) ;;
    Redis) packages+=(redis-server) ;;
    RabbitMQ) packages+=(rabbitmq-server) ;;
    esac
done

if ! has apt-get; then
    case $(uname -s) in
    Darwin) fail 'Install with: brew install mariadb redis rabbitmq' ;;
    *) fail 'Install with: dnf install mariadb-server redis rabbitmq-server; or: pacman -S mariadb redis rabbitmq; or: apk add mariadb mariadb-client redis rabbitmq-server' ;;
    esac
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
    has sudo || fail "Ask an administrator for: apt-get install ${packages[*]}"
    if ! sudo -n true 2>/dev/null; then
        # Without a terminal sudo could not ask.
        [ -t 0 ] || fail "Install with: sudo apt-get install ${packages[*]}"
        echo "The test suite needs $what; sudo asks for your password to install: ${packages[*]}"
    fi
    sudo=(sudo)
fi

echo "Installing ${packages[*]} ..."
# Debian starts a service as soon as it is installed, unless this file says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod +x "$policy"
    trap '"${sudo[@]}" rm -f "$policy"' EXIT
fi
"${sudo[@]}" apt-get update -qq || echo 'apt-get update failed; trying with the lists at hand' >&2
# --no-remove: an installed MySQL conflicts with MariaDB, and must not be thrown out for a test.
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-remove --no-install-recommends \
    "${packages[@]}" >/dev/null || fail "apt-get install ${packages[*]} failed; its message is above."
