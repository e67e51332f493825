#!/bin/sh
# Puts OpenSSH's server, and its client where this machine has none, into a folder: this machine's own, or Debian's
# packages, fetched and unpacked without being installed. Where neither can be had it says why, in the file `missing`,
# and the tests that need a real sshd are skipped with those words.
set -eu
into=$1

has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

if has sshd && has ssh && has ssh-keygen; then
  exit 0
fi
if ! has apt-get || ! has dpkg; then
  echo "this machine has no sshd, and no apt-get to fetch one with" >"$into/missing"
  exit 0
fi

# Lists of its own, so that it needs no root and changes nothing of this machine's.
state=$(cd "$into" && pwd)/apt
mkdir -p "$state/lists/partial" "$state/archives/partial"
ask() {
  apt-get -qq -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state" -o APT::Sandbox::User=root "$@"
}
# openssh's own, and the libraries that a small image may lack.
packages="openssh-server openssh-client openssh-sftp-server libwrap0 libgssapi-krb5-2 libkrb5-3 libk5crypto3
  libkrb5support0 libkeyutils1"
# shellcheck disable=SC2086
if ! { ask update && cd "$state" && ask download $packages; } >"$into/log" 2>&1; then
  echo "openssh-server cannot be fetched: $(tail -n 1 "$into/log")" >"$into/missing"
  exit 0
fi
for package in "$state"/*.deb; do
  dpkg -x "$package" "$into"
done
rm -rf "$state"
