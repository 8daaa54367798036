"""The gateway in front of the conformance fixture, on a port that adds the token, which the suite cannot send.

    conformance suite ──▶ TokenAdder ──▶ gateway ──▶ fixture without a guard

The rules let everything of the fixture pass, and change nothing: the policy is `observe`.

Usage: python gateway_of_fixture.py PORT FIXTURE_URL FOLDER
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import uvicorn
from conformance_fixture import TokenAdder, listen

from gateway_service.app import create_app
from gateway_service.declaration import load_declaration
from gateway_service.settings import GatewaySettings
from local_stack.loopback_issuer import LoopbackIssuer

NAME = "fixture"


async def main(port: int, fixture_url: str, folder: Path) -> None:
    resource = f"http://localhost:{port}/mcp"
    rules = {"prompts": {"*": {}}, "resources": {"*": {}}, "input_requests": ["form", "sampling", "roots"]}
    declaration = folder / "gateway.yaml"
    declaration.write_text(json.dumps({"upstreams": {NAME: {"url": fixture_url, "policy": "observe", **rules}}}))
    async with LoopbackIssuer(resource, now=time.time) as issuer:
        settings = GatewaySettings(
            upstreams=declaration,
            issuer=issuer.url,
            resource=resource,
            redis_url="redis://127.0.0.1:1",
            metrics_port=0,
            security={"audit_dir": folder / "audit"},
        )
        app = create_app(settings, load_declaration(declaration, {}))
        token = issuer.token(aud=f"{resource}/{NAME}", exp=int(time.time()) + 3600)
        server = uvicorn.Server(uvicorn.Config(TokenAdder(app, port=port, token=token), log_level="warning"))
        await server.serve(sockets=[listen(port)])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
