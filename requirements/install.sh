#!/bin/sh
# Fills .venv from a hashed lock: install.sh run|dev|clients PYTHON. Uses uv if it is on the PATH, otherwise pip.
#
# Every install uses --no-deps and --require-hashes: the lock contains the complete set, so nothing is resolved. Without
# --no-deps, old pip (23.x) fetches the newest release of a dependency before it reads the pin, and fails.
set -eu
cd "$(dirname "$0")/.."
lock=requirements/$1.lock
python=$2

case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in
ko | ko_* | ko.*) is_korean=true ;;
*) is_korean=false ;;
esac

say() { # say ENGLISH KOREAN
    if "$is_korean"; then printf '%s\n' "$2"; else printf '%s\n' "$1"; fi
}

fail() { # fail WHAT HINT
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

install_hint=$(say "install Python 3.11 or newer, or run: make run PYTHON=/path/to/python3" \
    "Python 3.11 이상을 설치하거나 다음과 같이 실행하세요: make run PYTHON=/path/to/python3")
command -v "$python" >/dev/null 2>&1 ||
    fail "$(say "$python is not on the PATH" "PATH에 $python 프로그램이 없습니다")" "$install_hint"
"$python" -c pass || fail "$(say "$python does not start" "$python 프로그램이 시작되지 않습니다")" "$install_hint"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    version=$("$python" --version 2>&1)
    fail "$(say "$version is too old" "$version 버전은 지원하지 않습니다")" "$install_hint"
}
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$(say "this Python has no venv or no pip" "이 Python에 venv나 pip이 없습니다")" \
        "$(say "on Debian and Ubuntu: apt-get install python3-venv python3-pip" \
            "Debian과 Ubuntu에서는: apt-get install python3-venv python3-pip")"

.venv/bin/python -c 'import pip' 2>/dev/null || {
    say "Installing into .venv. The first time this takes a minute." ".venv에 설치합니다. 처음에는 1분쯤 걸립니다." >&2
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
