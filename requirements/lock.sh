#!/bin/sh
# Writes every *.lock from the pyproject files: `make lock`. Needs uv, on the PATH or in .venv. dev.lock is the superset;
# the others are constrained by it, so one version of a package is installed everywhere. Extras are kept
# (--no-strip-extras): without them a line has other dependencies than those that were resolved.
set -eu
cd "$(dirname "$0")/.."

uv=$(command -v uv || true)
[ -n "$uv" ] || uv=.venv/bin/uv # `.venv/bin/pip install uv` is enough
[ -x "$uv" ] || {
    printf 'error: uv is neither on the PATH nor in .venv\nhint: .venv/bin/python -m pip install uv\n' >&2
    exit 1
}

compile() { # compile LOCK SOURCE...
    lock=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate --no-header \
        --no-emit-package mcp-oauth2-security-common --no-emit-package mcp-oauth2-auth-service \
        --no-emit-package mcp-oauth2-mcp-resource-service --no-emit-package mcp-oauth2-gateway-service \
        --no-emit-package mcp-oauth2-local-stack \
        "$@" --output-file "requirements/$lock.lock"
}

members="shared-security/pyproject.toml auth-service/pyproject.toml mcp-resource-service/pyproject.toml gateway-service/pyproject.toml local-stack/pyproject.toml"
# shellcheck disable=SC2086 # the list has to be split into words
compile dev $members --all-extras --group pyproject.toml:dev "$@"
# shellcheck disable=SC2086
compile run $members --all-extras --group pyproject.toml:build --constraint requirements/dev.lock
compile auth-service auth-service/pyproject.toml --constraint requirements/dev.lock
compile mcp-resource-service mcp-resource-service/pyproject.toml --constraint requirements/dev.lock
compile gateway-service gateway-service/pyproject.toml --constraint requirements/dev.lock
compile build --group pyproject.toml:build --constraint requirements/dev.lock
compile clients requirements/clients.in --constraint requirements/dev.lock
compile clients-mcp1 requirements/clients-mcp1.in
compile benchmark requirements/benchmark.in
compile manifests requirements/manifests.in
compile sbom requirements/sbom.in
