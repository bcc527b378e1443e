#!/bin/sh
# Installs what the tests and the bench need beside Go, through the system's package manager
# and npm.
set -eu
cd "$(dirname "$0")/.."

missing=""
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v chromium >/dev/null || missing="$missing chromium"
# The race detector needs a C compiler.
command -v gcc >/dev/null || missing="$missing gcc libc6-dev"
command -v openssl >/dev/null || missing="$missing openssl"
# What stands in front of farebox, and what judges its unit.
command -v nginx >/dev/null || missing="$missing nginx"
command -v systemd-analyze >/dev/null || missing="$missing systemd"
command -v curl >/dev/null || missing="$missing curl"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"

if [ -n "$missing" ]; then
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		echo "the tests need:$missing" >&2
		echo "install them with your package manager, for instance: sudo apt-get install$missing" >&2
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of names
	apt-get install -y -qq --no-install-recommends $missing
fi

# The vendor's own clients, React and TypeScript, for the tests of the SDK, and
# what the examples and the bench's hand-written service stand on. None of them
# is in what users get.
for npm in internal/e2e/testdata/npm examples/react examples/express examples/next bench/handwritten; do
	if ! cmp -s $npm/package-lock.json $npm/node_modules/.farebox-lock; then
		npm ci --prefix $npm --ignore-scripts --no-audit --no-fund --silent
		cp $npm/package-lock.json $npm/node_modules/.farebox-lock
	fi
done
