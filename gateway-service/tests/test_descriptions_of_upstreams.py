"""What an upstream says about itself and its tools: from the gateway's own requests, and without personal data."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from upstream_servers import EMAIL, PHONE, TEXT_RESULT, RawUpstream, http_response, json_response

from gateway_service.catalogue.definition_texts import protect_definition_texts
from gateway_service.declaration import ToolRule, UpstreamDeclaration
from gateway_service.upstreams import HttpConnections, Upstream, UpstreamCall
from security_common.tool_policy.policy import PIIPolicy

pytestmark = pytest.mark.anyio

RULE = ToolRule(arguments=PIIPolicy.OBSERVE, result=PIIPolicy.OBSERVE)
PLANTED = f"Ask {EMAIL} or {PHONE}."
TOOL: dict[str, Any] = {
    "name": "act",
    "title": PLANTED,
    "description": PLANTED,
    "inputSchema": {
        "type": "object",
        "description": PLANTED,
        "required": ["description"],
        "properties": {
            "description": {"type": "string", "enum": [EMAIL, "a"], "default": EMAIL},
            "phone": {"type": "string", "title": PLANTED, "examples": [PHONE]},
        },
        "$defs": {"a": {"items": [{"const": PHONE}]}},
    },
}


class OwnerCredential:
    """A credential that names its caller."""

    async def headers(self, owner: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {owner or 'gateway'}"}

    async def renew(self, owner: str, refused: Mapping[str, str]) -> Mapping[str, str] | None:
        del owner, refused
        return None

    async def close(self) -> None:
        """Nothing is in progress."""


async def greet(request: Mapping[str, Any], writer: Any, head: str) -> None:
    """Answers as a server without sessions that greets its caller."""
    caller = head.split("Bearer ")[1].split("\r\n", maxsplit=1)[0]
    match request["method"]:
        case "server/discover":
            writer.write(http_response(b"{}", status="400 Bad Request"))
        case "initialize":
            agreed = {"protocolVersion": "2025-11-25", "capabilities": {}, "instructions": f"Hello {caller}."}
            writer.write(json_response(request, agreed))
        case "tools/call":
            writer.write(json_response(request, TEXT_RESULT))
        case _:
            writer.write(http_response(b"", status="202 Accepted"))


async def test_instructions_are_those_for_the_gateway_and_not_for_a_caller() -> None:
    async def respond(request: Mapping[str, Any], writer: Any) -> None:
        await greet(request, writer, server.heads[-1])

    async with RawUpstream(respond, answers_lists=False) as server, HttpConnections() as connections:
        declaration = UpstreamDeclaration(name="crm", url=server.url, default_rule=RULE)
        upstream = Upstream(declaration, connections, OwnerCredential())
        await upstream.call(UpstreamCall(method="tools/call", params={"name": "act"}, owner="kim"))
        for _ in range(2):
            described = await upstream.probe()
            assert described.instructions == "Hello gateway."
        await upstream.close()


@pytest.mark.parametrize("policy", ["mask", "tokenize", "observe"])
async def test_texts_that_no_person_has_approved_are_protected(
    start_gateway: Callable[..., Awaitable[Any]], policy: str
) -> None:
    async def respond(request: Mapping[str, Any], writer: Any) -> None:
        writer.write(json_response(request, TEXT_RESULT))

    async with RawUpstream(respond, [TOOL]) as server:
        server.instructions = PLANTED
        gateway = await start_gateway({"crm": {"url": server.url, "policy": policy}})
        await gateway.wait_until_listed("crm")
        discovered = (await gateway.request("server/discover", upstream="crm")).result
        (tool,) = (await gateway.request("tools/list")).result["tools"]
    assert discovered["instructions"].startswith("Ask ")
    shown = f"{discovered}{tool}"
    assert (EMAIL in shown, PHONE in shown) == (policy == "observe",) * 2
    assert tool["inputSchema"]["required"] == ["description"]
    assert list(tool["inputSchema"]["properties"]) == ["description", "phone"]
    assert tool["inputSchema"]["properties"]["description"]["enum"][1] == "a"


def test_only_texts_and_data_of_a_definition_are_changed() -> None:
    seen: list[str] = []

    def protect(members: dict[str, Any]) -> dict[str, Any]:
        seen.extend(members)
        return dict.fromkeys(members, "changed")

    protected = protect_definition_texts(TOOL, protect)
    assert sorted(set(seen)) == ["const", "default", "description", "enum", "examples", "title"]
    schema = protected["inputSchema"]
    assert schema["properties"]["description"] == {"type": "string", "enum": "changed", "default": "changed"}
    assert schema["$defs"] == {"a": {"items": [{"const": "changed"}]}}
    assert (protected["name"], schema["type"], schema["required"]) == ("act", "object", ["description"])
