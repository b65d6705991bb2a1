#!/usr/bin/env bash
# Makes sure that a Redis server is there for the tests to start: uses the one on PATH, else installs it where that is
# possible without asking (as root on Debian and its kin), else says in one line what to install.
set -u

if command -v redis-server >/dev/null 2>&1 || command -v valkey-server >/dev/null 2>&1; then
  exit 0
fi

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  # The tests start servers of their own: the package must not start one.
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  if apt-get update -qq >/dev/null 2>&1 && apt-get install -y -qq --no-install-recommends redis-server >/dev/null 2>&1 &&
    command -v redis-server >/dev/null 2>&1; then
    exit 0
  fi
fi

echo "The tests need a Redis server: install the package redis-server (or valkey), so that redis-server is on PATH." >&2
exit 1
