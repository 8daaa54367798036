"""An issuer on loopback that signs any token and can give wrong answers. It uses sockets and no web framework."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from types import TracebackType
from typing import Any, Self, TypeAlias

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, OKPKey, RSAKey

__all__ = [
    "Answerer",
    "LoopbackIssuer",
    "Signer",
    "base64url",
    "compact",
    "http_answer",
    "private_key",
    "rs256",
    "signing_key",
]

Signer: TypeAlias = Callable[[bytes], bytes]
Answerer: TypeAlias = Callable[[Mapping[str, str], asyncio.StreamWriter], Awaitable[None]]
METADATA_PATH, KEYS_PATH = "/.well-known/oauth-authorization-server", "/keys"
OPENID_PATH = "/.well-known/openid-configuration"


@cache
def signing_key(name: str) -> RSAKey:
    """An RSA key by name, generated once per process because generating a key is slow."""
    return RSAKey.generate_key(2048, parameters={"kid": name})


def rs256(key: str) -> Signer:
    """Signs as a correct issuer does, with the key of that name."""
    return lambda signed: private_key(key).sign(signed, PKCS1v15(), SHA256())


def private_key(name: str) -> RSAPrivateKey:
    """The private half of `signing_key`, for signatures that a library would not make."""
    key = signing_key(name).private_key
    if key is None:
        raise ValueError(f"{name} has no private half")
    return key


def compact(header: bytes, payload: bytes, sign: Signer) -> str:
    """A compact JWS of any bytes. Libraries refuse to create most of the tokens that the tests need."""
    signed = b".".join(map(base64url, (header, payload)))
    return b".".join((signed, base64url(sign(signed)))).decode()


def base64url(raw: bytes) -> bytes:
    """Base64url without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(raw).rstrip(b"=")


class LoopbackIssuer:
    """Publishes metadata and `keys`. `answers` replaces the response of a path; `requests` counts requests by path.

    An answer gets the headers of the request, with `:path` and `:body`.

    `path` is the part of the issuer identifier after the port: a slash, as Auth0 uses, or a tenant or realm.
    Such an issuer publishes its metadata below its own path, as OpenID providers do.
    """

    def __init__(
        self, audience: str = "http://localhost:8082/mcp", *, path: str = "", now: Callable[[], float]
    ) -> None:
        self.audience = audience
        self.path = path
        self.now = now
        self.url = ""
        self.keys: dict[str, RSAKey | ECKey | OKPKey] = {"first": signing_key("first")}
        self.answers: dict[str, Answerer] = {}
        self.requests: Counter[str] = Counter()
        self.cache_control = "max-age=300"
        self._port: int = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._request_arrived = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Starts on a free port."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the server."""
        await self.stop()

    async def start(self) -> None:
        """Listens on a free port; a second start uses the same port again."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Stops listening and closes all connections."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def wait_for_requests(self, path: str, times: int = 1) -> None:
        """Waits until the path has been requested that many times in total."""
        while self.requests[path] < times:
            self._request_arrived.clear()
            await self._request_arrived.wait()

    @property
    def issuer(self) -> str:
        """The issuer identifier."""
        return self.url + self.path

    def metadata(self) -> dict[str, Any]:
        """Valid authorization server metadata."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}{KEYS_PATH}",
        }

    def jwks(self) -> dict[str, Any]:
        """The key set with the public half of each of `keys`."""
        return {"keys": [key.as_dict(private=False, kid=kid, use="sig") for kid, key in self.keys.items()]}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Valid claims with these changes; a change to None removes a claim."""
        now = int(self.now())
        claims = {
            "iss": self.issuer,
            "sub": "u_tester",
            "aud": self.audience,
            "client_id": "test-client",
            "scope": "mcp.access",
            "iat": now,
            "exp": now + 1800,
            "jti": "one",
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, *, key: str = "first", header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """A signed token that is valid except for the changes."""
        return self.sign(json.dumps(self.claims(**changes)).encode(), key=key, header=header)

    def sign(self, payload: bytes, *, key: str = "first", header: Mapping[str, Any] | None = None) -> str:
        """A token with any payload, signed with the key of that name, which need not be published."""
        members = {"alg": "RS256", "typ": "at+jwt", "kid": key} | dict(header or {})
        members = {name: value for name, value in members.items() if value is not None}
        return compact(json.dumps(members).encode(), payload, rs256(key))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            path = head[0].split(" ")[1]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.requests[path] += 1
            self._request_arrived.set()
            received = {**headers, ":path": path, ":body": body.decode("latin-1")}
            await self.answers.get(path, self._answer)(received, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client disconnected, or the test has ended: both are expected.
            return
        finally:
            writer.close()

    async def _answer(self, headers: Mapping[str, str], writer: asyncio.StreamWriter) -> None:
        metadata_path = self.path.removesuffix("/") + OPENID_PATH if self.path else METADATA_PATH
        document = {metadata_path: self.metadata, KEYS_PATH: self.jwks}.get(headers[":path"])
        if document is None:
            writer.write(http_answer(b"", status="404 Not Found"))
            return
        body = json.dumps(document()).encode()
        writer.write(http_answer(body, cache_control=self.cache_control))


def http_answer(body: bytes, *, status: str = "200 OK", **headers: str) -> bytes:
    """A complete HTTP/1.1 response; the argument `cache_control` becomes the header Cache-Control."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
