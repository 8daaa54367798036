#!/usr/bin/env bash
# The first steps of a new user on a machine with Python, make and git, without uv: clone, `make run`, `make demo`, Ctrl-C.
#
#   newcomer.sh 23.0.1    with the pip of Debian 12
#   newcomer.sh latest    with the newest pip        (PYTHON=/path/to/python3 chooses the Python)
#
# pip also uses an index with a newer release of a locked package, as if it had been published after the lock was
# written: the release must not be installed. Needs the package index; it takes about a minute.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd -P)
pip_version=${1:?which pip: 23.0.1, for example, or latest}
python=$(command -v "${PYTHON:-python3}")
work=$(mktemp -d)
stack=

finish() {
    status=$?
    if [ -n "$stack" ] && kill -0 "$stack" 2>/dev/null; then
        kill -TERM -- "-$stack"
        wait "$stack" || true
    fi
    [ "$status" = 0 ] || tail -n 30 "$work"/*.log >&2 || true
    rm -rf "$work"
}
trap finish EXIT

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

# A PATH without uv: a folder that has it is replaced by links to everything else in it.
without_uv() {
    local result= folder link_folder
    local IFS=:
    for folder in $PATH; do
        if [ -x "$folder/uv" ]; then
            link_folder=$(mktemp -d "$work/path.XXXXXX")
            find "$folder" -maxdepth 1 -mindepth 1 ! -name uv ! -name uvx -exec ln -s -t "$link_folder" {} +
            folder=$link_folder
        fi
        result=${result:+$result:}$folder
    done
    printf '%s' "$result"
}

PATH=$(without_uv)
export PATH
if command -v uv >/dev/null; then fail "uv is still on the PATH"; fi

git clone --quiet "$root" "$work/clone"
cd "$work/clone"
"$python" -m venv .venv
if [ "$pip_version" = latest ]; then
    .venv/bin/python -m pip install --quiet --upgrade pip
else
    .venv/bin/python -m pip install --quiet "pip==$pip_version"
fi
printf '%s, %s\n' "$("$python" --version)" "$(.venv/bin/python -m pip --version | cut -d' ' -f1,2)"

locked=$(sed -n 's/^pydantic\(\[[a-z,]*\]\)\{0,1\}==\([0-9.]*\).*/\2/p' requirements/run.lock)
"$python" .ci/newer_release.py "$work/index" pydantic
export PIP_EXTRA_INDEX_URL="${PIP_EXTRA_INDEX_URL:+$PIP_EXTRA_INDEX_URL }file://$work/index"

read -r AUTH_PORT MCP_PORT REDIS_PORT < <("$python" - <<'PORTS'
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(each.getsockname()[1] for each in sockets))
PORTS
)
export AUTH_PORT MCP_PORT REDIS_PORT

begin=$SECONDS
set -m # a process group of its own, which Ctrl-C reaches as in a terminal
make run >"$work/run.log" 2>&1 &
stack=$!
set +m
until grep -q "Ctrl-C stops everything" "$work/run.log"; do
    kill -0 "$stack" 2>/dev/null || fail "make run ended"
    [ $((SECONDS - begin)) -lt 300 ] || fail "make run is not ready after five minutes"
    sleep 0.2
done
printf 'make run was ready after %s s\n' $((SECONDS - begin))

installed=$(.venv/bin/python -c 'import importlib.metadata as m; print(m.version("pydantic"))')
[ "$installed" = "$locked" ] || fail "pydantic $installed is installed, and the lock says $locked"
.venv/bin/python -m pip --disable-pip-version-check check

unset AUTH_PORT MCP_PORT REDIS_PORT # the commands in another terminal find the stack by themselves
begin=$SECONDS
make demo >"$work/demo.log" || fail "make demo failed"
printf 'make demo played %s steps in %s s\n' "$(grep -c '^✓' "$work/demo.log")" $((SECONDS - begin))

begin=$SECONDS
kill -INT -- "-$stack"
wait "$stack" || true # make says that it was interrupted
printf 'Ctrl-C stopped everything in %s s\n' $((SECONDS - begin))
grep -q "^stopping" "$work/run.log" || fail "it did not stop in order"
stack=
