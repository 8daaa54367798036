#!/bin/sh
# The two steps of an image's build stage: image.sh dependencies LOCK, then image.sh members FOLDER..., which adds the
# library by itself. /venv is what the final stage copies; the build backend stays behind in /build.
set -eu
cd "$(dirname "$0")/.."
step=$1
shift

# A company's certificate authority comes as a build argument, in PEM.
if [ -n "${CA_CERTIFICATES:-}" ]; then
    printf '%s\n' "$CA_CERTIFICATES" >/tmp/ca.pem
    export PIP_CERT=/tmp/ca.pem
fi
# An empty build argument must not hide pip's own default.
[ -n "${PIP_INDEX_URL:-}" ] || unset PIP_INDEX_URL

case $step in
dependencies)
    python -m venv /venv
    /venv/bin/pip install --quiet --no-deps --require-hashes -r "requirements/$1.lock"
    python -m venv /build
    /build/bin/pip install --quiet --no-deps --require-hashes -r requirements/build.lock
    ;;
members)
    for folder in shared-security "$@"; do
        /build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels "./$folder"
    done
    /venv/bin/pip install --quiet --no-deps --no-index /wheels/*.whl
    /venv/bin/pip uninstall --quiet --yes pip
    # Without byte code a start costs three times as much, and the final file system is read-only.
    python -m compileall -q /venv/lib
    ;;
esac
