"""What the gateway answers to requests that are malformed, ambiguous, or for what it does not offer."""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
from upstream_servers import TEXT_RESULT, RawUpstream, json_response

pytestmark = pytest.mark.anyio

META = "io.modelcontextprotocol/"
VERSION = "2026-07-28"
TOOL = {
    "name": "act",
    "inputSchema": {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}},
}


@pytest.fixture
async def upstream() -> AsyncIterator[RawUpstream]:
    async def respond(request: Mapping[str, Any], writer: Any) -> None:
        writer.write(json_response(request, TEXT_RESULT))

    async with RawUpstream(respond, [TOOL]) as running:
        yield running


@pytest.fixture
async def gateway(start_gateway: Callable[..., Any], upstream: RawUpstream) -> Any:
    running = await start_gateway({"crm": {"url": upstream.url, "policy": "mask"}})
    await running.wait_until_listed("crm")
    return running


def call_message(name: str = "crm_act", *, version: Any = VERSION, **arguments: Any) -> dict[str, Any]:
    metadata = {f"{META}protocolVersion": version, f"{META}clientCapabilities": {}}
    params = {"name": name, "arguments": arguments, "_meta": metadata}
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}


HEADERS = {"mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": "crm_act"}


@pytest.mark.parametrize(
    "changes",
    [
        {"mcp-protocol-version": None},
        {"mcp-protocol-version": "2025-11-25"},
        {"mcp-protocol-version": "2026-07-29"},
        {"mcp-method": None},
        {"mcp-method": "tools/list"},
        {"mcp-method": "Tools/Call"},
        {"mcp-name": None},
        {"mcp-name": "crm_other"},
        {"mcp-name": "=?base64?Y3JtX290aGVy?="},
        {"mcp-name": "=?base64?!?="},
        {"mcp-param-region": "kr"},
    ],
    ids=str,
)
async def test_headers_that_differ_from_the_body_are_refused(
    gateway: Any, upstream: RawUpstream, changes: dict[str, str | None]
) -> None:
    headers = {name: value for name, value in (HEADERS | changes).items() if value is not None}
    answer = await gateway.post(json.dumps(call_message()).encode(), headers)
    assert (answer.status, answer.error["code"], answer.message["id"]) == (400, -32020, 7)
    assert upstream.calls == 0


async def test_a_call_whose_parameter_header_differs_is_recorded(gateway: Any) -> None:
    await gateway.post(json.dumps(call_message(region="kr")).encode(), {**HEADERS, "mcp-param-region": "us"})
    (recorded,) = gateway.events()
    assert (recorded["tool_name"], recorded["reason"]) == ("crm_act", "invalid_arguments")


@pytest.mark.parametrize("name", ["mcp-protocol-version", "mcp-method", "mcp-name"])
async def test_a_header_that_is_sent_twice_is_refused(gateway: Any, upstream: RawUpstream, name: str) -> None:
    headers = [*HEADERS.items(), (name, HEADERS[name]), ("authorization", f"Bearer {gateway.token()}")]
    response = await gateway.http.post(gateway.mcp_url(), content=json.dumps(call_message()), headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (400, -32020)
    assert upstream.calls == 0


async def test_a_name_in_base64_is_the_same_name(gateway: Any) -> None:
    headers = {**HEADERS, "mcp-name": "=?base64?Y3JtX2FjdA==?="}
    assert (await gateway.post(json.dumps(call_message()).encode(), headers)).text == "done"


@pytest.mark.parametrize("version", [None, 1, "", "2026-07-29"])
async def test_a_version_in_the_body_that_is_not_that_of_the_header_is_refused(gateway: Any, version: Any) -> None:
    answer = await gateway.post(json.dumps(call_message(version=version)).encode(), HEADERS)
    assert (answer.status, answer.error["code"]) == (400, -32020)


@pytest.mark.parametrize("members", [{}, {f"{META}protocolVersion": VERSION}, {f"{META}clientCapabilities": {}}, None])
async def test_a_new_request_without_its_metadata_is_refused(gateway: Any, members: dict[str, Any] | None) -> None:
    message = call_message()
    message["params"]["_meta"] = members
    if members is None:
        del message["params"]["_meta"]
    answer = await gateway.post(json.dumps(message).encode(), HEADERS)
    assert (answer.status, answer.error["code"]) == (400, -32602)


async def test_an_unknown_version_is_answered_with_the_known_ones(gateway: Any) -> None:
    headers = {**HEADERS, "mcp-protocol-version": "2027-01-01"}
    answer = await gateway.post(json.dumps(call_message(version="2027-01-01")).encode(), headers)
    assert (answer.status, answer.error["code"]) == (400, -32022)
    assert answer.error["data"] == {"supported": [VERSION], "requested": "2027-01-01"}


async def test_an_old_request_with_headers_of_the_new_version_is_checked_as_well(gateway: Any) -> None:
    message = call_message()
    del message["params"]["_meta"]
    for headers, status in (({}, 200), ({"mcp-name": "crm_act"}, 200), ({"mcp-name": "crm_other"}, 400)):
        assert (await gateway.post(json.dumps(message).encode(), headers)).status == status


async def test_parameter_headers_for_the_upstream_have_the_protected_argument(
    gateway: Any, upstream: RawUpstream
) -> None:
    phone = "010-1234-5678"
    headers = {**HEADERS, "mcp-param-region": phone, "mcp-param-other": "kept-back"}
    answer = await gateway.post(json.dumps(call_message(region=phone)).encode(), headers)
    assert answer.text == "done"
    head = upstream.heads[-1].lower()
    assert "mcp-param-region: 010-****-5678" in head
    assert "kept-back" not in head
    assert upstream.requests[-1]["params"]["arguments"] == {"region": "010-****-5678"}
    old = await gateway.call("crm_act", {"region": "kr"}, stateless=False)  # old versions have no such headers
    assert old.text == "done"


async def test_a_batch_is_refused(gateway: Any, upstream: RawUpstream) -> None:
    answer = await gateway.post(json.dumps([call_message(), call_message()]).encode(), HEADERS)
    assert (answer.status, answer.error["code"], answer.message["id"]) == (400, -32600, None)
    assert upstream.calls == 0


@pytest.mark.parametrize("arguments", [[], "a", 1, None])
async def test_arguments_that_are_not_an_object_are_refused(gateway: Any, arguments: Any) -> None:
    message = call_message()
    message["params"]["arguments"] = arguments
    answer = await gateway.post(json.dumps(message).encode(), HEADERS)
    assert (answer.status, answer.error["code"]) == (400, -32602)
    recorded = gateway.events()[-1]
    assert (recorded["tool_name"], recorded["reason"]) == ("crm_act", "invalid_arguments")


METHODS = ("resources/list", "resources/read", "prompts/get", "completion/complete", "tasks/get", "")


@pytest.mark.parametrize("method", METHODS)
async def test_what_the_gateway_does_not_offer_is_an_unknown_method(
    gateway: Any, upstream: RawUpstream, method: str
) -> None:
    requests = len(upstream.requests)
    answer = await gateway.request(method, {"uri": "file:///etc/passwd"} if "resources" in method else {})
    assert (answer.status, answer.error["code"]) == (404, -32601)
    old = await gateway.request(method, stateless=False)
    assert (old.status, old.error["code"]) == (200, -32601)
    assert len(upstream.requests) == requests


async def test_each_version_has_its_own_beginning(gateway: Any) -> None:
    for requested, agreed in (("2025-06-18", "2025-06-18"), ("2024-11-05", "2024-11-05"), ("1999-01-01", "2025-11-25")):
        begun = await gateway.request("initialize", {"protocolVersion": requested}, stateless=False)
        assert begun.result["protocolVersion"] == agreed
        assert begun.result["capabilities"] == {"tools": {}, "logging": {}}
        assert "mcp-session-id" not in begun.headers
    assert (await gateway.request("initialize")).status == 404
    found = (await gateway.request("server/discover")).result
    assert found["supportedVersions"][0] == VERSION
    assert found["resultType"] == "complete"
    assert (await gateway.request("server/discover", stateless=False)).error["code"] == -32601


async def test_notifications_are_accepted_and_not_passed_on(gateway: Any, upstream: RawUpstream) -> None:
    requests = len(upstream.requests)
    for method in ("notifications/initialized", "notifications/cancelled", "notifications/other"):
        answer = await gateway.post(json.dumps({"jsonrpc": "2.0", "method": method}).encode(), {})
        assert (answer.status, answer.message) == (202, None)
    assert len(upstream.requests) == requests


async def test_a_client_that_accepts_streams_only_gets_one(gateway: Any) -> None:
    headers = {"authorization": f"Bearer {gateway.token()}", **HEADERS, "accept": "text/event-stream"}
    response = await gateway.http.post(gateway.mcp_url(), content=json.dumps(call_message()), headers=headers)
    assert response.headers["content-type"] == "text/event-stream"
    name, data = response.text.strip().split("\n")
    assert name == "event: message"
    assert json.loads(data.removeprefix("data: "))["result"]["content"] == TEXT_RESULT["content"]


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_there_are_neither_sessions_nor_streams_of_their_own(gateway: Any, method: str) -> None:
    headers = {"authorization": f"Bearer {gateway.token()}"}
    response = await gateway.http.request(method, gateway.mcp_url(), headers=headers)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_the_challenge_names_the_metadata_of_the_resource(gateway: Any) -> None:
    for path in ("/mcp", "/mcp/crm"):
        response = await gateway.http.post(f"{gateway.url}{path}", content=b"{}")
        assert response.status_code == 401
        metadata = f"http://localhost:8083/.well-known/oauth-protected-resource{path}"
        assert f'resource_metadata="{metadata}"' in response.headers["www-authenticate"]
    token = {"authorization": f"Bearer {gateway.token()}"}
    assert (await gateway.http.post(f"{gateway.url}/mcp/none", content=b"{}", headers=token)).status_code == 404


@pytest.mark.parametrize("shows_docs", [True, False])
async def test_the_document_of_the_api_has_every_address(
    start_gateway: Callable[..., Any], upstream: RawUpstream, shows_docs: bool
) -> None:
    gateway = await start_gateway({"crm": {"url": upstream.url}}, settings={"api_docs": shows_docs})
    document = (await gateway.http.get(f"{gateway.url}/openapi.json")).json()
    assert {path for path in document["paths"] if path.startswith("/mcp")} == {"/mcp", "/mcp/crm"}
    assert (await gateway.http.get(f"{gateway.url}/docs")).status_code == (200 if shows_docs else 401)


async def test_the_links_of_the_start_page_open_without_a_token(gateway: Any) -> None:
    page = await gateway.http.get(f"{gateway.url}/", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "<code>http://localhost:8083/mcp</code>" in page.text
    assert f'href="{gateway.issuer.url}/"' in page.text
    paths = re.findall(r'href="http://localhost:8083(/[^"]+)"', page.text)
    assert "/.well-known/oauth-protected-resource" in paths
    for path in paths:
        assert (await gateway.http.get(f"{gateway.url}{path}")).status_code == 200, path
