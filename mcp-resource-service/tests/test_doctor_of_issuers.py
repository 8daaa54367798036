"""`doctor` looks at the metadata and keys of every trusted issuer, as its entry declares them."""

import asyncio
import json
import os
import sys
import time
from contextlib import AsyncExitStack

import pytest

from local_stack.loopback_issuer import LoopbackIssuer

pytestmark = pytest.mark.anyio


async def test_every_issuer_is_examined_as_it_is_declared(tmp_path):
    async with AsyncExitStack() as running:

        async def start(path: str = "") -> LoopbackIssuer:
            return await running.enter_async_context(LoopbackIssuer(path=path, now=time.time))

        own, slash, realm = await start(), await start("/"), await start("/realms/a")
        other, unlike = await start(), await start("/")
        entries = [
            {"preset": "auth0", "issuer": slash.issuer, "audience": "x"},
            {
                "preset": "keycloak",
                "issuer": "https://sso.example/realms/a",
                "internal_url": realm.issuer,
                "audience": "x",
            },
            {"issuer": other.issuer, "audience": "x", "algorithms": ["ES256"]},
            {"preset": "auth0", "issuer": unlike.url, "audience": "x"},
        ]
        named = realm.metadata() | {"issuer": "https://sso.example/realms/a"}
        realm.metadata = lambda: named
        found = await findings(MCP_ISSUER=own.issuer, MCP_TRUSTED_ISSUERS=json.dumps(entries))
    assert found[f"issuer: {slash.issuer}, 1 keys at {slash.url}/keys"] == (True, "")
    assert found[f"issuer: https://sso.example/realms/a, 1 keys at {realm.url}/keys"] == (True, "")
    ok, hint = found[f"issuer: {other.issuer} has no key for ES256"]
    assert not ok
    assert "a declared algorithm" in hint
    (mismatch,) = [name for name in found if f"names the issuer '{unlike.issuer}', not '{unlike.url}'" in name]
    ok, hint = found[mismatch]
    assert not ok
    assert "exactly as its metadata does" in hint


async def findings(**settings: str) -> dict[str, tuple[bool, str]]:
    """What `doctor` says in a process of its own: by text, whether it is well and the hint."""
    command = (sys.executable, "-m", "mcp_resource_service.cli", "doctor", "--json")
    done = await asyncio.create_subprocess_exec(*command, env=os.environ | settings, stdout=asyncio.subprocess.PIPE)
    output, _ = await done.communicate()
    return {finding["what"]: (finding["ok"], finding.get("hint", "")) for finding in json.loads(output)}
