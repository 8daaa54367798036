"""The guard answers every request, and never with a server error."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.loopback_issuer import LoopbackIssuer, compact, rs256
from security_common.guard import Guard, ProtectedResource, RequestRates
from security_common.tokens import TokenVerifier, TrustedIssuer

NOW = 1_800_000_000.0
CLAIMS = ["iss", "sub", "aud", "client_id", "scope", "iat", "exp", "nbf", "jti", "cnf", "typ", "other"]
MEMBERS = ["alg", "typ", "kid", "crit", "b64", "zip", "jku", "jwk", "x5c", "other"]
CALL = ["jsonrpc", "method", "params", "name", "arguments", "id"]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["tools/call", "read", "RS256"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(CALL), inner, max_size=4),
    max_leaves=12,
)


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8")


class Ground:
    """A guard with known keys, called like by a server."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._run = runner.run
        self.issuer = LoopbackIssuer(now=lambda: NOW)
        self._run(self.issuer.start())
        self._http = httpx2.AsyncClient(verify=False)
        trusted = TrustedIssuer(self.issuer.url, self.issuer.audience)
        self._verifier = TokenVerifier([trusted], http=self._http, clock=lambda: NOW)
        self._guard = Guard(
            _accept,
            verifier=self._verifier,
            resource=ProtectedResource(self.issuer.audience, [self.issuer.url], ["mcp.access"]),
            tool_scopes={"read": frozenset({"mcp.decrypt"})},
            rates=RequestRates(10**9),
        )

    def status(self, headers: list[tuple[bytes, bytes]], body: bytes = b"", query: bytes = b"") -> int:
        return self._run(self._ask(headers, body, query))

    def close(self) -> None:
        self._run(self._verifier.stop())
        self._run(self._http.aclose())
        self._run(self.issuer.stop())

    async def _ask(self, headers: list[tuple[bytes, bytes]], body: bytes, query: bytes) -> int:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/mcp",
            "query_string": query,
            "headers": [(b"host", b"localhost"), *headers],
            "client": ("127.0.0.1", 1),
        }
        await self._guard(scope, receive, send)
        for name, value in sent[0]["headers"]:
            assert b"\n" not in name + value
            assert b"\r" not in name + value
        return sent[0]["status"]


async def _accept(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with asyncio.Runner() as runner:
        ground = Ground(runner)
        yield ground
        ground.close()


@given(st.binary(), st.booleans())
def test_any_bytes_as_authorization(ground, value, as_bearer):
    assert ground.status([(b"authorization", b"Bearer " + value if as_bearer else value)]) < 500


@given(st.dictionaries(st.sampled_from(MEMBERS), json_values), st.dictionaries(st.sampled_from(CLAIMS), json_values))
def test_any_signed_token(ground, header, claims):
    members = {"alg": "RS256", "typ": "at+jwt", "kid": "first"} | header
    token = compact(_dump(members), _dump(ground.issuer.claims() | claims), rs256("first"))
    assert ground.status([(b"authorization", b"Bearer " + token.encode())]) in {200, 401, 403}


@given(st.binary() | json_values.map(_dump))
def test_any_body(ground, body):
    headers = [(b"authorization", f"Bearer {ground.issuer.token()}".encode())]
    assert ground.status(headers, body) in {200, 400, 403}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"traceparent", b"origin", b"content-length", b"mcp-name", b"mcp-protocol-version"]),
            st.binary(),
        )
    ),
    st.binary(),
)
def test_any_other_header_and_query(ground, headers, query):
    token = (b"authorization", f"Bearer {ground.issuer.token()}".encode())
    assert ground.status([token, *headers], b"{}", query) < 500
