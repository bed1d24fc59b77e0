#!/bin/sh
# Installs the programs of others that the tests of `make test-all` hold ours against. What a
# machine can't have, its tests say as they skip; `make test` needs none of it.
set -eu

debian="caddy chromium docker-compose git git-lfs jq mmdebstrap nginx-light pgbouncer podman
  prometheus runc systemd"
macos="caddy docker-compose git git-lfs jq nginx pgbouncer podman prometheus"

if command -v apt-get >/dev/null; then
    if dpkg-query --show $debian >/dev/null 2>&1; then exit; fi
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get update --quiet=2
    $root env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes \
        --no-install-recommends $debian >/dev/null
elif command -v brew >/dev/null; then
    brew install --quiet $macos
    brew install --quiet --cask chromium
    echo "the tests of the container image and of systemd need Linux" >&2
else
    echo "neither apt-get nor brew is here; install yourself: $debian" >&2
fi
