"""The guard as ASGI middleware: disconnects, ambiguous requests, start and stop."""

import asyncio
import time
from typing import Any

import httpx2
import pytest

from local_stack.loopback_issuer import LoopbackIssuer
from security_common.guard import Guard, ProtectedResource, RequestRates
from security_common.guard.refusals import InvalidToken
from security_common.guard.responses import refusal_response
from security_common.tokens import TokenVerifier, TrustedIssuer, current_caller

pytestmark = pytest.mark.anyio


@pytest.fixture
async def issuer():
    async with LoopbackIssuer(now=time.time) as issuer:
        yield issuer


@pytest.fixture
async def make(issuer):
    """Makes a guard around an application."""
    async with httpx2.AsyncClient(verify=False) as http:
        verifier = TokenVerifier([TrustedIssuer(issuer.url, issuer.audience)], http=http)
        resource = ProtectedResource(issuer.audience, [issuer.url], ["mcp.access"])
        yield lambda app, **options: Guard(app, verifier=verifier, resource=resource, **options)
        await verifier.stop()


def request(issuer: LoopbackIssuer) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {issuer.token()}".encode())],
        "client": ("127.0.0.1", 1),
    }


def saying(*messages: dict[str, Any]):
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    return receive


async def test_a_disconnected_client_gets_no_response_and_does_not_reach_the_application(make, issuer):
    reached = []

    async def app(*_: Any) -> None:
        reached.append("application")

    async def send(message: Any) -> None:
        reached.append(message)

    guard = make(app)
    gone = saying({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"})
    await guard(request(issuer), gone, send)
    assert reached == []


@pytest.mark.parametrize("lengths", [[b"ten"], [b""], [b"-1"], [b"+1"], [b"1e3"], [b"2", b"2"]])
async def test_an_ambiguous_content_length_is_refused(make, issuer, lengths):
    """Uvicorn refuses these itself; other ASGI servers may not."""
    sent = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = request(issuer)
    scope["headers"] += [(b"content-length", length) for length in lengths]
    await make(app=None)(scope, saying(), send)
    assert sent[0]["status"] == 400


async def test_the_current_caller_is_reset_after_the_request(make, issuer):
    observed = []

    async def app(*_: Any) -> None:
        observed.append(current_caller.get())

    async def send(_: Any) -> None: ...

    guard = make(app)
    await guard(request(issuer), saying({"type": "http.request", "body": b""}), send)
    assert [caller.token.subject for caller in observed] == ["u_tester"]
    assert current_caller.get() is None


async def test_background_tasks_start_and_stop_with_the_application(make, issuer, redis):
    work = {"TokenVerifier._keep_fresh", "RequestRates._keep_sharing"}

    def running() -> set[str]:
        return work & {task.get_coro().__qualname__ for task in asyncio.all_tasks()}

    async def app(_: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        assert running() == set()
        await send({"type": "lifespan.startup.complete"})
        assert running() == work
        assert (await receive())["type"] == "lifespan.shutdown"
        assert running() == set()
        observed.append("everything")

    async def send(_: Any) -> None: ...

    observed: list[str] = []
    guard = make(app, rates=RequestRates(redis=redis))
    await guard({"type": "lifespan"}, saying({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}), send)
    assert observed == ["everything"]


def test_a_challenge_is_one_header_line():
    resource = ProtectedResource("http://localhost:8082/mcp", ["http://localhost:8081"])
    response = refusal_response(InvalidToken('it says "x"\r\nset-cookie: y'), resource)
    challenge = dict(response.headers)[b"www-authenticate"]
    assert b'error_description="it says \\"x\\"set-cookie: y"' in challenge
