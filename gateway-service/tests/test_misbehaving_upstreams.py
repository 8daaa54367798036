"""Upstreams that are down, slow or break the protocol: what the client gets, and what is recorded."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from upstream_servers import EMAIL, PHONE, STREAM_HEAD, TEXT_RESULT, RawUpstream, event, http_response, json_response

pytestmark = pytest.mark.anyio

MARK = "words of the upstream"
NOTIFICATION = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": MARK}}

Request = Mapping[str, Any]


def answer_to(request: Request, **changes: Any) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": request["id"], "result": TEXT_RESULT} | changes
    return {name: value for name, value in message.items() if value is not None}


def document(**changes: Any) -> Callable[[Request], bytes]:
    """A response whose message is correct except for these members."""
    return lambda request: http_response(json.dumps(answer_to(request, **changes)).encode())


def body(raw: bytes, *, status: str = "200 OK", **headers: str) -> Callable[[Request], bytes]:
    return lambda _: http_response(raw, status=status, **headers)


def stream(*parts: bytes) -> Callable[[Request], bytes]:
    return lambda _: STREAM_HEAD + b"".join(parts)


def question(method: str) -> bytes:
    return event({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": MARK}})


def redirect(target: str) -> Callable[[Request], bytes]:
    return body(b"", status="307 Temporary Redirect", location=target)


NOT_THE_PROTOCOL: dict[str, Callable[[Request], bytes]] = {
    "another id": document(id=4711),
    "id as text": lambda request: http_response(json.dumps(answer_to(request, id=str(request["id"]))).encode()),
    "neither result nor error": document(result=None),
    "result and error": document(error={"code": 1, "message": MARK}),
    "result is a list": document(result=[MARK]),
    "result is a text": document(result=MARK),
    "result without content": document(result={"text": MARK}),
    "content is a text": document(result={"content": MARK}),
    "isError is a text": document(result={"content": [], "isError": MARK}),
    "input request without content": document(result={"resultType": "input_required", "note": MARK}),
    "malformed error": document(result=None, error={"code": "x", "message": MARK}),
    "error code that is true": document(result=None, error={"code": True, "message": MARK}),
    "error code of 400 digits": document(result=None, error={"code": 10**399, "message": MARK}),
    "error is a text": document(result=None, error=MARK),
    "not JSON": body(f"<html>{MARK}</html>".encode()),
    "not UTF-8": body(b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"text":"\xff"}]}}'),
    "not finite": body(b'{"jsonrpc":"2.0","id":1,"result":{"content":[],"n":1e400}}'),
    "member twice": body(b'{"jsonrpc":"2.0","id":1,"id":2,"result":{}}'),
    "too deep": body(b"[" * 1000 + b"]" * 1000),
    "a list": body(b"[]"),
    "no body": body(b""),
    "accepted without an answer": body(b"", status="202 Accepted"),
    "compressed": body(b"\x1f\x8b" + bytes(20), content_encoding="gzip"),
    "page with an error": body(MARK.encode(), status="404 Not Found", content_type="text/html"),
    "redirect": redirect("http://127.0.0.1:1/mcp"),
    "redirect within the server": redirect("/other"),
    "not HTTP": lambda _: f"{MARK}\r\n\r\n".encode(),
    "too large": body(b'{"jsonrpc":"2.0","id":1,"result":"' + b"x" * 100_000 + b'"}'),
    "half a document": lambda _: http_response(b'{"jsonrpc"', content_length="1000") + b"",
    "stream without an answer": stream(event(NOTIFICATION)),
    "half an event": stream(b"data: {"),
    "empty stream": stream(),
    "stream that is not JSON": stream(f"data: {MARK}\n\n".encode()),
    "too many notifications": stream(event(NOTIFICATION) * 300),
    "too large a stream": stream(b": " + b"x" * 100_000),
    "one endless line": stream(b"data: " + b"x" * 100_000),
    "question in the stream": stream(question("elicitation/create")),
    "sampling in the stream": stream(question("sampling/createMessage")),
    "something else in the stream": stream(event({"jsonrpc": "2.0"})),
}


# For upstreams that answer too late. A shorter time could also end an answer in time on a slow machine.
GIVES_UP_SOON = {"timeout": "1s", "longest": "3s"}


class Misbehaving:
    """A gateway in front of one upstream with the tool `act`."""

    def __init__(self, gateway: Any, upstream: RawUpstream) -> None:
        self.gateway = gateway
        self.upstream = upstream

    async def refusal(self) -> tuple[str, dict[str, Any]]:
        """The text of the result of a call that fails, and its audit event."""
        answer = await self.gateway.call("crm_act")
        assert (answer.status, answer.result["isError"]) == (200, True)
        assert "structuredContent" not in answer.result
        assert MARK not in str(answer.message)
        return answer.text, self.gateway.events()[-1]


@pytest.fixture
async def misbehaving(start_gateway: Callable[..., Any]) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def start(respond: Callable[[Request], bytes], **members: Any) -> Misbehaving:
            async def write(request: Request, writer: asyncio.StreamWriter) -> None:
                writer.write(respond(request))
                await writer.drain()
                if not respond(request).startswith(b"HTTP/1.1 200 OK\r\ncontent-type: application/json"):
                    writer.close()

            upstream = await stack.enter_async_context(RawUpstream(write))
            limits = {"timeout": "60s", "longest": "60s", "result_limit": "64KiB"}
            gateway = await start_gateway({"crm": {"url": upstream.url, **limits, **members}})
            await gateway.wait_until_listed("crm")
            return Misbehaving(gateway, upstream)

        yield start


@pytest.mark.parametrize("kind", NOT_THE_PROTOCOL)
async def test_an_answer_that_the_protocol_forbids_is_not_passed_on(misbehaving: Callable[..., Any], kind: str) -> None:
    is_unfinished = kind == "half a document"
    running = await misbehaving(NOT_THE_PROTOCOL[kind], **(GIVES_UP_SOON if is_unfinished else {}))
    text, recorded = await running.refusal()
    reason = "upstream_timeout" if is_unfinished else "upstream_protocol"
    assert text.startswith(f"{reason}: crm ")
    assert (recorded["outcome"], recorded["reason"], recorded["tool_name"]) == ("failure", reason, "crm_act")
    assert MARK not in str(recorded)


async def test_a_stream_with_notifications_before_the_answer_is_read(misbehaving: Callable[..., Any]) -> None:
    def respond(request: Request) -> bytes:
        return STREAM_HEAD + b": comment\r\n\r\n" + event(NOTIFICATION) * 3 + event(answer_to(request))

    running = await misbehaving(respond)
    assert (await running.gateway.call("crm_act")).text == "done"


@pytest.mark.parametrize(("code", "expected"), [(-32001, -32001), (-32602, -32602), (-32050, -32603), (42, 42)])
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "404 Not Found"])
async def test_an_error_of_the_protocol_keeps_its_code_and_not_its_personal_data(
    misbehaving: Callable[..., Any], code: int, expected: int, status: str
) -> None:
    def respond(request: Request) -> bytes:
        error = {"code": code, "message": f"cannot reach {EMAIL}", "data": {"phone": PHONE}}
        return http_response(json.dumps(answer_to(request, result=None, error=error)).encode(), status=status)

    running = await misbehaving(respond, policy="mask")
    answer = await running.gateway.call("crm_act")
    assert (answer.status, answer.error["code"]) == (200, expected)
    assert answer.error["data"] == {"phone": "010-****-5678"}
    assert EMAIL not in str(answer.message)
    assert running.gateway.events()[-1]["reason"] == "upstream_error"


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_a_challenge_of_an_upstream_does_not_reach_the_client(
    misbehaving: Callable[..., Any], status: str
) -> None:
    """A client would sign in again with the gateway's issuer, without an effect."""
    challenge = 'Bearer resource_metadata="https://other.example"'
    running = await misbehaving(body(b"", status=status, www_authenticate=challenge))
    text, recorded = await running.refusal()
    assert "does not accept the credential of the gateway" in text
    assert recorded["reason"] == "upstream_refused_credential"


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Error", "502 Error", "503 Error", "504 Error"])
async def test_an_overloaded_upstream_is_unavailable(misbehaving: Callable[..., Any], status: str) -> None:
    running = await misbehaving(body(MARK.encode(), status=status))
    text, recorded = await running.refusal()
    assert text == "upstream_unavailable: crm is unavailable (try again in 10 seconds)"
    assert recorded["reason"] == "upstream_unavailable"


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Error"])
async def test_calls_that_are_not_served_do_not_keep_others_from_the_upstream(
    misbehaving: Callable[..., Any], status: str
) -> None:
    running = await misbehaving(body(b"", status=status))
    for _ in range(6):
        await running.refusal()
    assert running.upstream.calls == 6


async def test_a_silent_upstream_is_given_up(misbehaving: Callable[..., Any]) -> None:
    running = await misbehaving(lambda _: b"", **GIVES_UP_SOON)
    running.upstream.respond = _never
    text, recorded = await running.refusal()
    assert text == "upstream_timeout: crm did not answer in time (the call may have had an effect)"
    assert recorded["reason"] == "upstream_timeout"


async def test_an_upstream_that_only_keeps_the_connection_open_is_given_up(misbehaving: Callable[..., Any]) -> None:
    async def comment_forever(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        while True:
            writer.write(b": still there\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.2)

    running = await misbehaving(lambda _: b"", timeout="1s", longest="2s")
    running.upstream.respond = comment_forever
    _, recorded = await running.refusal()
    assert recorded["reason"] == "upstream_timeout"


async def test_a_dead_upstream_is_not_called_for_a_while(misbehaving: Callable[..., Any]) -> None:
    running = await misbehaving(document())
    await running.upstream.stop()
    reasons = [(await running.refusal())[1]["reason"] for _ in range(7)]
    assert reasons == ["upstream_unavailable"] * 7
    await running.upstream.start()
    await running.refusal()  # refused at once: the circuit is open
    assert running.upstream.calls == 0
    assert await running.gateway.tool_names() == ["crm_act"]  # the list is known


async def test_more_calls_than_allowed_are_refused_at_once(misbehaving: Callable[..., Any]) -> None:
    running = await misbehaving(lambda _: b"", in_flight=2, timeout="2s")
    running.upstream.respond = _never
    calls = [asyncio.create_task(running.gateway.call("crm_act")) for _ in range(2)]
    await running.upstream.wait_for_calls(2)
    text, recorded = await running.refusal()
    assert text.startswith("upstream_busy: crm has too many calls in progress")
    assert recorded["reason"] == "upstream_busy"
    assert [(await call).text.split(":")[0] for call in calls] == ["upstream_timeout"] * 2


async def test_a_call_is_sent_once(misbehaving: Callable[..., Any]) -> None:
    """Whether the upstream has executed it is not known, so it must not be repeated."""
    running = await misbehaving(lambda _: b"")
    running.upstream.respond = _hang_up
    await running.refusal()
    assert running.upstream.calls == 1


async def test_a_client_that_goes_away_cancels_its_call(misbehaving: Callable[..., Any]) -> None:
    running = await misbehaving(lambda _: b"")
    running.upstream.respond = _never
    call = asyncio.create_task(running.gateway.call("crm_act"))
    await running.upstream.wait_for_calls()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    recorded = await running.gateway.wait_for_event()
    assert (recorded["outcome"], recorded["reason"]) == ("failure", "cancelled")


async def test_an_upstream_that_was_never_reached_is_unavailable_and_the_others_are_not(
    start_gateway: Callable[..., Any],
) -> None:
    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(json_response(request, TEXT_RESULT))

    async with RawUpstream(respond) as files:
        gateway = await start_gateway(
            {"crm": {"url": "http://127.0.0.1:1/mcp", "tools": {"find": {}, "*": {}}}, "files": {"url": files.url}}
        )
        await gateway.wait_until_listed("files")
        listed = (await gateway.request("tools/list")).result
        assert [tool["name"] for tool in listed["tools"]] == ["files_act"]
        assert listed["_meta"] == {"mcp-oauth2-gateway/unavailable": ["crm"]}
        assert listed["ttlMs"] == 0
        for name in ("crm_find", "crm_other"):
            answer = await gateway.call(name)
            assert answer.text == "upstream_unavailable: crm is unavailable (try again in 10 seconds)"
            assert gateway.events()[-1]["reason"] == "upstream_unavailable"
        assert (await gateway.call("files_act")).text == "done"
        readiness = await gateway.http.get(f"{gateway.url}/readyz")
        assert readiness.status_code == 200
        assert readiness.json()["checks"]["upstream:crm"] == {"ok": False, "note": "crm is unavailable"}


async def test_more_data_than_may_wait_for_the_search_is_a_503_and_recorded(
    misbehaving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECURITY_PII_SEARCH_MAX_CHARACTERS_PER_CALLER", "2000000")
    sizes = {"characters": 900_000}

    def respond(request: Request) -> bytes:
        text = {"type": "text", "text": "word " * (sizes["characters"] // 5)}
        return http_response(json.dumps(answer_to(request, result={"content": [text]})).encode())

    running = await misbehaving(respond, result_limit="4MiB")
    answers = await asyncio.gather(*[running.gateway.call("crm_act") for _ in range(4)])
    refused = [answer for answer in answers if answer.status == 503]
    assert refused
    for answer in refused:
        assert answer.headers["retry-after"] == "5"
        assert answer.error["data"] == {"error": "search_queue_full"}
    reasons = [recorded.get("reason") for recorded in running.gateway.events()]
    assert (len(reasons), reasons.count("search_queue_full")) == (4, len(refused))
    sizes["characters"] = 2_500_000
    text, recorded = await running.refusal()
    assert text.startswith("too_much_data")
    assert (recorded["outcome"], recorded["reason"]) == ("refused", "too_much_data")


async def _never(_: Request, writer: asyncio.StreamWriter) -> None:
    del writer
    await asyncio.sleep(60)


async def _hang_up(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.close()
