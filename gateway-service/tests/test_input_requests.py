"""Questions to the user within a call: what is relayed, in which state, and to whom."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from upstream_servers import (
    EMAIL,
    PHONE,
    TEXT_RESULT,
    OldVersionsOnly,
    RawUpstream,
    Watched,
    customers,
    http_response,
    json_response,
)

from gateway_service.relay.input_requests import MAX_INPUT_REQUESTS, MAX_STATE_CHARACTERS, STATE_LIFETIME_SECONDS

pytestmark = pytest.mark.anyio

META = "io.modelcontextprotocol/"
STATE = "state of the upstream"
FORM = {"elicitation": {}}
EVERYTHING = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}, "tasks": {}, "extensions": {"x": {}}}
TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("act", "other")]


def form(message: str = "Which one?", **members: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema, **members}}


def visit(url: Any) -> dict[str, Any]:
    return {"method": "elicitation/create", "params": {"mode": "url", "message": "Sign in", "url": url}}


SAMPLING = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 10}}
ROOTS = {"method": "roots/list"}


class Asking:
    """A gateway in front of an upstream that asks first, and answers when it has a response."""

    def __init__(self, gateway: Any, upstream: RawUpstream, asked: dict[str, Any]) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.asked = asked

    async def call(
        self,
        tool: str = "crm_act",
        arguments: Mapping[str, Any] | None = None,
        *,
        capabilities: Mapping[str, Any] = FORM,
        token: str | None = None,
        stateless: bool = True,
        **params: Any,
    ) -> Any:
        metadata = {f"{META}protocolVersion": "2026-07-28", f"{META}clientCapabilities": capabilities}
        members = {"name": tool, "arguments": arguments or {}, **params}
        headers = {}
        if stateless:
            members["_meta"] = metadata
            headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": tool}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": members}
        return await self.gateway.post(json.dumps(message).encode(), headers, token=token)

    @property
    def received(self) -> Mapping[str, Any]:
        """The parameters of the last request to the upstream."""
        return self.upstream.requests[-1]["params"]


@pytest.fixture
async def asking(start_gateway: Callable[..., Any]) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def start(policy: str = "mask", settings: Mapping[str, Any] | None = None, **members: Any) -> Asking:
            asked: dict[str, Any] = {"inputRequests": {"q": form()}, "requestState": STATE}

            async def respond(request: Mapping[str, Any], writer: Any) -> None:
                has_responses = "inputResponses" in request["params"]
                result = TEXT_RESULT if has_responses else {"resultType": "input_required", **asked}
                writer.write(json_response(request, result))

            upstream = await stack.enter_async_context(RawUpstream(respond, TOOLS))
            gateway = await start_gateway(
                {"crm": {"url": upstream.url, "policy": policy, **members}}, settings=settings
            )
            await gateway.wait_until_listed("crm")
            return Asking(gateway, upstream, asked)

        yield start


async def test_a_question_is_relayed_and_its_response_as_well(asking: Callable[..., Any]) -> None:
    running = await asking()
    asked = (await running.call()).result
    assert asked["resultType"] == "input_required"
    assert asked["inputRequests"] == {"q": form()}
    assert STATE not in json.dumps(asked)
    assert running.received["_meta"][f"{META}clientCapabilities"] == {"elicitation": {"form": {}}}
    responses = {"q": {"action": "accept", "content": {"name": "the red one"}}}
    answer = await running.call(requestState=asked["requestState"], inputResponses=responses)
    assert (answer.text, answer.result["resultType"]) == ("done", "complete")
    assert running.received["requestState"] == STATE
    assert running.received["inputResponses"] == responses
    assert [recorded["outcome"] for recorded in running.gateway.events()] == ["success", "success"]


@pytest.mark.parametrize("policy", ["mask", "tokenize", "encrypt"])
async def test_personal_data_is_masked_in_questions_and_responses(asking: Callable[..., Any], policy: str) -> None:
    running = await asking(policy)
    running.asked["inputRequests"] = {"q": form(f"Call {PHONE}?"), EMAIL: {**form(), "note": EMAIL}}
    asked = (await running.call()).result
    assert PHONE not in json.dumps(asked)
    assert EMAIL not in json.dumps(asked)
    responses = {"q": {"action": "accept", "content": {"phone": PHONE, "more": [{"mail": EMAIL}]}}}
    await running.call(requestState=asked["requestState"], inputResponses=responses)
    sent = json.dumps(running.received)
    assert PHONE not in sent
    assert EMAIL not in sent
    assert running.received["inputResponses"]["q"]["action"] == "accept"
    assert [recorded["contains_pii"] for recorded in running.gateway.events()] == [True, True]


async def test_a_response_with_personal_data_can_be_refused(asking: Callable[..., Any]) -> None:
    running = await asking("reject")
    asked = (await running.call()).result
    calls = running.upstream.calls
    responses = {"q": {"action": "accept", "content": {"phone": PHONE}}}
    answer = await running.call(requestState=asked["requestState"], inputResponses=responses)
    assert answer.text.startswith("personal_data_refused")
    assert running.upstream.calls == calls
    assert running.gateway.events()[-1]["reason"] == "personal_data_refused"


def altered(state: str) -> str:
    middle = len(state) // 2
    return state[:middle] + ("A" if state[middle] != "A" else "B") + state[middle + 1 :]


STATES: dict[str, Callable[[Asking, str], dict[str, Any]]] = {
    "of another caller": lambda running, state: {
        "requestState": state, "token": running.gateway.token(sub="u_other"),
    },
    "of another issuer's caller": lambda _, state: {"requestState": f"{state}x"},
    "of another tool": lambda _, state: {"requestState": state, "tool": "crm_other"},
    "of other arguments": lambda _, state: {"requestState": state, "arguments": {"a": 1}},
    "altered": lambda _, state: {"requestState": altered(state)},
    "cut": lambda _, state: {"requestState": state[:-4]},
    "of the upstream itself": lambda _, state: {"requestState": STATE},
    "empty": lambda _, state: {"requestState": ""},
}  # fmt: skip


@pytest.mark.parametrize("kind", STATES)
async def test_a_state_that_does_not_belong_to_the_call_is_refused(asking: Callable[..., Any], kind: str) -> None:
    running = await asking()
    state = (await running.call()).result["requestState"]
    calls = running.upstream.calls
    answer = await running.call(**STATES[kind](running, state), inputResponses={"q": {"action": "decline"}})
    assert (answer.status, answer.error["code"]) == (400, -32602)
    assert answer.error["message"].startswith("invalid_request_state: ")
    assert running.upstream.calls == calls
    recorded = running.gateway.events()[-1]
    assert (recorded["outcome"], recorded["reason"]) == ("refused", "invalid_request_state")


async def test_a_state_of_another_upstream_is_refused(
    asking: Callable[..., Any], start_gateway: Callable[..., Any]
) -> None:
    running = await asking()
    gateway = await start_gateway({name: {"url": running.upstream.url} for name in ("crm", "files")})
    await gateway.wait_until_listed("crm", "files")
    both = Asking(gateway, running.upstream, running.asked)
    state = (await both.call()).result["requestState"]
    answer = await both.call("files_act", requestState=state, inputResponses={})
    assert answer.error["message"].startswith("invalid_request_state: ")
    assert (await both.call(requestState=state, inputResponses={})).text == "done"


async def test_a_state_expires(asking: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    running = await asking()
    state = (await running.call()).result["requestState"]
    monkeypatch.setattr("gateway_service.relay.input_requests.STATE_LIFETIME_SECONDS", -1)
    answer = await running.call(requestState=state, inputResponses={})
    assert answer.error["message"].startswith("invalid_request_state: ")
    assert STATE_LIFETIME_SECONDS == 600


async def test_the_order_of_arguments_and_the_spelling_of_numbers_do_not_matter(asking: Callable[..., Any]) -> None:
    running = await asking()
    state = (await running.call(arguments={"a": 1.5, "b": {"c": 1, "d": 2}})).result["requestState"]
    arguments = {"b": {"d": 2, "c": 1}, "a": 1.5}
    assert (await running.call(arguments=arguments, requestState=state, inputResponses={})).text == "done"


async def test_without_an_encryption_key_the_state_is_sealed_as_well(asking: Callable[..., Any], tmp_path: Any) -> None:
    running = await asking("observe", settings={"security": {"audit_dir": tmp_path / "audit"}})
    asked = (await running.call()).result
    assert STATE not in json.dumps(asked)
    assert (await running.call(requestState=asked["requestState"], inputResponses={})).text == "done"
    other = await running.call(requestState=altered(asked["requestState"]), inputResponses={})
    assert other.error["message"].startswith("invalid_request_state: ")


@pytest.mark.parametrize(
    ("members", "declared"),
    [
        ({}, {"elicitation": {"form": {}}}),
        ({"input_requests": []}, {}),
        ({"input_requests": ["roots", "sampling"]}, {"sampling": {}, "roots": {}}),
        ({"input_url_hosts": ["a.example"]}, {"elicitation": {"form": {}, "url": {}}}),
    ],
)
async def test_only_what_is_allowed_and_offered_is_declared(
    asking: Callable[..., Any], members: dict[str, Any], declared: dict[str, Any]
) -> None:
    running = await asking(**members)
    await running.call(capabilities=EVERYTHING)
    assert running.received["_meta"][f"{META}clientCapabilities"] == declared
    await running.call(capabilities={})
    assert running.received["_meta"][f"{META}clientCapabilities"] == {}


@pytest.mark.parametrize("request_", [form(mode="url", url="https://a.example/"), SAMPLING, ROOTS, {"method": "x"}, {}])
async def test_what_was_not_declared_is_not_relayed(asking: Callable[..., Any], request_: dict[str, Any]) -> None:
    running = await asking()
    running.asked["inputRequests"] = {"q": request_}
    answer = await running.call(capabilities=EVERYTHING)
    assert answer.text.startswith("input_request_not_relayed: crm asks the user for input")
    recorded = running.gateway.events()[-1]
    assert (recorded["outcome"], recorded["reason"]) == ("failure", "input_request_not_relayed")


@pytest.mark.parametrize("request_", [SAMPLING, ROOTS])
async def test_sampling_and_roots_are_relayed_where_they_are_allowed(
    asking: Callable[..., Any], request_: dict[str, Any]
) -> None:
    running = await asking(input_requests=["sampling", "roots"])
    running.asked["inputRequests"] = {"q": request_}
    assert (await running.call(capabilities=EVERYTHING)).result["inputRequests"] == {"q": request_}


URLS: dict[str, Any] = {
    "https://accounts.example.com/a?b=c": True,
    "https://ACCOUNTS.example.com/": True,
    "https://accounts.example.com:8443/": True,
    "http://accounts.example.com/": False,
    "https://other.example.com/": False,
    "https://accounts.example.com.evil.example/": False,
    "https://accounts.example.com@evil.example/": False,
    "https://user@accounts.example.com/": False,
    "https://accounts.example.com:444/": False,
    "https://evil.example\\@accounts.example.com/": False,
    "https://accounts.example.com\t/": False,
    "https:accounts.example.com": False,
    "javascript:alert(1)": False,
    "https://[accounts.example.com/": False,
    "//accounts.example.com/": False,
    f"https://accounts.example.com/?mail={EMAIL}": False,
}


@pytest.mark.parametrize("url", URLS)
async def test_the_user_is_sent_to_named_hosts_only(asking: Callable[..., Any], url: str) -> None:
    running = await asking(input_url_hosts=["accounts.example.com", "accounts.example.com:8443"])
    running.asked["inputRequests"] = {"q": visit(url)}
    answer = await running.call(capabilities=EVERYTHING)
    if URLS[url]:
        assert answer.result["inputRequests"]["q"]["params"]["url"] == url
    else:
        assert answer.text.startswith("upstream_protocol: crm sent the user to a URL")
        assert url not in json.dumps(answer.message)


async def test_an_address_that_is_not_a_text_is_refused(asking: Callable[..., Any]) -> None:
    running = await asking(input_url_hosts=["accounts.example.com"])
    running.asked["inputRequests"] = {"q": visit(7)}
    answer = await running.call(capabilities=EVERYTHING)
    assert answer.text.startswith("upstream_protocol: ")


MALFORMED: dict[str, dict[str, Any]] = {
    "text": {"inputRequests": "a"},
    "list": {"inputRequests": [form()]},
    "request that is a text": {"inputRequests": {"q": "a"}},
    "parameters that are a text": {"inputRequests": {"q": {"method": "elicitation/create", "params": "a"}}},
    "too many": {"inputRequests": {f"q{number}": form() for number in range(MAX_INPUT_REQUESTS + 1)}},
    "state that is a number": {"requestState": 1},
    "long state": {"requestState": "x" * (MAX_STATE_CHARACTERS + 1)},
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_a_malformed_question_is_not_relayed(asking: Callable[..., Any], kind: str) -> None:
    running = await asking()
    running.asked.update(MALFORMED[kind])
    answer = await running.call()
    assert answer.text.startswith("upstream_protocol: crm sent an input request") or "input requests" in answer.text
    assert running.gateway.events()[-1]["reason"] == "upstream_protocol"


@pytest.mark.parametrize(
    "params",
    [
        {"inputResponses": []},
        {"inputResponses": "a"},
        {"inputResponses": {"q": "a"}},
        {"inputResponses": {f"q{number}": {} for number in range(MAX_INPUT_REQUESTS + 1)}},
        {"requestState": 1},
        {"requestState": {}},
    ],
    ids=lambda params: str(params)[:40],
)
async def test_malformed_responses_are_refused(asking: Callable[..., Any], params: dict[str, Any]) -> None:
    running = await asking()
    answer = await running.call(**params)
    assert (answer.status, answer.error["code"]) == (400, -32602)
    assert running.upstream.calls == 0
    assert running.gateway.events()[-1]["reason"] == "invalid_arguments"


async def test_a_client_of_an_older_version_learns_why_it_cannot_be_asked(asking: Callable[..., Any]) -> None:
    running = await asking()
    answer = await running.call(stateless=False)
    assert answer.text.startswith("input_request_not_relayed: crm asks the user for input")
    assert "2026-07-28" in answer.text
    assert running.received["_meta"][f"{META}clientCapabilities"] == {}
    refused = await running.call(stateless=False, inputResponses={"q": {}})
    assert refused.error["code"] == -32602


@pytest.mark.parametrize(
    ("capabilities", "stateless", "answered"),
    [({}, True, "error"), (EVERYTHING, True, "gateway.yaml"), ({}, False, "2026-07-28")],
)
async def test_an_upstream_that_needs_to_ask_says_so(
    asking: Callable[..., Any], capabilities: dict[str, Any], stateless: bool, answered: str
) -> None:
    running = await asking()

    async def respond(request: Mapping[str, Any], writer: Any) -> None:
        error = {"code": -32021, "message": "needs sampling", "data": {"requiredCapabilities": {"sampling": {}}}}
        message = {"jsonrpc": "2.0", "id": request["id"], "error": error}
        writer.write(http_response(json.dumps(message).encode(), status="400 Bad Request"))

    running.upstream.respond = respond
    answer = await running.call(capabilities=capabilities, stateless=stateless)
    if answered == "error":
        assert (answer.status, answer.error["code"]) == (400, -32021)
        assert answer.error["data"] == {"requiredCapabilities": {"sampling": {}}}
    else:
        assert answer.text.startswith("input_request_not_relayed: ")
        assert answered in answer.text


async def test_an_older_server_gets_neither_capabilities_nor_responses(
    serve_app: Callable[[Any], Any], start_gateway: Callable[..., Any]
) -> None:
    watched = Watched(OldVersionsOnly(customers().http_app(path="/mcp")))
    url = await serve_app(watched)
    gateway = await start_gateway({"crm": {"url": f"{url}/mcp"}})
    await gateway.wait_until_listed("crm")
    running = Asking(gateway, RawUpstream(never), {})
    arguments = {"text": "hello"}
    answer = await running.call("crm_echo", arguments, capabilities=EVERYTHING, inputResponses={"q": {"action": "a"}})
    assert answer.text == "hello"
    assert b'"capabilities":{}' in watched.everything
    assert b"inputResponses" not in watched.everything
    assert b"elicitation" not in watched.everything


async def never(_: Mapping[str, Any], writer: Any) -> None:
    del writer
