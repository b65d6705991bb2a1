#!/usr/bin/env bash
# Makes sure that the languages of examples/, and the programs that check deploy/, are there: installs the missing ones where that is
# possible without asking (as root on Debian and its kin), else names what to install.
set -u

# Program and package.
programs="python3:python3 go:golang-go php:php-cli busybox:busybox nginx:nginx-light systemd-analyze:systemd"

missing() {
  for each in $programs; do
    command -v "${each%:*}" >/dev/null 2>&1 || printf '%s ' "${each#*:}"
  done
}

packages=$(missing)
[ -z "$packages" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  # No package may start a server.
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  # shellcheck disable=SC2086 # one argument a package
  apt-get update -qq >/dev/null 2>&1 && apt-get install -y -qq --no-install-recommends $packages >/dev/null 2>&1
  packages=$(missing)
  [ -z "$packages" ] && exit 0
fi

echo "Not every test of examples/ and deploy/ can be run: install ${packages% }." >&2
exit 1
