"""Personal data that an upstream puts into every place of an answer. None of it reaches the client under a policy."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from upstream_servers import RawUpstream, event, http_response

pytestmark = pytest.mark.anyio

PHONE, EMAIL, CARD = "010-1234-5678", "hong@example.com", "4111 1111 1111 1111"
PLANTED = f"Call {PHONE}, write to {EMAIL}, pay with {CARD}."
ENCODED = base64.b64encode(PLANTED.encode()).decode()
TEXT = {"type": "text", "text": "done"}

PLACES: dict[str, dict[str, Any]] = {
    "text": {"content": [{"type": "text", "text": PLANTED}]},
    "JSON in a text": {"content": [{"type": "text", "text": json.dumps({"a": [PLANTED]})}]},
    "second text": {"content": [TEXT, {"type": "text", "text": PLANTED}]},
    "structured content": {"content": [TEXT], "structuredContent": {"a": [{"b": PLANTED}]}},
    "structured content and its text": {
        "content": [{"type": "text", "text": json.dumps({"a": PLANTED})}],
        "structuredContent": {"a": PLANTED},
    },
    "wrapped structured content": {
        "content": [{"type": "text", "text": PLANTED}],
        "structuredContent": {"result": PLANTED},
    },
    "name of a member": {"content": [TEXT], "structuredContent": {PLANTED: 1}},
    "number": {"content": [TEXT], "structuredContent": {"phone": 1012345678, "card": 4111111111111111}},
    "link": {"content": [{"type": "resource_link", "uri": "https://example.com/a", "name": PLANTED, "title": EMAIL}]},
    "address of a link": {"content": [{"type": "resource_link", "uri": f"mailto:{EMAIL}", "name": "a"}]},
    "resource": {"content": [{"type": "resource", "resource": {"uri": "a://b", "text": PLANTED}}]},
    "bytes of a resource": {"content": [{"type": "resource", "resource": {"uri": "a://b", "blob": ENCODED}}]},
    "bytes of an image": {"content": [{"type": "image", "mimeType": "text/plain", "data": ENCODED}]},
    "metadata of the result": {"content": [TEXT], "_meta": {"note": PLANTED}},
    "metadata of a block": {"content": [{**TEXT, "_meta": {"note": PLANTED}}]},
    "reserved metadata": {
        "content": [TEXT],
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": PLANTED}, "io.modelcontextprotocol/x": PLANTED},
    },
    "unknown member": {"content": [TEXT], "note": PLANTED},
    "unknown kind of block": {"content": [{"type": PLANTED, "x": PLANTED}]},
    "members of the exchange": {
        "content": [TEXT],
        "nextCursor": PLANTED,
        "requestState": PLANTED,
        "ttlMs": PLANTED,
        "cacheScope": PLANTED,
        "resultType": PLANTED,
        "inputRequests": {"a": PLANTED},
    },
    "error of the tool": {"content": [{"type": "text", "text": PLANTED}], "isError": True},
    "structured content of an error": {"content": [TEXT], "structuredContent": {"a": PLANTED}, "isError": True},
}
ERRORS: dict[str, dict[str, Any]] = {
    "message": {"code": -32000, "message": PLANTED},
    "data": {"code": -32000, "message": "failed", "data": {"a": [PLANTED]}},
    "data as text": {"code": -32000, "message": "failed", "data": PLANTED},
    "unknown member": {"code": -32000, "message": "failed", "note": PLANTED},
}


@pytest.fixture
async def answering(start_gateway: Callable[..., Any]) -> AsyncIterator[Callable[..., Any]]:
    """Starts a gateway whose upstream answers with these members of a message."""
    async with AsyncExitStack() as stack:

        async def start(policy: str) -> tuple[Any, dict[str, Any]]:
            members: dict[str, Any] = {}

            async def respond(request: Mapping[str, Any], writer: Any) -> None:
                message = {"jsonrpc": "2.0", "id": request["id"], **members}
                if members.get("streamed"):
                    del message["streamed"]
                    log = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": PLANTED}}
                    body = event(log) + event(message)
                    writer.write(http_response(body, content_type="text/event-stream"))
                else:
                    writer.write(http_response(json.dumps(message).encode()))

            upstream = await stack.enter_async_context(RawUpstream(respond))
            gateway = await start_gateway({"crm": {"url": upstream.url, "policy": policy}})
            await gateway.wait_until_listed("crm")
            return gateway, members

        yield start


@pytest.mark.parametrize("policy", ["mask", "tokenize", "encrypt", "reject"])
async def test_no_planted_value_reaches_the_client_or_the_record(answering: Callable[..., Any], policy: str) -> None:
    gateway, members = await answering(policy)
    answers = {f"result: {place}": {"result": result} for place, result in PLACES.items()}
    answers |= {f"error: {place}": {"error": error} for place, error in ERRORS.items()}
    leaks: list[str] = []
    for place, message in answers.items():
        for streamed in ({}, {"streamed": True}):
            members.clear()
            members.update({**message, **streamed})
            for stateless in (True, False):
                answer = await gateway.call("crm_act", stateless=stateless)
                sent = json.dumps(answer.message, ensure_ascii=False)
                if any(value in sent for value in (PHONE, EMAIL, CARD, "1012345678", "4111111111111111", ENCODED)):
                    leaks.append(place)
    assert leaks == []
    recorded = json.dumps(gateway.events(), ensure_ascii=False)
    assert not [value for value in (PHONE, EMAIL, CARD) if value in recorded]


async def test_values_that_are_observed_are_sent_unchanged_and_counted(answering: Callable[..., Any]) -> None:
    gateway, members = await answering("observe")
    for place in ("text", "structured content", "number", "bytes of a resource", "metadata of a block"):
        members.clear()
        members["result"] = PLACES[place]
        answer = await gateway.call("crm_act", stateless=False)
        assert answer.result == PLACES[place]
        assert gateway.events()[-1]["contains_pii"] is True
