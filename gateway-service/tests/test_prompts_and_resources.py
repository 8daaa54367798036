"""Prompts, resources and completions: who may use which, what is changed on the way, and what is recorded."""

import base64
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from fastmcp import Client
from hypothesis import given
from hypothesis import strategies as st
from notes_server import notes
from upstream_servers import EMAIL, OldVersionsOnly

from gateway_service.catalogue.offered_components import OfferedComponents
from gateway_service.catalogue.resource_uris import MAX_URI_CHARACTERS, canonical_uri, is_unambiguous_uri
from gateway_service.declaration import GatewayDeclaration, RulePatterns, ToolRule, UpstreamDeclaration
from security_common.tool_policy.policy import PIIPolicy

pytestmark = pytest.mark.anyio

RULES: dict[str, Any] = {
    "policy": "mask",
    "tools": {},
    "prompts": {"greet": {}, "secret": {"scope": "mcp.extra"}},
    "resources": {"notes://*": {}, "notes://private/*": {"scope": "mcp.extra", "task": "view"}},
}


@pytest.fixture(params=["stateless", "old-with-sessions", "old-without-sessions"])
async def gateway(
    request: pytest.FixtureRequest, serve_app: Callable[[Any], Awaitable[str]], start_gateway: Callable[..., Any]
) -> Any:
    app = notes().http_app(path="/mcp", stateless_http=request.param != "old-with-sessions")
    url = await serve_app(app if request.param == "stateless" else OldVersionsOnly(app))
    running = await start_gateway({"notes": {"url": f"{url}/mcp", **RULES}})
    await running.wait_until_listed("notes")
    return running


PROMPT_REF = {"type": "ref/prompt", "name": "notes_greet"}
TEMPLATE_REF = {"type": "ref/resource", "uri": "notes://by/{author}"}


@pytest.mark.parametrize("stateless", [True, False])
async def test_what_rules_name_is_listed(gateway: Any, stateless: bool) -> None:
    prompts = (await gateway.request("prompts/list", stateless=stateless)).result
    assert [prompt["name"] for prompt in prompts["prompts"]] == ["notes_greet", "notes_secret"]
    assert prompts["prompts"][0]["arguments"][0]["name"] == "name"
    resources = (await gateway.request("resources/list", stateless=stateless)).result
    assert sorted(each["uri"] for each in resources["resources"]) == ["notes://private/diary", "notes://today"]
    templates = (await gateway.request("resources/templates/list", stateless=stateless)).result
    assert [each["uriTemplate"] for each in templates["resourceTemplates"]] == ["notes://by/{author}"]
    for result in (prompts, resources, templates):
        assert result.get("cacheScope") == ("private" if stateless else None)
        assert "_meta" not in next(iter(result.values()))[0]
    own = (await gateway.request("prompts/list", stateless=stateless, upstream="notes")).result
    assert [prompt["name"] for prompt in own["prompts"]] == ["greet", "secret"]


@pytest.mark.parametrize("stateless", [True, False])
async def test_a_prompt_is_protected_in_both_directions(gateway: Any, stateless: bool) -> None:
    params = {"name": "notes_greet", "arguments": {"name": EMAIL}}
    result = (await gateway.request("prompts/get", params, stateless=stateless)).result
    text = result["messages"][0]["content"]["text"]
    assert EMAIL not in text
    assert text.endswith("whose number is 010-****-5678.")
    assert result.get("resultType") == ("complete" if stateless else None)
    (recorded,) = gateway.events()
    assert recorded["tool_name"] == "notes/prompts/greet"
    assert (recorded["outcome"], recorded["contains_pii"]) == ("success", True)


@pytest.mark.parametrize("stateless", [True, False])
async def test_a_resource_is_read_and_protected(gateway: Any, stateless: bool) -> None:
    read = (await gateway.request("resources/read", {"uri": "notes://today"}, stateless=stateless)).result
    assert read["contents"][0]["uri"] == "notes://today"
    assert read["contents"][0]["text"] == "call 010-****-5678"
    assert read.get("cacheScope") == ("private" if stateless else None)
    by = (await gateway.request("resources/read", {"uri": "notes://by/hong"}, stateless=stateless)).result
    assert EMAIL not in base64.b64decode(by["contents"][0]["blob"]).decode()
    assert {recorded["tool_name"] for recorded in gateway.events()} == {"notes/resources/notes://*"}


@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize("reference", [PROMPT_REF, TEMPLATE_REF], ids=["prompt", "template"])
async def test_completions_follow_the_rule_of_their_prompt_or_template(
    gateway: Any, stateless: bool, reference: dict[str, str]
) -> None:
    params = {"ref": reference, "argument": {"name": "author", "value": EMAIL}, "context": {"arguments": {"a": "b"}}}
    completion = (await gateway.request("completion/complete", params, stateless=stateless)).result["completion"]
    kind = "prompt" if reference is PROMPT_REF else "template"
    assert completion["values"][0].startswith(f"{kind}-author-")
    assert EMAIL not in str(completion)
    assert completion["values"][1] == "010-****-5678"
    (recorded,) = gateway.events()
    assert recorded["tool_name"].startswith("notes/completions/")


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
async def test_a_client_of_the_sdk_uses_them(gateway: Any, mode: str) -> None:
    async with Client(gateway.mcp_url(), auth=gateway.token(), mode=mode) as client:
        assert [prompt.name for prompt in await client.list_prompts()] == ["notes_greet", "notes_secret"]
        prompt = await client.get_prompt("notes_greet", {"name": "Ada"})
        assert prompt.messages[0].content.text == "Greet Ada, whose number is 010-****-5678."
        assert len(await client.list_resources()) == 2
        assert (await client.read_resource("notes://today"))[0].text == "call 010-****-5678"
        completion = await client.complete(types.PromptReference(name="notes_greet"), {"name": "name", "value": "A"})
        assert completion.values[0] == "prompt-name-A"


async def test_a_program_is_used_in_the_same_way(start_gateway: Callable[..., Any]) -> None:
    server = Path(__file__).with_name("notes_server.py")
    gateway = await start_gateway({"notes": {"command": sys.executable, "args": [str(server)], **RULES}})
    await gateway.wait_until_listed("notes")
    for stateless in (True, False):
        prompts = (await gateway.request("prompts/list", stateless=stateless)).result["prompts"]
        assert [prompt["name"] for prompt in prompts] == ["notes_greet", "notes_secret"]
        prompt = await gateway.request("prompts/get", {"name": "notes_greet", "arguments": {"name": "Ada"}})
        assert prompt.result["messages"][0]["content"]["text"] == "Greet Ada, whose number is 010-****-5678."
        read = (await gateway.request("resources/read", {"uri": "notes://today"}, stateless=stateless)).result
        assert read["contents"][0]["text"] == "call 010-****-5678"
        params = {"ref": PROMPT_REF, "argument": {"name": "name", "value": "A"}}
        completion = (await gateway.request("completion/complete", params, stateless=stateless)).result["completion"]
        assert completion["values"] == ["prompt-name-A", "010-****-5678"]


USES: dict[str, tuple[str, dict[str, Any]]] = {
    "prompt": ("prompts/get", {"name": "notes_secret"}),
    "resource": ("resources/read", {"uri": "notes://private/diary"}),
    "completion": (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "notes_secret"}, "argument": {"name": "a", "value": ""}},
    ),
}


@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize("kind", USES)
async def test_a_missing_scope_leads_to_a_step_up(gateway: Any, stateless: bool, kind: str) -> None:
    method, params = USES[kind]
    refused = await gateway.request(method, params, stateless=stateless)
    assert refused.status == 403
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert 'scope="mcp.access mcp.extra"' in refused.headers["www-authenticate"]
    (recorded,) = gateway.events("access_refused")
    assert recorded["reason"] == "insufficient_scope"
    assert recorded["tool_name"].startswith("notes/")
    token = gateway.token(scope="mcp.access mcp.extra")
    assert (await gateway.request(method, params, stateless=stateless, token=token)).status == 200


UNKNOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "prompt without a rule": ("prompts/get", {"name": "notes_unnamed"}),
    "prompt that does not exist": ("prompts/get", {"name": "notes_other"}),
    "prompt under its own name": ("prompts/get", {"name": "greet"}),
    "name that is a number": ("prompts/get", {"name": 7}),
    "resource without a rule": ("resources/read", {"uri": "other://unnamed"}),
    "address that is not a text": ("resources/read", {"uri": ["notes://today"]}),
    "way out of the pattern": ("resources/read", {"uri": "notes://private/../../other"}),
    "completion of another prompt": (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "notes_unnamed"}, "argument": {"name": "a", "value": ""}},
    ),
    "completion of another template": (
        "completion/complete",
        {"ref": {"type": "ref/resource", "uri": "other://{x}"}, "argument": {"name": "a", "value": ""}},
    ),
    "completion of a template that is not listed": (
        "completion/complete",
        {"ref": {"type": "ref/resource", "uri": "notes://other/{x}"}, "argument": {"name": "a", "value": ""}},
    ),
    "completion of something else": ("completion/complete", {"ref": {"type": "ref/x", "name": "notes_greet"}}),
}


@pytest.mark.parametrize("kind", UNKNOWN)
async def test_what_no_rule_names_does_not_exist(gateway: Any, kind: str) -> None:
    method, params = UNKNOWN[kind]
    answer = await gateway.request(method, params, stateless=False)
    expected = -32002 if method == "resources/read" else -32602
    assert (answer.status, answer.error["code"]) == (200, expected)
    assert answer.error["message"].startswith("Unknown ")
    (recorded,) = gateway.events()
    assert (recorded["outcome"], recorded["reason"]) == ("refused", "unknown_component")
    assert recorded.get("tool_name") is None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("notes://today", True),
        ("notes://회의/오늘", True),
        ("notes://a%20b?x=1#y", True),
        ("file:///data/..hidden/a", True),
        ("file:///data/../etc", False),
        ("file:///data/..", False),
        ("file:///data/./a", False),
        ("file:///data/%2e%2e/etc", False),
        ("file:///data/%2E%2e%2fetc", False),
        ("file:///data/%252e%252e/etc", False),
        ("file:///data/%25252525252e%25252525252e/etc", False),
        ("file:///data/..%5cetc", False),
        ("file:///data\\..\\etc", False),
        ("file:///data/..;/etc", False),
        ("file:///data/a%00b", False),
        ("file:///data/a\nb", False),
        ("file:///data/a b", False),
        ("file:///data/\u202e", False),
        ("x:" + "a" * MAX_URI_CHARACTERS, False),
    ],
)
def test_an_address_that_servers_could_read_differently_matches_no_rule(uri: str, expected: bool) -> None:
    assert is_unambiguous_uri(uri) is expected


OTHER_FORMS_OF_PRIVATE = [
    "notes://%70rivate/diary",
    "notes://%2570rivate/diary",
    "notes://private%2Fdiary",
    "notes:///private/diary",
    "notes://Private/diary",
    "notes://{author}%2f",
    "notes://today#x",
    "notes://today/",
]


@pytest.mark.parametrize("uri", OTHER_FORMS_OF_PRIVATE)
async def test_another_form_of_an_address_does_not_have_a_weaker_rule(
    start_gateway: Callable[..., Any], uri: str
) -> None:
    strict = {"scope": "mcp.extra", "policy": "reject"}
    resources = {"notes://*": {}, "notes://private/*": strict, "notes://today": strict, "notes://{author}/*": strict}
    gateway = await start_gateway({"notes": {"url": "http://127.0.0.1:1/mcp", "tools": {}, "resources": resources}})
    answer = await gateway.request("resources/read", {"uri": uri})
    assert answer.error["message"].startswith("Unknown ")
    (recorded,) = gateway.events()
    assert (recorded["outcome"], recorded["reason"]) == ("refused", "unknown_component")


@given(st.text("ab/%2Fé#", max_size=12))
def test_addresses_that_servers_treat_as_the_same_have_one_canonical_form(rest: str) -> None:
    once = canonical_uri(f"file:///{rest}")
    assert canonical_uri(f"file:////{rest}") == once
    assert canonical_uri(f"file://localhost/{rest}") == once
    assert canonical_uri(f"FILE:///{rest}".upper()) == once


def test_forms_of_addresses_with_the_same_rule_can_be_used() -> None:
    resources = ("file:///*", "file:///data/*", "file:///my%20data/*")
    rule = ToolRule(arguments=PIIPolicy.MASK, result=PIIPolicy.MASK)
    patterns = RulePatterns(dict.fromkeys(resources, rule))
    upstream = UpstreamDeclaration(name="files", url="http://127.0.0.1:1/mcp", default_rule=rule, resources=patterns)
    offered = OfferedComponents(GatewayDeclaration(upstreams=(upstream,)), lambda _, definition: definition)
    for uri, pattern in {
        "file:///data/": "file:///data/*",
        "file:///data/%C3%A9": "file:///data/*",
        "file:///data//a?b#c": "file:///data/*",
        "file:///my%20data/a": "file:///my%20data/*",
        "file:///a": "file:///*",
    }.items():
        found = offered.addresses["files"].resource_at(uri)
        assert found is not None
        assert found.pattern == pattern


async def test_what_two_upstreams_could_have_is_only_at_their_own_addresses(
    start_gateway: Callable[..., Any], serve_app: Callable[[Any], Awaitable[str]]
) -> None:
    url = await serve_app(notes().http_app(path="/mcp", stateless_http=True))
    rules = {"url": f"{url}/mcp", "tools": {}}
    gateway = await start_gateway(
        {
            "a": {**rules, "resources": {"notes://*": {}}, "prompts": {"greet": {"as": "hello"}}},
            "b": {**rules, "resources": {"notes://today": {}, "notes://by/*": {}}},
        }
    )
    await gateway.wait_until_listed("a", "b")
    listed = (await gateway.request("resources/list")).result["resources"]
    assert [each["uri"] for each in listed] == ["notes://private/diary"]
    assert (await gateway.request("resources/templates/list")).result["resourceTemplates"] == []
    read = {"uri": "notes://today"}
    assert (await gateway.request("resources/read", read)).error["code"] == -32602
    for name in ("a", "b"):
        assert (await gateway.request("resources/read", read, upstream=name)).status == 200
    prompts = (await gateway.request("prompts/list")).result["prompts"]
    assert [prompt["name"] for prompt in prompts] == ["a_hello"]
    capabilities = (await gateway.request("server/discover", upstream="b")).result["capabilities"]
    assert set(capabilities) == {"tools", "logging", "resources", "completions"}


async def test_lists_show_what_the_caller_can_get(
    start_gateway: Callable[..., Any], serve_app: Callable[[Any], Awaitable[str]]
) -> None:
    url = await serve_app(notes().http_app(path="/mcp", stateless_http=True))
    gateway = await start_gateway({"notes": {"url": f"{url}/mcp", **RULES}}, requestable_scopes="mcp.other")
    await gateway.wait_until_listed("notes")
    for scope, prompts, resources in (("mcp.access", 1, 1), ("mcp.access mcp.extra", 2, 2)):
        token = gateway.token(scope=scope)
        assert len((await gateway.request("prompts/list", token=token)).result["prompts"]) == prompts
        assert len((await gateway.request("resources/list", token=token)).result["resources"]) == resources
    paged = await gateway.request("prompts/list", {"cursor": "x"})
    assert paged.error["code"] == -32602
