"""Traffic of unauthenticated clients: requests of every kind that can be sent without credentials.

Each kind varies everything that a service could remember: client ids, hosts, tokens, addresses behind a trusted proxy.
The answers are not checked here; the test checks how much memory the services use afterwards.
"""

import asyncio
import base64
import json
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlencode

import httpx2

__all__ = ["KINDS", "AnonymousTraffic"]

_CONCURRENCY = 12
_SLOW_CONNECTION_SECONDS = 3.0
_JSON_HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
_REDIRECT_URI = "http://127.0.0.1:7777/callback"
_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

# Larger than any limit of the services on a body.
_OVERSIZED_BODY = b"x" * (5 * 1024 * 1024)

# Paths that clients, browsers and scanners request.
_DISCOVERY_PATHS = (
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/mcp",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/jwks.json",
    "/favicon.ico",
    "/robots.txt",
    "/",
    "/livez",
    "/readyz",
    "/openapi.json",
)


@dataclass
class AnonymousTraffic:
    """Sends requests of all kinds, at most `requests_per_second` in all, until it is cancelled.

    Every request has another source address: both services have to trust 127.0.0.1 as a proxy.
    """

    auth_url: str
    mcp_url: str
    requests_per_second: float
    random: Random = field(default_factory=lambda: Random(20261130))  # noqa: S311 - a repeatable choice
    answers: Counter[tuple[str, int | str]] = field(default_factory=Counter[tuple[str, int | str]])
    """The number of answers of each kind and status, or of each transport error."""

    async def run(self) -> None:
        limits = httpx2.Limits(max_connections=2 * _CONCURRENCY)
        async with httpx2.AsyncClient(timeout=30, limits=limits) as http, asyncio.TaskGroup() as tasks:
            for _ in range(_CONCURRENCY):
                tasks.create_task(self._send_until_cancelled(http))

    async def _send_until_cancelled(self, http: httpx2.AsyncClient) -> None:
        seconds_per_request = _CONCURRENCY / self.requests_per_second
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            kind = self.random.choice(tuple(KINDS))
            await self.send(http, kind)
            await asyncio.sleep(max(0.0, started + seconds_per_request - loop.time()))

    async def send(self, http: httpx2.AsyncClient, kind: str) -> None:
        """Sends one request of this kind and counts the answer."""
        try:
            status: int | str = await KINDS[kind](self, http)
        except (httpx2.TransportError, OSError) as error:
            status = type(error).__name__
        self.answers[kind, status] += 1

    async def get(self, http: httpx2.AsyncClient, url: str, **headers: str) -> int:
        return (await http.get(url, headers=self._from_somewhere(headers))).status_code

    async def post_form(
        self, http: httpx2.AsyncClient, path: str, form: Mapping[str, str], authorization: str | None = None
    ) -> int:
        headers = self._from_somewhere({"authorization": authorization} if authorization else {})
        return (await http.post(f"{self.auth_url}{path}", data=dict(form), headers=headers)).status_code

    async def post_bytes(self, http: httpx2.AsyncClient, url: str, body: bytes, **headers: str) -> int:
        sent = self._from_somewhere({**_JSON_HEADERS, **headers})
        return (await http.post(url, content=body, headers=sent)).status_code

    def address(self) -> str:
        """A random address: IPv4, IPv6, or a list as a client could send it."""
        first = ".".join(str(self.random.randint(1, 254)) for _ in range(4))
        second = ":".join(f"{self.random.randint(0, 0xFFFF):x}" for _ in range(8))
        return self.random.choice((first, second, f"{second}, {first}"))

    def _from_somewhere(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {"x-forwarded-for": self.address(), **headers}


async def register(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    body: dict[str, Any] = {
        "client_name": f"Client {secrets.token_hex(8)}",
        "redirect_uris": [f"http://127.0.0.1/{secrets.token_hex(8)}"],
        "token_endpoint_auth_method": traffic.random.choice(("none", "client_secret_basic", "client_secret_post")),
        "scope": "mcp.access offline_access",
    }
    return await traffic.post_bytes(http, f"{traffic.auth_url}/oauth2/register", json.dumps(body).encode())


async def register_invalid(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    body = traffic.random.choice(
        (b"", b"[]", b"{", b'{"redirect_uris": 1}', b'{"redirect_uris": ["javascript:x"]}', b"[" * 20_000, b"\xff\xfe")
    )
    return await traffic.post_bytes(http, f"{traffic.auth_url}/oauth2/register", body)


async def authorize_unknown_client(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    return await _authorize(traffic, http, client_id=f"c_{secrets.token_urlsafe(16)}")


async def authorize_unreachable_document(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    """The client id is the URL of a metadata document on a host that does not exist, or on this machine."""
    host = traffic.random.choice((f"{secrets.token_hex(8)}.invalid", "127.0.0.1", "[::1]", "10.0.0.1", "localhost"))
    return await _authorize(traffic, http, client_id=f"https://{host}/{secrets.token_hex(8)}.json")


async def authorize_known_client(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    """A registered client begins a sign-in that is not finished."""
    body = {"client_name": "Unfinished sign-in", "redirect_uris": [_REDIRECT_URI], "token_endpoint_auth_method": "none"}
    headers = {"x-forwarded-for": traffic.address()}
    registered = await http.post(f"{traffic.auth_url}/oauth2/register", json=body, headers=headers)
    if registered.status_code != 201:
        return registered.status_code
    return await _authorize(traffic, http, client_id=registered.json()["client_id"], state=secrets.token_urlsafe(32))


async def _authorize(traffic: AnonymousTraffic, http: httpx2.AsyncClient, **parameters: str) -> int:
    query = {
        "response_type": "code",
        "redirect_uri": _REDIRECT_URI,
        "code_challenge": _CHALLENGE,
        "code_challenge_method": "S256",
        "scope": "mcp.access",
        **parameters,
    }
    return await traffic.get(http, f"{traffic.auth_url}/oauth2/authorize?{urlencode(query)}", accept="text/html")


async def submit_stale_page(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    path = traffic.random.choice(("/oauth2/sign-in", "/oauth2/consent", "/oauth2/logout"))
    form = {"request": secrets.token_urlsafe(32), "username": secrets.token_hex(8), "password": "guess"}
    return await traffic.post_form(http, path, {**form, "action": "sign_in"})


async def send_wrong_secret(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    client_id = traffic.random.choice(("mcp-client", f"c_{secrets.token_hex(8)}"))
    credentials = base64.b64encode(f"{client_id}:{secrets.token_hex(8)}".encode()).decode()
    form = {"grant_type": "client_credentials"}
    return await traffic.post_form(http, "/oauth2/token", form, f"Basic {credentials}")


async def send_invalid_token_request(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    form = traffic.random.choice(
        (
            {"grant_type": "authorization_code", "code": secrets.token_urlsafe(32), "client_id": "mcp-client"},
            {"grant_type": "refresh_token", "refresh_token": _made_up_token(), "client_id": secrets.token_hex(8)},
            {"grant_type": secrets.token_hex(8)},
            {secrets.token_hex(8): "x" * 5_000},
            {},
        )
    )
    path = traffic.random.choice(("/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"))
    return await traffic.post_form(http, path, form)


async def send_client_assertion(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    claims = {"iss": f"https://{secrets.token_hex(8)}.invalid/c.json", "sub": "x", "jti": secrets.token_hex(8)}
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": _token({"alg": "ES256", "kid": secrets.token_hex(4)}, claims),
    }
    return await traffic.post_form(http, "/oauth2/token", form)


async def call_with_bad_token(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    url = f"{traffic.mcp_url}{traffic.random.choice(('/mcp', '/hello', '/'))}"
    return await traffic.get(http, url, authorization=f"Bearer {_bad_token(traffic)}")


async def ask_userinfo_with_bad_token(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    return await traffic.get(http, f"{traffic.auth_url}/oauth2/userinfo", authorization=f"Bearer {_bad_token(traffic)}")


async def post_invalid_body_to_mcp(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    body = traffic.random.choice((b"", b"{", b"[" * 20_000, b"null", b'{"jsonrpc": "2.0", "id": 1.5}', b"\xff\xfe"))
    given: dict[str, str] = {"authorization": f"Bearer {_bad_token(traffic)}"} if traffic.random.random() < 0.5 else {}
    return await traffic.post_bytes(http, f"{traffic.mcp_url}/mcp", body, **given)


async def send_oversized_body(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    url = traffic.random.choice(
        (f"{traffic.mcp_url}/mcp", f"{traffic.auth_url}/oauth2/register", f"{traffic.auth_url}/oauth2/token")
    )
    return await traffic.post_bytes(http, url, _OVERSIZED_BODY)


async def send_slow_body(traffic: AnonymousTraffic, _http: httpx2.AsyncClient) -> str:
    """Begins a request, sends small parts of it, and closes the connection before the end."""
    url = httpx2.URL(traffic.random.choice((traffic.auth_url, traffic.mcp_url)))
    path = "/oauth2/token" if str(url).startswith(traffic.auth_url) else "/mcp"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost:{url.port}\r\nX-Forwarded-For: {traffic.address()}\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", url.port)
    try:
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n".encode())
        for _ in range(3):
            writer.write(b"x" * 1_000)
            await writer.drain()
            await asyncio.sleep(traffic.random.random() * _SLOW_CONNECTION_SECONDS / 3)
    finally:
        writer.transport.abort()
    return "closed"


async def begin_audit_sign_in(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    query = traffic.random.choice(("", "?language=ko", "?prompt=login"))
    return await traffic.get(http, f"{traffic.mcp_url}/audit/sign-in{query}", accept="text/html")


async def request_audit_page(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    made_up = secrets.token_hex(8)
    path = traffic.random.choice(("/audit", f"/audit/callback?code={made_up}&state={made_up}", "/audit/style.css"))
    cookie = f"mcp_audit={made_up}; __Host-mcp_audit={made_up}"
    return await traffic.get(http, f"{traffic.mcp_url}{path}", accept="text/html", cookie=cookie)


async def discover(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    base = traffic.random.choice((traffic.auth_url, traffic.mcp_url))
    path = traffic.random.choice((*_DISCOVERY_PATHS, f"/{secrets.token_hex(8)}"))
    return await traffic.get(http, f"{base}{path}", origin=f"https://{secrets.token_hex(4)}.example")


async def send_odd_headers(traffic: AnonymousTraffic, http: httpx2.AsyncClient) -> int:
    base = traffic.random.choice((traffic.auth_url, traffic.mcp_url))
    headers = {
        "host": f"{secrets.token_hex(4)}.example",
        "traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
        "accept-language": secrets.token_hex(4),
        "user-agent": secrets.token_hex(16),
        "mcp-session-id": secrets.token_hex(16),
        "mcp-protocol-version": secrets.token_hex(4),
    }
    return await traffic.get(http, f"{base}/{traffic.random.choice(('mcp', 'hello', 'oauth2/authorize'))}", **headers)


def _bad_token(traffic: AnonymousTraffic) -> str:
    """A token that is refused, each time another one and for another reason."""
    unsigned = _token({"alg": "none"}, {"sub": secrets.token_hex(4)})
    unknown_key = _token({"alg": "RS256", "kid": secrets.token_hex(8), "typ": "at+jwt"}, {"iss": traffic.auth_url})
    other_issuer = _token({"alg": "RS256", "kid": "1"}, {"iss": f"https://{secrets.token_hex(8)}.invalid"})
    shapeless = traffic.random.choice((secrets.token_urlsafe(24), "x" * 20_000, "a b, c=d"))
    return traffic.random.choice((unsigned, unknown_key, other_issuer, shapeless))


def _token(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    parts = (json.dumps(part).encode() for part in (header, claims))
    encoded = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    return f"{'.'.join(encoded)}.{secrets.token_urlsafe(256)}"


def _made_up_token() -> str:
    return f"{secrets.token_urlsafe(12)}.1.{secrets.token_urlsafe(32)}"


Send = Callable[[AnonymousTraffic, httpx2.AsyncClient], Awaitable[int | str]]

KINDS: Mapping[str, Send] = {
    send.__name__: send
    for send in (
        register,
        register_invalid,
        authorize_unknown_client,
        authorize_unreachable_document,
        authorize_known_client,
        submit_stale_page,
        send_wrong_secret,
        send_invalid_token_request,
        send_client_assertion,
        call_with_bad_token,
        ask_userinfo_with_bad_token,
        post_invalid_body_to_mcp,
        send_oversized_body,
        send_slow_body,
        begin_audit_sign_in,
        request_audit_page,
        discover,
        send_odd_headers,
    )
}
