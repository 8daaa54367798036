"""Which tools a caller sees and may call, and what each policy does to the data of a call."""

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from upstream_servers import PHONE, customers

from security_common.encryption import DecryptionFailed, EncryptionService, Keyring

pytestmark = pytest.mark.anyio

UNKNOWN = {"code": -32602, "message": "Unknown tool: the list of tools has those that can be called"}


@pytest.fixture
async def upstream(serve_app: Callable[[Any], Awaitable[str]]) -> str:
    return f"{await serve_app(customers().http_app(path='/mcp', stateless_http=True))}/mcp"


@pytest.fixture
def start(start_gateway: Callable[..., Awaitable[Any]], upstream: str) -> Callable[..., Awaitable[Any]]:
    """Starts a gateway in front of the customers' server with these members, and waits for its tools."""

    async def start_one(
        *, settings: dict[str, Any] | None = None, top: dict[str, Any] | None = None, **members: Any
    ) -> Any:
        gateway = await start_gateway({"crm": {"url": upstream, **members}}, settings=settings, **(top or {}))
        await gateway.wait_until_listed("crm")
        return gateway

    return start_one


RULES: dict[str, Any] = {"find": {"scope": "mcp.crm"}, "fa*": {"scope": "mcp.crm mcp.crm.fail"}, "e*": {}}


@pytest.mark.parametrize("upstream_name", ["", "crm"])
@pytest.mark.parametrize("stateless", [True, False])
async def test_a_missing_scope_is_a_step_up_that_names_every_scope(
    start: Callable[..., Any], upstream_name: str, stateless: bool
) -> None:
    gateway = await start(tools=RULES)
    prefix = "" if upstream_name else "crm_"
    for tool, scopes in (("find", "mcp.access mcp.crm"), ("fail", "mcp.access mcp.crm mcp.crm.fail")):
        refused = await gateway.call(f"{prefix}{tool}", {}, upstream=upstream_name, stateless=stateless)
        assert refused.status == 403
        assert refused.message["error"] == "insufficient_scope"
        assert refused.message["scope"] == scopes
        assert f'scope="{scopes}"' in refused.headers["www-authenticate"]
    token = gateway.token(upstream_name, scope="mcp.access mcp.crm")
    found = await gateway.call(
        f"{prefix}find", {"customer_id": "c_1"}, upstream=upstream_name, stateless=stateless, token=token
    )
    assert found.result["structuredContent"] == {"id": "c_1", "phone": PHONE}
    assert [event["tool_name"] for event in gateway.events("access_refused")] == ["crm_find", "crm_fail"]
    assert [event["tool_name"] for event in gateway.events()] == ["crm_find"]


async def test_unlisted_and_unknown_tools_have_the_same_answer(start: Callable[..., Any]) -> None:
    gateway = await start(tools=RULES)
    assert await gateway.tool_names() == ["crm_echo", "crm_fail", "crm_find"]
    for name in ("crm_wait", "crm_nothing", "echo", "find", "other_find", "", "crm_", "010-1234-5678"):
        answer = await gateway.call(name)
        assert (answer.status, answer.error) == (400, UNKNOWN)
        assert (await gateway.call(name, stateless=False)).error == UNKNOWN
        event = gateway.events()[-1]
        assert (event["outcome"], event["reason"]) == ("refused", "unknown_component")
        assert event.get("tool_name") is None
    for name in ("crm_find", "wait"):
        assert (await gateway.call(name, upstream="crm")).error == UNKNOWN


async def test_a_tool_is_listed_if_its_scopes_are_held_or_can_be_requested(start: Callable[..., Any]) -> None:
    gateway = await start(tools=RULES, top={"requestable_scopes": "mcp.crm"})
    assert await gateway.tool_names() == ["crm_echo", "crm_find"]
    token = gateway.token(scope="mcp.access mcp.crm.fail")
    assert await gateway.tool_names(token=token) == ["crm_echo", "crm_fail", "crm_find"]


async def test_without_rules_the_tools_are_open_only_on_loopback(
    start_gateway: Callable[..., Any], upstream: str
) -> None:
    local = await start_gateway({"crm": {"url": upstream}})
    await local.wait_until_listed("crm")
    assert "crm_find" in await local.tool_names()
    public = {"resource": "https://mcp.example.com/mcp", "allowed_hosts": "127.0.0.1"}
    gateway = await start_gateway({"crm": {"url": upstream}}, settings=public)
    await gateway.wait_until_listed("crm")
    token = gateway.issuer.token(aud="https://mcp.example.com/mcp")
    assert await gateway.tool_names(token=token) == []
    assert (await gateway.call("crm_find", token=token)).error == UNKNOWN
    named = await start_gateway({"crm": {"url": upstream, "tools": {"find": {}}}}, settings=public)
    await named.wait_until_listed("crm")
    token = named.issuer.token(aud="https://mcp.example.com/mcp")
    assert await named.tool_names(token=token) == ["crm_find"]


@pytest.mark.parametrize("path", ["", "crm", "files"])
async def test_a_token_is_accepted_only_at_the_address_that_it_was_issued_for(
    start_gateway: Callable[..., Any], upstream: str, path: str
) -> None:
    gateway = await start_gateway({"crm": {"url": upstream}, "files": {"url": upstream}})
    for audience in ("", "crm", "files"):
        answer = await gateway.request("ping", upstream=path, token=gateway.token(audience), stateless=False)
        assert answer.status == (200 if audience == path else 401)
    document = await gateway.http.get(f"{gateway.url}/.well-known/oauth-protected-resource/mcp/{path}".rstrip("/"))
    assert document.json()["resource"] == f"http://localhost:8083/mcp/{path}".rstrip("/")
    assert document.json()["authorization_servers"] == [gateway.issuer.url]


async def test_a_client_of_the_sdk_accepts_masked_structured_content(start: Callable[..., Any]) -> None:
    """It validates the content against the output schema, whose rules for values a mask would break."""
    gateway = await start(policy="mask")
    async with Client(gateway.mcp_url("crm"), auth=gateway.token("crm")) as client:
        found = await client.call_tool("find", {"customer_id": "c_1"})
        assert found.structured_content == {"id": "c_1", "phone": "010-****-5678"}


@pytest.mark.parametrize(
    ("policy", "received", "action"),
    [("observe", PHONE, "executed_observed"), ("mask", "010-****-5678", "executed_with_masking")],
)
async def test_the_upstream_receives_what_the_policy_allows(
    start: Callable[..., Any], policy: str, received: str, action: str
) -> None:
    gateway = await start(tools={"echo": {"arguments": policy, "result": "observe"}})
    assert (await gateway.call("crm_echo", {"text": PHONE})).text == received
    assert gateway.events()[-1]["action_taken"] == action


async def test_encrypted_arguments_arrive_as_ciphertext_of_their_owner(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    gateway = await start(tools={"echo": {"policy": "encrypt"}})
    ciphertext = (await gateway.call("crm_echo", {"text": PHONE})).text
    keyring = Keyring.load(tmp_path / "keyring.json")
    owner = {"owner": f"{gateway.issuer.url} u_tester", "tool": "crm_echo", "field": "text"}
    service = EncryptionService(lambda: keyring)
    assert service.decrypt(ciphertext, context=owner) == PHONE
    with pytest.raises(DecryptionFailed):
        service.decrypt(ciphertext, context={**owner, "owner": f"{gateway.issuer.url} u_other"})
    assert gateway.events()[-1]["action_taken"] == "executed_with_encryption"


async def test_rejected_arguments_do_not_reach_the_upstream(start: Callable[..., Any]) -> None:
    gateway = await start(tools={"echo": {"arguments": "reject"}, "find": {"result": "reject"}})
    refused = await gateway.call("crm_echo", {"text": PHONE})
    assert refused.status == 200
    assert refused.text.startswith("personal_data_refused: personal data is not accepted here (text: PHONE)")
    assert refused.result["_meta"] == {"mcp-oauth2-gateway/reason": "personal_data_refused"}
    withheld = await gateway.call("crm_find", {"customer_id": "c_1"})
    assert withheld.text.startswith("result_withheld")
    assert "structuredContent" not in withheld.result
    reasons = [(event["outcome"], event["reason"]) for event in gateway.events()]
    assert reasons == [("refused", "personal_data_refused"), ("refused", "result_withheld")]


async def test_placeholders_stand_for_values_and_are_put_back_for_a_tool_that_may_see_them(
    start: Callable[..., Any],
) -> None:
    rules = {"find": {"policy": "tokenize"}, "echo": {"policy": "tokenize", "reveal": ["PHONE"]}}
    gateway = await start(tools=rules)
    placeholder = (await gateway.call("crm_find", {"customer_id": "c_1"})).result["structuredContent"]["phone"]
    assert placeholder.startswith("[PHONE_")
    assert (await gateway.call("crm_echo", {"text": f"call {placeholder}"})).text == f"call {placeholder}"
    event = gateway.events()[-1]
    assert event["revealed_kinds"] == {"PHONE": 1}
    other = await gateway.call("crm_echo", {"text": placeholder}, token=gateway.token(sub="u_other"))
    assert other.text.startswith("invalid_placeholder")


async def test_identifiers_are_passed_on_and_the_subject_is_recorded_by_a_keyed_reference(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    key = tmp_path / "pseudonym_key"
    key.write_text(secrets.token_urlsafe(32))
    security = {
        "audit_dir": tmp_path / "audit",
        "encryption_key_file": tmp_path / "keyring.json",
        "pseudonym_key_file": key,
    }
    rule = {"identifiers": ["customer_id"], "subject": "customer_id", "task": "view", "policy": "mask"}
    gateway = await start(tools={"find": rule}, settings={"security": security})
    assert (await gateway.call("crm_find", {"customer_id": "c_1"})).result["structuredContent"]["id"] == "c_1"
    event = gateway.events()[-1]
    assert event["task"] == "view"
    assert event["subject_reference"]
    assert "c_1" not in str(event)
    assert (await gateway.call("crm_find", {"customer_id": PHONE})).text.startswith("personal_data_refused")


async def test_nothing_is_called_while_the_journal_cannot_be_written(start: Callable[..., Any]) -> None:
    gateway = await start()
    await gateway.journal.stop()
    for name in ("crm_visits", "crm_unknown"):
        refused = await gateway.call(name)
        assert refused.status == 503
        assert refused.headers["retry-after"] == "5"
        assert refused.error["data"] == {"error": "temporarily_unavailable"}
        assert refused.error["message"].endswith("the request cannot be recorded at the moment (try again later)")
    assert gateway.events() == []


async def test_a_changed_secret_is_sent_without_a_restart(
    start_gateway: Callable[..., Any], serve_app: Callable[[Any], Awaitable[str]], tmp_path: Path
) -> None:
    seen: list[str] = []
    inner = customers().http_app(path="/mcp", stateless_http=True)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append(dict(scope["headers"]).get(b"x-api-key", b"").decode())
        await inner(scope, receive, send)

    secret = tmp_path / "secret"
    secret.write_text("first\n")
    url = await serve_app(app)
    credential = {"secret_file": "secret", "header": "X-Api-Key", "scheme": ""}
    gateway = await start_gateway({"crm": {"url": f"{url}/mcp", "credential": credential}})
    await gateway.wait_until_listed("crm")
    assert set(seen) == {"first"}
    secret.unlink()
    secret.write_text("second\n")
    assert (await gateway.call("crm_echo", {"text": "a"})).text == "a"
    assert seen[-1] == "second"
    secret.unlink()
    refused = await gateway.call("crm_echo", {"text": "a"})
    assert refused.text.startswith("secret_missing")
    assert gateway.events()[-1]["reason"] == "secret_missing"
