#!/bin/sh
# Fills .venv from a hashed lock: install.sh run|dev|clients PYTHON. Uses uv if it is on the PATH, otherwise pip.
#
# Every install uses --no-deps and --require-hashes: the lock contains the complete set, so nothing is resolved. Without
# --no-deps, old pip (23.x) fetches the newest release of a dependency before it reads the pin, and fails.
set -eu
cd "$(dirname "$0")/.."
lock=requirements/$1.lock
python=$2

fail() { # fail WHAT HINT
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 || fail "$python is not on the PATH" "install Python 3.11 or newer, or run: make run PYTHON=/path/to/python3"
"$python" -c pass || fail "$python does not start" "see above; or run: make run PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version 2>&1) is too old" "install Python 3.11 or newer, or run: make run PYTHON=python3.13"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "this Python has no venv or no pip" "on Debian and Ubuntu: apt-get install python3-venv python3-pip"

.venv/bin/python -c 'import pip' 2>/dev/null || {
    printf 'Installing into .venv. The first time this takes a minute.\n' >&2
    "$python" -m venv --clear .venv
}
VIRTUAL_ENV=$(cd .venv && pwd -P) # installed commands contain this path, so links are resolved
if command -v uv >/dev/null 2>&1; then
    pip() { uv pip "$@"; }
    export VIRTUAL_ENV UV_COMPILE_BYTECODE=1
else
    pip() { "$VIRTUAL_ENV/bin/python" -m pip --disable-pip-version-check "$@"; }
fi
pip install --quiet --no-deps --require-hashes -r "$lock"
pip install --quiet --no-deps --no-build-isolation -e shared-security -e auth-service -e mcp-resource-service -e gateway-service -e local-stack
