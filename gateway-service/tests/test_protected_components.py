"""What happens to prompts, resources and completions of an upstream whose answers the test writes."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from upstream_servers import EMAIL, PHONE, RawUpstream, http_response, json_response

from gateway_service.catalogue.definition_changes import approve
from gateway_service.catalogue.definitions import DefinitionKind
from gateway_service.catalogue.lock_file import ApprovedUpstream, Lock, write_lock

pytestmark = pytest.mark.anyio


class Scripted:
    """A gateway in front of an upstream whose prompts and resources are what the test says."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Any]] = {"tools": [], "prompts": [], "resources": [], "resourceTemplates": []}
        self.results: dict[str, Any] = {}
        self.unknown_methods: tuple[str, ...] = ()
        self.gateway: Any = None
        self.upstream: RawUpstream

    async def respond(self, request: Mapping[str, Any], writer: Any) -> None:
        method = request["method"]
        names = {
            "tools/list": "tools",
            "prompts/list": "prompts",
            "resources/list": "resources",
            "resources/templates/list": "resourceTemplates",
        }
        if method in self.unknown_methods:
            result: Any = {"error": {"code": -32601, "message": "Method not found"}}
        elif method == "server/discover":
            capabilities = {"tools": {}, "prompts": {}, "resources": {}, "completions": {}}
            result = {"supportedVersions": ["2026-07-28"], "capabilities": capabilities}
        else:
            result = {names[method]: self.lists[names[method]]} if method in names else self.results[method]
        if "error" in result:
            body = {"jsonrpc": "2.0", "id": request["id"], **result}
            writer.write(http_response(json.dumps(body).encode()))
        else:
            writer.write(json_response(request, result))


@pytest.fixture
async def scripted(start_gateway: Callable[..., Any]) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def start(
            lists: Mapping[str, Any] | None = None,
            policy: str = "mask",
            unknown_methods: tuple[str, ...] = (),
            **members: Any,
        ) -> Scripted:
            server = Scripted()
            server.unknown_methods = unknown_methods
            server.lists |= lists or {}
            server.upstream = await stack.enter_async_context(RawUpstream(server.respond, answers_lists=False))
            rules = {"prompts": {"*": {}}, "resources": {"a://*": {}}, "tools": {}, **members}
            server.gateway = await start_gateway({"crm": {"url": server.upstream.url, "policy": policy, **rules}})
            await server.gateway.wait_until_listed("crm")
            return server

        yield start


PLANTED = f"Call {PHONE}, write to {EMAIL}."
ENCODED = base64.b64encode(PLANTED.encode()).decode()
BLOCK = {"type": "text", "text": PLANTED}
PLACES: dict[str, list[tuple[str, Any]]] = {
    "prompts/get": [
        ("text", {"messages": [{"role": "user", "content": BLOCK}]}),
        ("description", {"description": PLANTED, "messages": []}),
        ("image", {"messages": [{"role": "user", "content": {"type": "image", "mimeType": "x/y", "data": ENCODED}}]}),
        ("resource", {"messages": [{"content": {"type": "resource", "resource": {"uri": "a://b", "blob": ENCODED}}}]}),
        ("link", {"messages": [{"content": {"type": "resource_link", "uri": f"mailto:{EMAIL}", "name": PLANTED}}]}),
        ("metadata", {"messages": [], "_meta": {"a": PLANTED, "io.modelcontextprotocol/b": PLANTED}}),
        ("unknown", {"messages": [], "note": PLANTED, "requestState": PLANTED, "ttlMs": PLANTED}),
        ("error flag", {"messages": [], "isError": PLANTED}),
        ("name of a member", {"messages": [], PLANTED: 1}),
    ],
    "resources/read": [
        ("text", {"contents": [{"uri": "a://b", "text": PLANTED}]}),
        ("blob", {"contents": [{"uri": "a://b", "blob": ENCODED}]}),
        ("blob beside other members", {"contents": [{"uri": "a://b", "blob": ENCODED, "name": PLANTED}]}),
        ("other address", {"contents": [{"uri": f"mailto:{EMAIL}", "text": "a"}]}),
        ("metadata", {"contents": [{"uri": "a://b", "text": "a", "_meta": {"a": PLANTED}}], "_meta": {"a": PLANTED}}),
        ("unknown", {"contents": [], "note": PLANTED, "nextCursor": PLANTED, "isError": [PLANTED], PLANTED: 1}),
    ],
    "completion/complete": [
        ("values", {"completion": {"values": [PLANTED, PHONE]}}),
        ("unknown", {"completion": {"values": [], "note": PLANTED}, "note": PLANTED, "_meta": {"a": PLANTED}}),
        ("error flag", {"completion": {"values": []}, "isError": {"a": PLANTED}, PLANTED: 1}),
    ],
}
ERROR = {"error": {"code": -32000, "message": PLANTED, "data": {"a": [PLANTED]}}}
PARAMS = {
    "prompts/get": {"name": "crm_p"},
    "resources/read": {"uri": "a://b"},
    "completion/complete": {"ref": {"type": "ref/prompt", "name": "crm_p"}, "argument": {"name": "a", "value": "b"}},
}


@pytest.mark.parametrize("policy", ["mask", "tokenize", "encrypt", "reject"])
async def test_no_planted_value_reaches_the_client_or_the_record(scripted: Callable[..., Any], policy: str) -> None:
    server = await scripted({"prompts": [{"name": "p"}]}, policy)
    leaks: list[str] = []
    for method, places in PLACES.items():
        for place, result in [*places, ("error", ERROR)]:
            server.results[method] = result
            for stateless in (True, False):
                answer = await server.gateway.request(method, PARAMS[method], stateless=stateless)
                assert answer.status == 200
                sent = json.dumps(answer.message, ensure_ascii=False)
                leaks += [f"{method} {place}" for value in (PHONE, EMAIL, ENCODED) if value in sent]
    assert leaks == []
    recorded = json.dumps(server.gateway.events(), ensure_ascii=False)
    assert PHONE not in recorded
    assert EMAIL not in recorded


async def test_no_planted_value_reaches_the_upstream(scripted: Callable[..., Any]) -> None:
    for policy in ("mask", "tokenize", "encrypt", "reject"):
        server = await scripted({"prompts": [{"name": "p"}]}, policy)
        server.results = {
            "prompts/get": {"messages": []},
            "resources/read": {"contents": []},
            "completion/complete": {"completion": {"values": []}},
        }
        requests = [
            ("prompts/get", {"name": "crm_p", "arguments": {"a": PLANTED}}),
            ("resources/read", {"uri": f"a://{EMAIL}"}),
            ("completion/complete", {**PARAMS["completion/complete"], "argument": {"name": "a", "value": PLANTED}}),
            ("completion/complete", {**PARAMS["completion/complete"], "argument": {"name": PLANTED, "value": "b"}}),
            ("completion/complete", {**PARAMS["completion/complete"], "context": {"arguments": {PLANTED: "x"}}}),
            ("prompts/get", {"name": "crm_p", "arguments": {PLANTED: "a"}}),
            (
                "completion/complete",
                {**PARAMS["completion/complete"], "ref": {"type": "ref/resource", "uri": f"a://{EMAIL}/{{x}}"}},
            ),
            ("completion/complete", {**PARAMS["completion/complete"], "context": {"arguments": {"x": PLANTED}}}),
        ]
        for method, params in requests:
            await server.gateway.request(method, params, stateless=False)
        received = b"\n".join(server.upstream.bodies)
        assert PHONE.encode() not in received
        assert EMAIL.encode() not in received


async def test_an_address_with_personal_data_is_refused_and_observed_ones_pass(scripted: Callable[..., Any]) -> None:
    server = await scripted()
    server.results["resources/read"] = {"contents": []}
    refused = await server.gateway.request("resources/read", {"uri": f"a://{EMAIL}"}, stateless=False)
    assert refused.error["message"].startswith("personal_data_refused")
    assert refused.error["data"] == {"mcp-oauth2-gateway/reason": "personal_data_refused"}
    assert server.gateway.events()[-1]["reason"] == "personal_data_refused"
    observed = await scripted(policy="observe")
    observed.results["resources/read"] = {"contents": []}
    assert (await observed.gateway.request("resources/read", {"uri": f"a://{EMAIL}"}, stateless=False)).status == 200
    assert observed.upstream.requests[-1]["params"]["uri"] == f"a://{EMAIL}"
    assert observed.gateway.events()[-1]["contains_pii"] is True


async def test_personal_data_in_definitions_is_masked_or_left_out(scripted: Callable[..., Any]) -> None:
    lists = {
        "prompts": [
            {"name": "p", "description": PLANTED, "arguments": [{"name": "a", "description": PLANTED}], "x": PLANTED},
            {"name": EMAIL},
            {"name": "p", "description": "the same name again"},
            {"name": "line\nbreak"},
            {"name": ""},
            {"name": "x" * 129},
            {"title": "no name"},
            "text",
        ],
        "resources": [
            {"uri": "a://b", "name": PLANTED, "_meta": {"a": PLANTED}},
            {"uri": f"a://{EMAIL}"},
            {"uri": "b://b"},
        ],
        "resourceTemplates": [{"uriTemplate": "a://{x}", "title": PLANTED}, {"uriTemplate": "b://{x}"}],
    }
    server = await scripted(lists)
    prompts = (await server.gateway.request("prompts/list", stateless=False)).result["prompts"]
    resources = (await server.gateway.request("resources/list", stateless=False)).result["resources"]
    templates = (await server.gateway.request("resources/templates/list", stateless=False)).result["resourceTemplates"]
    assert [prompt["name"] for prompt in prompts] == ["crm_p"]
    assert [resource["uri"] for resource in resources] == ["a://b"]
    assert [template["uriTemplate"] for template in templates] == ["a://{x}"]
    sent = json.dumps([prompts, resources, templates])
    assert PHONE not in sent
    assert EMAIL not in sent


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("prompts/get", {"messages": "a"}),
        ("prompts/get", {}),
        ("resources/read", {"contents": {}}),
        ("resources/read", {"contents": ["a"]}),
        ("completion/complete", {"completion": {"values": "a"}}),
        ("completion/complete", {"completion": {"values": [1]}}),
        ("completion/complete", {"values": ["a"]}),
        ("completion/complete", {"resultType": "input_required", "inputRequests": {}}),
    ],
)
async def test_a_result_of_another_form_is_not_passed_on(
    scripted: Callable[..., Any], method: str, result: dict[str, Any]
) -> None:
    server = await scripted({"prompts": [{"name": "p"}]})
    server.results[method] = result
    answer = await server.gateway.request(method, PARAMS[method], stateless=False)
    assert (answer.status, answer.error["code"]) == (200, -32603)
    assert server.gateway.events()[-1]["reason"] == "upstream_protocol"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("prompts/get", {"name": "crm_p", "arguments": []}),
        ("prompts/get", {"name": "crm_p", "arguments": {"a": 1}}),
        ("completion/complete", {**PARAMS["completion/complete"], "argument": {"name": "a"}}),
        ("completion/complete", {**PARAMS["completion/complete"], "argument": None}),
        ("completion/complete", {**PARAMS["completion/complete"], "context": {"arguments": {"a": 1}}}),
        ("completion/complete", {**PARAMS["completion/complete"], "context": []}),
    ],
)
async def test_malformed_parameters_are_refused(
    scripted: Callable[..., Any], method: str, params: dict[str, Any]
) -> None:
    server = await scripted({"prompts": [{"name": "p"}]})
    answer = await server.gateway.request(method, params, stateless=False)
    assert answer.error["code"] == -32602
    recorded = server.gateway.events()[-1]
    assert (recorded["reason"], recorded["outcome"]) == ("invalid_arguments", "refused")
    assert recorded["tool_name"].startswith("crm/")


@pytest.mark.parametrize(("stateless", "expected"), [(True, -32602), (False, -32002)])
async def test_a_resource_that_the_upstream_does_not_have(
    scripted: Callable[..., Any], stateless: bool, expected: int
) -> None:
    server = await scripted()
    server.results["resources/read"] = {"error": {"code": -32002, "message": "Resource not found"}}
    answer = await server.gateway.request("resources/read", {"uri": "a://none"}, stateless=stateless)
    assert answer.error["code"] == expected


async def test_a_question_within_a_prompt_or_a_resource_is_relayed(scripted: Callable[..., Any]) -> None:
    server = await scripted({"prompts": [{"name": "p"}]})
    form = {"method": "elicitation/create", "params": {"message": "Who?", "requestedSchema": {"type": "object"}}}
    asked = {"resultType": "input_required", "inputRequests": {"q": form}, "requestState": "s"}
    answers = {"prompts/get": {"messages": []}, "resources/read": {"contents": []}}
    for method, final in answers.items():
        params = dict(PARAMS[method])
        server.results[method] = asked
        first = (await server.gateway.request(method, params, capabilities={"elicitation": {}})).result
        assert first["resultType"] == "input_required"
        assert "ttlMs" not in first
        server.results[method] = final
        params |= {"requestState": first["requestState"], "inputResponses": {"q": {"action": "decline"}}}
        second = (await server.gateway.request(method, params, capabilities={"elicitation": {}})).result
        assert second["resultType"] == "complete"
        assert server.upstream.requests[-1]["params"]["requestState"] == "s"


async def test_lists_are_those_of_the_lock(scripted: Callable[..., Any], tmp_path: Path) -> None:
    prompt = {"name": "p", "description": "as approved"}
    resource = {"uri": "a://b", "name": "as approved"}
    definitions = {
        DefinitionKind.PROMPT: {"p": approve(DefinitionKind.PROMPT, prompt)},
        DefinitionKind.RESOURCE: {"a://b": approve(DefinitionKind.RESOURCE, resource)},
    }
    approved = ApprovedUpstream(definitions=definitions)
    write_lock(tmp_path / "gateway.lock", Lock().with_upstream("crm", approved))
    offered = {
        "prompts": [{"name": "p", "description": "changed"}, {"name": "new"}],
        "resources": [{"uri": "a://b", "name": "changed"}, {"uri": "a://new"}],
    }
    server = await scripted(offered, prompts={"*": {}, "named": {}})
    server.results = {"prompts/get": {"messages": []}, "resources/read": {"contents": []}}
    prompts = (await server.gateway.request("prompts/list", stateless=False)).result["prompts"]
    resources = (await server.gateway.request("resources/list", stateless=False)).result["resources"]
    assert prompts == [{"name": "crm_p", "description": "as approved"}]
    assert resources == [resource]
    assert (await server.gateway.request("prompts/get", {"name": "crm_p"})).status == 200
    for name in ("crm_new", "crm_named"):
        assert (await server.gateway.request("prompts/get", {"name": name})).error["code"] == -32602
    # A rule names addresses, and not definitions, so that resources can be read that were never listed.
    assert (await server.gateway.request("resources/read", {"uri": "a://new"})).status == 200


async def test_a_server_that_does_not_know_a_list_has_none_of_these(scripted: Callable[..., Any]) -> None:
    unknown = ("tools/list", "resources/templates/list")
    server = await scripted({"resources": [{"uri": "a://b"}]}, unknown_methods=unknown)
    listed = (await server.gateway.request("resources/list", stateless=False)).result["resources"]
    assert listed == [{"uri": "a://b"}]
    assert (await server.gateway.request("resources/templates/list")).result["resourceTemplates"] == []
    assert await server.gateway.tool_names() == []


async def test_a_question_within_a_completion_is_not_relayed(scripted: Callable[..., Any]) -> None:
    server = await scripted({"prompts": [{"name": "p"}]})
    server.results["completion/complete"] = {"resultType": "input_required", "requestState": "s"}
    for stateless in (True, False):
        answer = await server.gateway.request(
            "completion/complete", PARAMS["completion/complete"], stateless=stateless, capabilities={"elicitation": {}}
        )
        assert answer.error["message"].startswith("input_request_not_relayed")


async def test_a_named_prompt_can_be_used_before_its_upstream_was_reached(start_gateway: Callable[..., Any]) -> None:
    gateway = await start_gateway({"crm": {"url": "http://127.0.0.1:1/mcp", "prompts": {"p": {}, "other*": {}}}})
    assert (await gateway.request("prompts/list")).result["prompts"] == []
    answer = await gateway.request("prompts/get", {"name": "crm_p"})
    assert (answer.status, answer.error["code"]) == (200, -32603)
    assert answer.error["message"].startswith("upstream_unavailable: crm is unavailable")
    assert gateway.events()[-1]["reason"] == "upstream_unavailable"
