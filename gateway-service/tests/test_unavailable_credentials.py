"""Token endpoints that refuse, lie or do not answer: the upstream is not called, and nothing of theirs is passed on."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from token_endpoint import TokenEndpoint, json_answer, refusal
from upstream_servers import TEXT_RESULT, RawUpstream, json_response

from gateway_service.declaration import DeclarationInvalid, load_declaration
from local_stack.loopback_issuer import LoopbackIssuer, http_answer

pytestmark = pytest.mark.anyio

PLANTED = "text-of-the-issuer"


async def act(request: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.write(json_response(request, TEXT_RESULT))


@pytest.fixture
async def exchanging(start_gateway: Callable[..., Any], tmp_path: Path) -> Any:
    """A gateway whose upstream gets exchanged tokens; the upstream; and the token endpoint."""
    (tmp_path / "secret").write_text("secret of the gateway")
    endpoint = TokenEndpoint()
    async with RawUpstream(act) as upstream:
        credential = {"exchange": {"client_id": "gateway", "secret_file": "secret"}}
        gateway = await start_gateway(
            {"crm": {"url": upstream.url, "credential": credential, "tools": {"*": {}}}}, token_endpoint=endpoint
        )
        await gateway.wait_until_listed("crm")
        yield gateway, upstream, endpoint


WRONG: dict[str, bytes] = {
    "refused": refusal("invalid_scope", PLANTED),
    "refused with another text as code": refusal(f"Bad {PLANTED}!", PLANTED),
    "server error": http_answer(PLANTED.encode(), status="500 Internal Server Error"),
    "HTML": http_answer(f"<html>{PLANTED}</html>".encode(), content_type="text/html"),
    "a list": json_answer([PLANTED]),
    "no token": json_answer({"token_type": "Bearer", "note": PLANTED}),
    "a token that is a number": json_answer({"access_token": 7, "token_type": "Bearer"}),
    "an empty token": json_answer({"access_token": "", "token_type": "Bearer"}),
    "a token with a line break": json_answer({"access_token": f"a\r\nX-Header: {PLANTED}", "token_type": "Bearer"}),
    "a token of 20 KiB": json_answer({"access_token": "a" * 20480, "token_type": "Bearer"}),
    "a bound token": json_answer({"access_token": "abc", "token_type": "DPoP"}),
    "no type": json_answer({"access_token": "abc"}),
    "redirect": http_answer(b"", status="307 Temporary Redirect", location="http://127.0.0.1:1/token"),
    "compressed": http_answer(PLANTED.encode(), content_encoding="gzip"),
    "100 KiB": json_answer({"access_token": "abc", "token_type": "Bearer", "more": PLANTED * 6000}),
    "half a response": http_answer(b"{}", content_length="2000")[:60],
    "nothing": b"",
}


@pytest.mark.parametrize("raw", WRONG.values(), ids=WRONG)
async def test_a_token_that_cannot_be_got_is_an_error_of_the_call(exchanging: Any, raw: bytes) -> None:
    gateway, upstream, endpoint = exchanging
    endpoint.raw = raw
    answer = await gateway.call("crm_act")
    assert (answer.status, answer.result["isError"]) == (200, True)
    assert "got no credential for crm" in answer.text
    assert PLANTED not in str(answer.message)
    assert upstream.calls == 0
    (event,) = gateway.events()
    assert (event["outcome"], event["reason"]) == ("failure", "upstream_credential_unavailable")
    endpoint.raw = None
    assert (await gateway.call("crm_act")).text == "done"


async def test_the_error_code_of_the_issuer_is_passed_on(exchanging: Any) -> None:
    gateway, _, endpoint = exchanging
    endpoint.raw = refusal("invalid_scope")
    assert "crm: invalid_scope" in (await gateway.call("crm_act")).text


async def test_a_secret_that_is_missing_is_an_error_of_the_call(exchanging: Any, tmp_path: Path) -> None:
    gateway, upstream, endpoint = exchanging
    (tmp_path / "secret").unlink()
    answer = await gateway.call("crm_act")
    assert answer.result["isError"] is True
    assert (upstream.calls, len(endpoint.exchanges)) == (0, 0)
    assert gateway.events()[0]["reason"] == "secret_missing"


async def test_lifetimes_that_are_no_times_are_short(exchanging: Any) -> None:
    gateway, _, endpoint = exchanging
    for lifetime in (None, "300", -1, True, {}):
        endpoint.members["expires_in"] = lifetime
        assert (await gateway.call("crm_act", token=gateway.token(sub=f"u_{lifetime}"))).text == "done"


class Elsewhere(LoopbackIssuer):
    """An issuer whose token endpoint is on another host, without TLS."""

    def metadata(self) -> dict[str, Any]:
        return {**super().metadata(), "token_endpoint": "http://tokens.example/token"}


class Unnamed(LoopbackIssuer):
    """An issuer without a token endpoint."""

    def metadata(self) -> dict[str, Any]:
        return {**super().metadata(), "token_endpoint": None}


class Misnamed(LoopbackIssuer):
    """An issuer whose metadata names another one."""

    def metadata(self) -> dict[str, Any]:
        return {**super().metadata(), "issuer": "https://other.example"}


@pytest.mark.parametrize("kind", [Elsewhere, Unnamed, Misnamed])
async def test_a_secret_is_sent_to_the_named_issuer_only(
    start_gateway: Callable[..., Any], tmp_path: Path, kind: type[LoopbackIssuer]
) -> None:
    (tmp_path / "secret").write_text("secret of the gateway")
    async with kind(now=lambda: 0) as issuer, RawUpstream(act) as upstream:
        client = {"client_id": "gateway", "secret_file": "secret", "issuer": issuer.issuer}
        gateway = await start_gateway({"crm": {"url": upstream.url, "credential": {"client_credentials": client}}})
        note = await gateway.wait_for_problem("crm")
        assert "got no credential for crm" in note
        assert upstream.requests == []
        assert issuer.requests["/token"] == 0


FORMS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "needs one of"),
    "two": ({"secret_file": "a", "exchange": {"client_id": "a", "secret_file": "b"}}, "needs one of"),
    "no secret": ({"exchange": {"client_id": "a"}}, "either `secret_file` or `key_file`"),
    "another issuer without a client": (
        {"client_credentials": {"issuer": "https://a.example"}},
        "another `issuer` needs a `client_id`",
    ),
    "secret and key": ({"exchange": {"client_id": "a", "secret_file": "b", "key_file": "c"}}, "either `secret_file`"),
    "no id": ({"exchange": {"secret_file": "b"}}, "need a `client_id`"),
    "another issuer": (
        {"exchange": {"client_id": "a", "secret_file": "b", "issuer": "https://a.example"}},
        "there is no such member",
    ),
    "a header for a token": (
        {"exchange": {"client_id": "a", "secret_file": "b"}, "header": "X-Token"},
        "belong to `secret_file`",
    ),
    "a resource that is not a URL": (
        {"exchange": {"client_id": "a", "secret_file": "b", "resource": "crm"}},
        "credential.exchange.resource",
    ),
}


@pytest.mark.parametrize(("credential", "problem"), FORMS.values(), ids=FORMS)
def test_a_wrong_credential_is_refused_at_the_start(tmp_path: Path, credential: dict[str, Any], problem: str) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(f"upstreams: {{crm: {{url: 'https://crm.example/mcp', credential: {credential}}}}}")
    with pytest.raises(DeclarationInvalid, match=problem):
        load_declaration(file, {})


async def test_a_gateway_that_is_not_a_client_does_not_start(start_gateway: Callable[..., Any]) -> None:
    credential = {"exchange": {}}
    with pytest.raises(DeclarationInvalid, match="names no client_id"):
        await start_gateway({"crm": {"url": "https://crm.example/mcp", "credential": credential}})
