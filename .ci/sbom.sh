#!/bin/sh
# Writes dist/*.whl, and a software bill of materials (CycloneDX) of each service to dist/sbom: what its image contains.
# Each service is installed into an environment of its own, from the lock with which the image is built.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
services="auth-service mcp-resource-service gateway-service"

install() { # install ENVIRONMENT LOCK
    "$python" -m venv --clear "$1"
    "$1/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes -r "requirements/$2.lock"
}

rm -rf dist build/sbom
install build/sbom/tools build
# shellcheck disable=SC2086 # the list has to be split into words
for folder in shared-security $services; do
    build/sbom/tools/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist "./$folder"
done
install build/sbom/cyclonedx sbom
mkdir -p dist/sbom
for service in $services; do
    install "build/sbom/$service" "$service"
    wheel=$(echo "$service" | tr - _)
    "build/sbom/$service/bin/python" -m pip install --quiet --no-deps --no-index dist/mcp_oauth2_security_common-*.whl "dist/mcp_oauth2_$wheel"-*.whl
    "build/sbom/$service/bin/python" -m pip uninstall --quiet --yes pip setuptools
    build/sbom/cyclonedx/bin/cyclonedx-py environment "build/sbom/$service" --pyproject "$service/pyproject.toml" \
        --output-reproducible --output-file "dist/sbom/$service.cdx.json"
    printf 'dist/sbom/%s.cdx.json\n' "$service"
done
