"""A guarded application on a real socket, and an issuer."""

import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn

from local_stack.loopback_issuer import LoopbackIssuer
from security_common.guard import Guard, ProtectedResource
from security_common.tokens import TokenVerifier, TrustedIssuer, current_caller


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Responds with the body, and with the caller in a header."""
    body = (await receive())["body"]
    caller = current_caller.get()
    assert scope.get("security_common.caller") is caller
    who = f"{caller.token.subject} {caller.source_address} {caller.trace_id}" if caller else "no caller"
    headers = [(b"x-caller", who.encode()), (b"content-type", b"application/octet-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Guarded:
    """The server's address, its issuer and a client."""

    url: str
    issuer: LoopbackIssuer
    http: httpx2.AsyncClient
    resource: ProtectedResource

    def bearer(self, **changes: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {self.issuer.token(**changes)}"}


async def serve(app: Any, stack: AsyncExitStack, *, listener: socket.socket | None = None) -> str:
    """Serves until the stack closes, and returns the URL. With a listener, the lifespan of the application runs too."""
    lifespan = "on" if listener else "off"
    config = uvicorn.Config(app, port=0, lifespan=lifespan, log_level="warning", proxy_headers=False)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener] if listener else None)
    stack.push_async_callback(server.shutdown, sockets=[listener] if listener else None)
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


@pytest.fixture
async def serve_at() -> AsyncIterator[Callable[[Any, socket.socket], Awaitable[str]]]:
    """Serves an application on a socket that the test has bound, its lifespan included."""
    async with AsyncExitStack() as stack:
        yield lambda app, listener: serve(app, stack, listener=listener)


@pytest.fixture
async def guard() -> AsyncIterator[Callable[..., Any]]:
    """Starts guarded servers with an application, scopes and the options of `Guard`."""
    async with AsyncExitStack() as stack:

        async def make(
            app: Any = echo,
            *,
            scopes: tuple[str, ...] = ("mcp.access",),
            resource_url: str = "",
            audience: tuple[str, ...] = (),
            **options: Any,
        ) -> Guarded:
            issuer = await stack.enter_async_context(LoopbackIssuer(now=time.time))
            issuer.audience = resource_url or issuer.audience
            resource = ProtectedResource(issuer.audience, [issuer.url], scopes, "https://docs.example")
            # One client for both sides; it speaks plain HTTP, so loading the machine's certificates would be waste.
            http = httpx2.AsyncClient(verify=False)
            verifier = TokenVerifier([TrustedIssuer(issuer.url, audience or issuer.audience)], http=http)
            stack.push_async_callback(verifier.stop)
            url = await serve(Guard(app, verifier=verifier, resource=resource, **options), stack)
            await stack.enter_async_context(http)
            return Guarded(url, issuer, http, resource)

        yield make
