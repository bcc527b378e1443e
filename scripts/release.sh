#!/bin/sh
# Builds what is released into dist/: for each platform the binary for
# production and, for developers, the one with sandbox, embedded Redis and demo
# sign-in; checksums, and a bill of materials (CycloneDX) of each kind. The same
# source, version and Go give the same bytes, wherever they are built.
set -eu
cd "$(dirname "$0")/.."
: "${VERSION:?}" "${COMMIT?}"
platforms="${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64}"

rm -rf dist
mkdir dist
export CGO_ENABLED=0
for platform in $platforms; do
	os=${platform%/*}
	arch=${platform#*/}
	suffix=""
	[ "$os" = windows ] && suffix=.exe
	for kind in "" -dev; do
		tags=release
		[ "$kind" = -dev ] && tags=""
		GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false -tags "$tags" \
			-ldflags "-s -w -buildid= -X main.version=$VERSION -X main.commit=$COMMIT" \
			-o "dist/farebox$kind-$os-$arch$suffix" .
	done
done

# The tool is no dependency of farebox, so it stays out of go.mod.
sbom=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
for kind in "" -dev; do
	tags=release
	[ "$kind" = -dev ] && tags=""
	GOFLAGS=-tags=$tags go run "$sbom" app -json -licenses -std -noserial -notimestamp -output "dist/farebox$kind.cdx.json" -main . .
done

cd dist
sha256sum -- * >checksums.txt
cat checksums.txt
