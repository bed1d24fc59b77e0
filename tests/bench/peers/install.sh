#!/bin/sh
# Installs what `make bench` compares with into a folder of its own: npm, PyPI, Debian.
# Whatever can't be had here is left out, and not measured.
set -u
into=${1:?a folder}
mkdir -p "$into" && cd "$into" || exit 1

if command -v npm >/dev/null; then
    printf '{"private": true, "type": "module", "dependencies": {"probot": "14", "@octokit/webhooks": "14"}}\n' >package.json
    npm install --no-audit --no-fund --loglevel=error || echo "Probot and @octokit/webhooks: not installed" >&2
else
    echo "Probot and @octokit/webhooks need npm" >&2
fi

python3 -m venv venv &&
    venv/bin/pip install --quiet --disable-pip-version-check aiohttp gidgethub uvloop fastapi 'uvicorn[standard]' ||
    { echo "gidgethub and FastAPI: not installed" >&2; rm -rf venv; }

if command -v webhook >/dev/null; then
    :
elif command -v apt-get >/dev/null; then
    # Unpacked here, so that it needs no rights.
    apt-get download webhook >/dev/null && dpkg-deb -x webhook_*.deb webhook ||
        echo "adnanh/webhook: not installed (apt-get install webhook)" >&2
else
    echo "adnanh/webhook: not installed; it is measured where webhook is in PATH" >&2
fi
