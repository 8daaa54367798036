"""What identifies the gateway, or its caller, to an upstream: secrets, own tokens and exchanged tokens."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey, import_key
from token_endpoint import EXCHANGE, TokenEndpoint
from upstream_servers import TEXT_RESULT, OldVersionsOnly, RawUpstream, Watched, customers, http_response, json_response

from local_stack.loopback_issuer import LoopbackIssuer

pytestmark = pytest.mark.anyio

StartGateway = Callable[..., Any]
ServeApp = Callable[[Any], Awaitable[str]]
SECRET = "gateway:/+ secret"


@pytest.fixture
def client(tmp_path: Path) -> dict[str, str]:
    """The members of a credential that identify the gateway as a client."""
    (tmp_path / "client-secret").write_text(SECRET)
    return {"client_id": "gateway client", "secret_file": "client-secret"}


async def act(request: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.write(json_response(request, TEXT_RESULT))


def authorizations(upstream: RawUpstream) -> list[str]:
    """The Authorization headers of the tool calls, in order."""
    calls = [head for head, request in zip(upstream.heads, upstream.requests, strict=True) if is_call(request)]
    return [head.lower().split("authorization: ")[1].split("\r\n")[0] for head in calls]


def is_call(request: Mapping[str, Any]) -> bool:
    return request["method"] == "tools/call"


async def test_item_g17_no_credential_reaches_another_upstream(
    serve_app: ServeApp, start_gateway: StartGateway, tmp_path: Path, client: dict[str, str]
) -> None:
    (tmp_path / "api-key").write_text("key-of-the-secret-upstream")
    credentials = {
        "none": None,
        "secret": {"secret_file": "api-key", "header": "X-Api-Key", "scheme": ""},
        "own": {"client_credentials": {**client, "scopes": "own.use"}},
        "exchanged": {"exchange": {**client, "scopes": "crm.use"}},
    }
    watched = {name: Watched(customers().http_app(path="/mcp", stateless_http=True)) for name in credentials}
    endpoint = TokenEndpoint()
    upstreams: dict[str, Any] = {}
    for name, credential in credentials.items():
        upstreams[name] = {"url": f"{await serve_app(watched[name])}/mcp", "tools": {"*": {}}}
        if credential:
            upstreams[name]["credential"] = credential
    gateway = await start_gateway(upstreams, token_endpoint=endpoint)
    await gateway.wait_until_listed(*upstreams)
    token = gateway.token()
    for name in upstreams:
        assert (await gateway.call(f"{name}_echo", {"text": "hi"}, token=token)).text == "hi"
    sent = {name: [value for value in _identities(app) if value] for name, app in watched.items()}
    assert sent["none"] == []
    assert set(sent["secret"]) == {"key-of-the-secret-upstream"}
    issued = {
        kind: [f"Bearer token-{number}-issued" for number, form in enumerate(endpoint.forms, 1) if _kind(form) == kind]
        for kind in ("own", "exchanged", "list")
    }
    assert set(sent["own"]) == set(issued["own"])
    assert set(sent["exchanged"]) == set(issued["list"] + issued["exchanged"])
    assert [form["subject_token"] for form in endpoint.exchanges] == [token]
    secrets = [token, *token.split("."), SECRET, base64.b64encode(SECRET.encode()).decode(), "gateway client"]
    for name, app in watched.items():
        foreign = [value.removeprefix("Bearer ") for other in sent if other != name for value in sent[other]]
        assert not [value for value in (*secrets[1:], secrets[0], *foreign) if value.encode() in app.everything]
    recorded = json.dumps(gateway.events())
    assert not [value for value in (*secrets, "-issued") if value in recorded]


def _identities(app: Watched) -> list[str]:
    return [headers.get("authorization", headers.get("x-api-key", "")) for headers in app.headers]


def _kind(form: Mapping[str, str]) -> str:
    if form["grant_type"] == EXCHANGE:
        return "exchanged"
    return "own" if form["scope"] == "own.use" else "list"


@pytest.fixture
async def exchanging(start_gateway: StartGateway, client: dict[str, str]) -> Any:
    """A gateway whose upstream `crm` gets exchanged tokens; the upstream; and the token endpoint."""
    endpoint = TokenEndpoint()
    async with RawUpstream(act) as upstream:
        credential = {"exchange": {**client, "resource": "https://crm.example/mcp"}}
        gateway = await start_gateway(
            {"crm": {"url": upstream.url, "credential": credential, "tools": {"*": {}}}}, token_endpoint=endpoint
        )
        await gateway.wait_until_listed("crm")
        yield gateway, upstream, endpoint


async def test_the_callers_token_is_exchanged_for_one_to_the_upstream(exchanging: Any) -> None:
    gateway, upstream, endpoint = exchanging
    token = gateway.token()
    assert (await gateway.call("crm_act", token=token)).text == "done"
    assert endpoint.forms == [
        {"grant_type": "client_credentials", "resource": "https://crm.example/mcp"},
        {
            "grant_type": EXCHANGE,
            "subject_token": token,
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "resource": "https://crm.example/mcp",
        },
    ]
    basic = base64.b64decode(endpoint.headers[1]["authorization"].removeprefix("Basic ")).decode()
    assert basic == "gateway+client:gateway%3A%2F%2B+secret"
    assert authorizations(upstream) == ["bearer token-2-issued"]


async def test_a_token_is_exchanged_once_for_the_same_rights(exchanging: Any) -> None:
    gateway, upstream, endpoint = exchanging
    same = [gateway.token(), gateway.token(jti="two"), gateway.token(exp=gateway.issuer.claims()["exp"] - 60)]
    for token in same:
        await gateway.call("crm_act", token=token)
    assert len(endpoint.exchanges) == 1
    different = [
        gateway.token(sub="u_other"),
        gateway.token(scope="mcp.access mcp.decrypt"),
        gateway.token(client_id="other-client"),
    ]
    for token in different:
        await gateway.call("crm_act", token=token)
    await gateway.call("act", upstream="crm")  # the token is for another address, so other rules may apply
    assert len(endpoint.exchanges) == 5
    assert len(set(authorizations(upstream))) == 5


async def test_item_g20_fifty_first_calls_make_one_exchange(exchanging: Any) -> None:
    gateway, upstream, endpoint = exchanging
    endpoint.may_answer.clear()
    token = gateway.token()
    calls = [asyncio.create_task(gateway.call("crm_act", token=token)) for _ in range(50)]
    await gateway.issuer.wait_for_requests("/token", 2)
    endpoint.may_answer.set()
    assert {answer.text for answer in await asyncio.gather(*calls)} == {"done"}
    assert len(endpoint.exchanges) == 1
    assert authorizations(upstream) == ["bearer token-2-issued"] * 50


async def test_item_g19_a_token_that_expires_is_exchanged_again(exchanging: Any) -> None:
    gateway, upstream, endpoint = exchanging
    endpoint.members["expires_in"] = 1
    await gateway.call("crm_act")
    while len(endpoint.exchanges) < 2:
        await gateway.call("crm_act")
    assert len(set(authorizations(upstream))) == 2


async def test_item_g19_an_exchanged_token_is_not_used_longer_than_the_callers_own(exchanging: Any) -> None:
    gateway, _, endpoint = exchanging
    endpoint.members["expires_in"] = 3600
    ending = gateway.issuer.claims()["iat"] + 1
    await gateway.call("crm_act", token=gateway.token(exp=ending))
    while len(endpoint.exchanges) < 2:
        assert (await gateway.call("crm_act")).text == "done"


class RefusesFirst:
    """Answers the first calls with a status and a challenge of its own."""

    def __init__(self, times: int, status: str = "401 Unauthorized") -> None:
        self.left = times
        self.status = status

    async def __call__(self, request: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        if self.left:
            self.left -= 1
            writer.write(http_response(b"{}", status=self.status, www_authenticate='Bearer realm="upstream"'))
        else:
            await act(request, writer)


async def test_item_g18_a_401_is_answered_with_one_new_token(exchanging: Any) -> None:
    gateway, upstream, endpoint = exchanging
    upstream.respond = RefusesFirst(1)
    assert (await gateway.call("crm_act")).text == "done"
    assert authorizations(upstream) == ["bearer token-2-issued", "bearer token-3-issued"]
    assert (await gateway.call("crm_act")).text == "done"
    assert len(endpoint.exchanges) == 2


@pytest.mark.parametrize(("status", "attempts"), [("401 Unauthorized", 2), ("403 Forbidden", 1)])
async def test_item_g18_a_second_refusal_is_an_error_without_a_challenge(
    exchanging: Any, status: str, attempts: int
) -> None:
    gateway, upstream, _ = exchanging
    upstream.respond = RefusesFirst(9, status)
    answer = await gateway.call("crm_act")
    assert (answer.status, answer.result["isError"]) == (200, True)
    assert "www-authenticate" not in answer.headers
    assert "realm" not in str(answer.message)
    assert upstream.calls == attempts
    assert gateway.events()[0]["reason"] == "upstream_refused_credential"


async def test_item_g18_many_refused_calls_share_the_new_token(exchanging: Any) -> None:
    gateway, upstream, endpoint = exchanging
    await gateway.call("crm_act")

    async def refuse_the_first_token(request: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        # The second attempt repeats the request, so the last one that is equal counts.
        place = max(number for number, each in enumerate(upstream.requests) if each == request)
        if "token-2-issued" in upstream.heads[place]:
            writer.write(http_response(b"{}", status="401 Unauthorized"))
        else:
            await act(request, writer)

    upstream.respond = refuse_the_first_token
    answers = await asyncio.gather(*(gateway.call("crm_act") for _ in range(20)))
    assert {answer.text for answer in answers} == {"done"}
    assert len(endpoint.exchanges) == 2


async def test_a_secret_that_was_replaced_is_used_at_once(start_gateway: StartGateway, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("old")
    async with RawUpstream(act) as upstream:
        gateway = await start_gateway({"crm": {"url": upstream.url, "credential": {"secret_file": "key"}}})
        await gateway.wait_until_listed("crm")
        await gateway.call("crm_act")
        secret.write_text("new")
        await gateway.call("crm_act")
        upstream.respond = RefusesFirst(1)
        answer = await gateway.call("crm_act")
        assert authorizations(upstream) == ["bearer old", "bearer new", "bearer new"]
        assert answer.result["isError"] is True, "the file has no other secret to try"


@pytest.mark.parametrize("version", ["old-with-sessions", "old-without-sessions"])
async def test_a_session_of_an_older_server_is_opened_and_ended_for_its_caller(
    serve_app: ServeApp, start_gateway: StartGateway, gateway_stack: Any, client: dict[str, str], version: str
) -> None:
    app = customers().http_app(path="/mcp", stateless_http=version == "old-without-sessions")
    watched, endpoint = Watched(OldVersionsOnly(app)), TokenEndpoint()
    upstream = {"url": f"{await serve_app(watched)}/mcp", "credential": {"exchange": client}, "tools": {"*": {}}}
    gateway = await start_gateway({"crm": upstream}, token_endpoint=endpoint)
    await gateway.wait_until_listed("crm")
    for subject in ("u_one", "u_two", "u_one"):
        assert (await gateway.call("crm_echo", {"text": "hi"}, token=gateway.token(sub=subject))).text == "hi"
    await gateway_stack.aclose()
    sessions: dict[str, set[str]] = {}
    for headers in watched.headers:
        sessions.setdefault(headers.get("mcp-session-id", ""), set()).add(headers["authorization"])
    of_sessions = [identities for session, identities in sessions.items() if session]
    assert all(len(identities) == 1 for identities in of_sessions)
    assert len(of_sessions) == (3 if version == "old-with-sessions" else 0)
    assert len(endpoint.exchanges) == 2


KEYS: dict[str, Callable[[], RSAKey | ECKey]] = {
    "RS256": lambda: RSAKey.generate_key(2048, auto_kid=True),
    "ES256": lambda: ECKey.generate_key("P-256", auto_kid=True),
}


@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_client_with_a_key_identifies_itself_to_another_issuer(
    start_gateway: StartGateway, tmp_path: Path, algorithm: str
) -> None:
    key = KEYS[algorithm]()
    (tmp_path / "key.json").write_text(json.dumps(key.as_dict(private=True)))
    endpoint = TokenEndpoint("foreign")
    async with LoopbackIssuer(path="/tenant", now=lambda: 0) as issuer, RawUpstream(act) as upstream:
        issuer.answers["/token"] = endpoint
        client = {"issuer": issuer.issuer, "client_id": "us", "key_file": "key.json", "audience": "crm"}
        credential = {"client_credentials": client}
        gateway = await start_gateway({"crm": {"url": upstream.url, "credential": credential, "tools": {"*": {}}}})
        await gateway.wait_until_listed("crm")
        for subject in ("u_one", "u_two"):
            await gateway.call("crm_act", token=gateway.token(sub=subject))
        assert authorizations(upstream) == ["bearer foreign-1-issued"] * 2
        (form,) = endpoint.forms
        public = import_key(key.as_dict(private=False))
        assertion = jwt.decode(form["client_assertion"], public, algorithms=[algorithm])
        assert {assertion.claims[name] for name in ("iss", "sub")} == {"us"}
        assert assertion.claims["aud"] == issuer.issuer
        assert 0 < assertion.claims["exp"] - assertion.claims["iat"] <= 60
        assert assertion.claims["jti"]
        assert (form["audience"], "resource" in form, "authorization" in endpoint.headers[0]) == ("crm", False, False)


async def test_an_issuer_that_reads_secrets_in_the_body_only_gets_them_there(
    start_gateway: StartGateway, client: dict[str, str]
) -> None:
    endpoint = TokenEndpoint()
    async with PostOnly(now=lambda: 0) as issuer, RawUpstream(act) as upstream:
        issuer.answers["/token"] = endpoint
        credential = {"client_credentials": {**client, "issuer": issuer.issuer}}
        gateway = await start_gateway({"crm": {"url": upstream.url, "credential": credential}})
        await gateway.wait_until_listed("crm")
    (form,) = endpoint.forms
    assert (form["client_id"], form["client_secret"]) == ("gateway client", SECRET)
    assert "authorization" not in endpoint.headers[0]


class PostOnly(LoopbackIssuer):
    """An issuer that supports client_secret_post only."""

    def metadata(self) -> dict[str, Any]:
        return {**super().metadata(), "token_endpoint_auth_methods_supported": ["client_secret_post"]}


async def test_a_server_of_an_mcp_servers_file_may_have_a_credential_of_the_client_in_the_settings(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    (tmp_path / "own-secret").write_text(SECRET)
    endpoint = TokenEndpoint()
    async with RawUpstream(act) as upstream:
        credential = {"exchange": {"resource": "${CRM:-https://crm.example/mcp}"}}
        file = tmp_path / "mcp.json"
        file.write_text(json.dumps({"mcpServers": {"crm": {"url": upstream.url, "credential": credential}}}))
        settings = {"client_id": "from-settings", "client_secret_file": tmp_path / "own-secret"}
        gateway = await start_gateway(file, settings=settings, token_endpoint=endpoint)
        await gateway.wait_until_listed("crm")
        await gateway.call("crm_act")
    assert [form["resource"] for form in endpoint.forms] == ["https://crm.example/mcp"] * 2
    basic = base64.b64decode(endpoint.headers[1]["authorization"].removeprefix("Basic ")).decode()
    assert basic.startswith("from-settings:")
