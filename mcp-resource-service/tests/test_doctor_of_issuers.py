"""`doctor` checks the metadata and keys of every trusted issuer."""

import asyncio
import json
import os
import time
from contextlib import AsyncExitStack

import pytest

from local_stack.command_server import run_command
from local_stack.loopback_issuer import LoopbackIssuer

pytestmark = pytest.mark.anyio


async def test_doctor_checks_every_trusted_issuer_as_declared(tmp_path):
    async with AsyncExitStack() as running:

        async def start(path: str = "") -> LoopbackIssuer:
            return await running.enter_async_context(LoopbackIssuer(path=path, now=time.time))

        own, slash, realm = await start(), await start("/"), await start("/realms/a")
        other, mismatch = await start(), await start("/")
        entries = [
            {"preset": "auth0", "issuer": slash.issuer, "audience": "x"},
            {
                "preset": "keycloak",
                "issuer": "https://sso.example/realms/a",
                "internal_url": realm.issuer,
                "audience": "x",
            },
            {"issuer": other.issuer, "audience": "x", "algorithms": ["ES256"]},
            {"preset": "auth0", "issuer": mismatch.url, "audience": "x"},
        ]
        named = realm.metadata() | {"issuer": "https://sso.example/realms/a"}
        realm.metadata = lambda: named
        results = await check_results(MCP_ISSUER=own.issuer, MCP_TRUSTED_ISSUERS=json.dumps(entries))
    assert results[f"issuer: {slash.issuer}, 1 keys at {slash.url}/keys"] == (True, "")
    assert results[f"issuer: https://sso.example/realms/a, 1 keys at {realm.url}/keys"] == (True, "")
    ok, hint = results[f"issuer: {other.issuer} has no key for ES256"]
    assert not ok
    assert "a declared algorithm" in hint
    (mismatch_line,) = [
        name for name in results if f"names the issuer '{mismatch.issuer}', not '{mismatch.url}'" in name
    ]
    ok, hint = results[mismatch_line]
    assert not ok
    assert "exactly as its metadata does" in hint


async def check_results(**settings: str) -> dict[str, tuple[bool, str]]:
    """Runs `doctor`; returns for each text whether the check passed, and the hint."""
    command = ("mcp-resource-service", "doctor", "--json")
    done = await asyncio.to_thread(run_command, *command, environment=os.environ | settings)
    return {result["what"]: (result["ok"], result.get("hint", "")) for result in json.loads(done.stdout)}
