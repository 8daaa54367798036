"""Running services refuse a revoked signing key within seconds, without a restart."""

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx2

from local_stack.demo_scenario import ServicesApi
from local_stack.stack import AUTH, Stack, start_stack

# One key set refresh of the resource service and one key check of auth-service, on a busy machine.
MAX_SECONDS = 30


def test_tokens_of_a_revoked_key_are_refused_within_seconds(tmp_path: Path, http: httpx2.Client) -> None:
    with start_stack(tmp_path) as stack:
        api = ServicesApi(stack.auth_url, stack.mcp_url, http)
        token = api.client.token("mcp.access")
        assert api.get("/hello", token).status_code == 200
        leaked = next(key["key_id"] for key in keys(stack) if key["state"] == "active")
        key_command(stack, "revoke", leaked)
        deadline = time.monotonic() + MAX_SECONDS
        while (answer := api.get("/hello", token)).status_code == 200:
            assert time.monotonic() < deadline, "the revoked key is still trusted"
            time.sleep(0.1)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert leaked not in {key["kid"] for key in http.get(f"{stack.auth_url}/.well-known/jwks.json").json()["keys"]}
        assert api.get("/hello", api.client.token("mcp.access")).status_code == 200, "the next key signs"


def keys(stack: Stack) -> list[dict[str, str]]:
    listed: list[dict[str, str]] = json.loads(key_command(stack, "list", "--json"))
    return listed


def key_command(stack: Stack, *arguments: str) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).with_name(AUTH)), "key", *arguments],
        env=stack.environment(AUTH),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
