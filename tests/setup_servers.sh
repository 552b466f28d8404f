#!/usr/bin/env bash
# Installs servers that tests talk to, where they are missing: tests/setup_servers.sh PACKAGE ...
# Needs root and apt-get to install; without them it says what is missing.
set -euo pipefail

present() {
    case "$1" in
        postgresql) command -v postgres || compgen -G "/usr/lib/postgresql/*/bin/postgres" ;;
        *) command -v "$1" ;;
    esac >/dev/null
}

missing=()
for package in "$@"; do
    present "$package" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "tests need ${missing[*]}: install it with this machine's package manager" >&2
    exit 1
fi
# Debian would start a database of its own.
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] ||
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
    -o Dpkg::Options::=--force-confold "${missing[@]}"
