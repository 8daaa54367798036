"""Upstreams that answer a call with the error -32600: the connections of other callers are kept."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from upstream_servers import RawUpstream, http_response, json_response

from gateway_service.declaration import ProgramDeclaration, ToolRule, UpstreamDeclaration
from gateway_service.upstreams import HttpConnections, Upstream, UpstreamCall
from gateway_service.upstreams.errors import UpstreamError
from security_common.tool_policy.policy import PIIPolicy

pytestmark = pytest.mark.anyio

RULE = ToolRule(arguments=PIIPolicy.OBSERVE, result=PIIPolicy.OBSERVE)
INVALID = {"code": -32600, "message": "no such path"}
PROGRAM = """
import json, os, sys
for line in sys.stdin:
    request = json.loads(line)
    answer = {"jsonrpc": "2.0", "id": request.get("id")}
    method, params = request["method"], request.get("params", {})
    if method == "initialize":
        answer["result"] = {"protocolVersion": "2025-11-25", "capabilities": {}}
    elif method == "tools/call" and params["name"] == "process":
        answer["result"] = {"process": os.getpid()}
    else:
        answer["error"] = {"code": -32600, "message": "no such path"}
    if "id" in request:
        print(json.dumps(answer), flush=True)
"""


def call(tool: str, owner: str) -> UpstreamCall:
    return UpstreamCall(method="tools/call", params={"name": tool}, owner=owner)


@pytest.mark.parametrize("is_shared", [True, False])
async def test_programs_are_kept(tmp_path: Path, is_shared: bool) -> None:
    program = ProgramDeclaration(command=(sys.executable, "-c", PROGRAM), folder=tmp_path, is_shared=is_shared)
    async with HttpConnections() as connections:
        upstream = Upstream(UpstreamDeclaration(name="crm", program=program, default_rule=RULE), connections)
        before = [await upstream.call(call("process", owner)) for owner in "ab"]
        with pytest.raises(UpstreamError):
            await upstream.call(call("bad", "a"))
        assert [await upstream.call(call("process", owner)) for owner in "ab"] == before
        await upstream.close()


async def test_sessions_of_other_callers_are_kept() -> None:
    async def respond(request: Mapping[str, Any], writer: Any) -> None:
        match request["method"]:
            case "initialize":
                result = {"protocolVersion": "2025-11-25", "capabilities": {}}
                body = {"jsonrpc": "2.0", "id": request["id"], "result": result}
                session = f"s-{request['id']}"
                writer.write(http_response(json.dumps(body).encode(), mcp_session_id=session))
            case "tools/call" if request["params"]["name"] == "good":
                writer.write(json_response(request, {"content": []}))
            case _ if "id" in request:
                body = {"jsonrpc": "2.0", "id": request["id"], "error": INVALID}
                writer.write(http_response(json.dumps(body).encode()))
            case _:
                writer.write(http_response(b"", status="202 Accepted"))

    async with RawUpstream(respond, answers_lists=False) as server, HttpConnections() as connections:
        upstream = Upstream(UpstreamDeclaration(name="crm", url=server.url, default_rule=RULE), connections)
        await upstream.call(call("good", "a"))
        await upstream.call(call("good", "b"))
        with pytest.raises(UpstreamError):
            await upstream.call(call("bad", "a"))
        opened = [each["method"] for each in server.requests].count("initialize")
        await upstream.call(call("good", "b"))
        assert [each["method"] for each in server.requests].count("initialize") == opened
        await upstream.call(call("good", "a"))
        assert [each["method"] for each in server.requests].count("initialize") == opened + 1
        await upstream.close()
