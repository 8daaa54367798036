#!/bin/sh
# Compares the objects of deploy/kubernetes with the schemas of each Kubernetes version that is maintained or was until
# recently. kustomization.yaml is not an object of Kubernetes.
set -eu
cd "$(dirname "$0")/.."
for version in 1.33 1.34 1.35 1.36 1.37; do
    for file in deploy/kubernetes/*.yaml; do
        [ "${file##*/}" = kustomization.yaml ] && continue
        .venv-manifests/bin/kubernetes-validate --strict --quiet -k "$version" "$file"
    done
    printf 'Kubernetes %s: valid\n' "$version"
done
