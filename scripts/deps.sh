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

# Prometheus is asked what it makes of the alerts and the dashboard. Installing it would
# start a server on port 9090 where there is systemd, so it is only unpacked.
prometheus=$PWD/internal/e2e/testdata/prometheus
if ! { command -v prometheus && command -v promtool; } >/dev/null && ! [ -x "$prometheus/promtool" ]; then
	if ! command -v apt-get >/dev/null; then
		echo "the tests need prometheus and promtool: install them with your package manager" >&2
		exit 1
	fi
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	[ "$(id -u)" -ne 0 ] || apt-get update -qq
	# As root apt fetches as another user, who may not write here.
	(cd "$scratch" && apt-get download -qq -o APT::Sandbox::User=root prometheus)
	dpkg-deb --extract "$scratch"/prometheus_*.deb "$scratch/unpacked"
	mkdir -p "$prometheus"
	# promtool last, since it stands for both.
	mv "$scratch/unpacked/usr/bin/prometheus" "$prometheus/"
	mv "$scratch/unpacked/usr/bin/promtool" "$prometheus/"
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

# Phones are tried at an address that is not loopback's. A machine that runs nothing but
# tests may have none.
if [ -n "${CI:-}" ] && [ "$(id -u)" -eq 0 ] && command -v ip >/dev/null && [ -z "$(ip -4 -o address show scope global)" ]; then
	ip address add 192.0.2.1/32 dev lo
fi
