#!/bin/sh
# Whether every package has the version of this tag: check_version.sh v1.2.0.
set -eu
cd "$(dirname "$0")/.."
version=${1#v}
status=0
for file in shared-security auth-service mcp-resource-service gateway-service local-stack; do
    found=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$file/pyproject.toml")
    if [ "$found" != "$version" ]; then
        printf 'error: %s/pyproject.toml has version %s, and the tag is for %s\n' "$file" "$found" "$version" >&2
        status=1
    fi
done
exit $status
