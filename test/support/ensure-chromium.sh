#!/usr/bin/env bash
# Makes sure that a Chromium is there for the tests of the admin page: uses the one on PATH, else installs it where that is possible
# without asking (as root on Debian and its kin), else names what to install.
set -u

found() {
  command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1
}

found && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >/dev/null 2>&1 && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null 2>&1
  found && exit 0
fi

echo "The tests of the admin page need a browser: install the package chromium." >&2
exit 1
