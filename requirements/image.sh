#!/bin/sh
# The two steps of the build stage of an image: image.sh dependencies LOCK, then image.sh members FOLDER..., which also
# installs the library. The final stage copies /venv; the build backend in /build is not copied.
set -eu
cd "$(dirname "$0")/.."
step=$1
shift

# The certificate authority of a company is passed as a build argument, in PEM.
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
    # Compiled here because the final file system is read-only; without byte code the start takes three times as long.
    python -m compileall -q /venv/lib
    ;;
esac
