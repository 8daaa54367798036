"""An issuer on loopback that signs whatever a test asks for, and misbehaves on demand. Real sockets, no framework."""

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
    """An RSA key by name, made once a process: making one takes longer than most tests."""
    return RSAKey.generate_key(2048, parameters={"kid": name})


def rs256(key: str) -> Signer:
    """Signs as an honest issuer does, with a key by name."""
    return lambda signed: private_key(key).sign(signed, PKCS1v15(), SHA256())


def private_key(name: str) -> RSAPrivateKey:
    """The private half of `signing_key`, for signatures that a library would not make."""
    key = signing_key(name).private_key
    if key is None:
        raise ValueError(f"{name} has no private half")
    return key


def compact(header: bytes, payload: bytes, sign: Signer) -> str:
    """A compact JWS of any bytes at all: a library would refuse to make most of what the tests need."""
    signed = b".".join(map(base64url, (header, payload)))
    return b".".join((signed, base64url(sign(signed)))).decode()


def base64url(raw: bytes) -> bytes:
    """Without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(raw).rstrip(b"=")


class LoopbackIssuer:
    """Publishes `keys` and answers for them; `answers` replaces what a path says. `asked` counts requests by path.

    `path` is what its name has behind the port: a slash, as Auth0 writes itself, or the path of a tenant or realm. Such
    an issuer publishes its metadata as OpenID providers do, at the end of its own path.
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
        self.asked: Counter[str] = Counter()
        self.cache_control = "max-age=300"
        self._port: int = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._asked = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Starts on a free port."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops, whatever is under way."""
        await self.stop()

    async def start(self) -> None:
        """Listens; a second start comes back at the same address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Refuses connections from now on and drops those it has."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def asked_for(self, path: str, times: int = 1) -> None:
        """Until the path has been asked for so many times in all."""
        while self.asked[path] < times:
            self._asked.clear()
            await self._asked.wait()

    @property
    def issuer(self) -> str:
        """What it calls itself."""
        return self.url + self.path

    def metadata(self) -> dict[str, Any]:
        """What a good issuer says of itself."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}{KEYS_PATH}",
        }

    def jwks(self) -> dict[str, Any]:
        """The public keys, as `keys` has them now."""
        return {"keys": [key.as_dict(private=False, kid=kid, use="sig") for kid, key in self.keys.items()]}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Good claims; a change to None leaves a claim out."""
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
        """A signed token, good but for the changes."""
        return self.sign(json.dumps(self.claims(**changes)).encode(), key=key, header=header)

    def sign(self, payload: bytes, *, key: str = "first", header: Mapping[str, Any] | None = None) -> str:
        """A token with any payload, signed with a key by name, published or not."""
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
            self.asked[path] += 1
            self._asked.set()
            await self.answers.get(path, self._answer)({**headers, ":path": path}, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # A client that leaves and a test that ends are both as they should be.
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
    """A whole HTTP/1.1 answer; `cache_control` becomes Cache-Control."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
