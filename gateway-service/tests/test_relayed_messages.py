"""Progress and log messages on their way to the client, and calls that are cancelled."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from upstream_servers import EMAIL, PHONE, STREAM_HEAD, TEXT_RESULT, RawUpstream, event, json_response

pytestmark = pytest.mark.anyio

META = "io.modelcontextprotocol/"
BOTH = "application/json, text/event-stream"
Request = Mapping[str, Any]


def progress(request: Request, **members: Any) -> bytes:
    token = request["params"]["_meta"]["progressToken"]
    params = {"progressToken": token, **members}
    return event({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})


def log(level: Any, data: Any, **members: Any) -> bytes:
    params = {"level": level, "data": data, **members}
    return event({"jsonrpc": "2.0", "method": "notifications/message", "params": params})


def answer(request: Request) -> bytes:
    return event({"jsonrpc": "2.0", "id": request["id"], "result": TEXT_RESULT})


class Streaming:
    """A gateway in front of an upstream that answers calls with event streams."""

    def __init__(self, gateway: Any, upstream: RawUpstream) -> None:
        self.gateway = gateway
        self.upstream = upstream

    async def call(
        self, *, stateless: bool = True, accept: str = BOTH, **metadata: Any
    ) -> tuple[str, list[dict[str, Any]]]:
        """The media type of the response, and its messages."""
        own = {f"{META}protocolVersion": "2026-07-28", f"{META}clientCapabilities": {}} if stateless else {}
        params = {"name": "crm_act", "arguments": {}, "_meta": {**own, **metadata}}
        headers = {"accept": accept, "authorization": f"Bearer {self.gateway.token()}"}
        if stateless:
            headers |= {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "crm_act"}
        body = {"jsonrpc": "2.0", "id": "call-1", "method": "tools/call", "params": params}
        response = await self.gateway.http.post(self.gateway.mcp_url(), json=body, headers=headers)
        assert response.status_code == 200
        media_type = response.headers["content-type"]
        if media_type == "application/json":
            return media_type, [response.json()]
        lines = response.text.split("\n")
        return media_type, [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


@pytest.fixture
async def streaming(start_gateway: Callable[..., Any]) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def start(respond: Callable[[Request], bytes], policy: str = "mask", **members: Any) -> Streaming:
            async def write(request: Request, writer: asyncio.StreamWriter) -> None:
                writer.write(STREAM_HEAD + respond(request))
                await writer.drain()
                writer.close()

            upstream = await stack.enter_async_context(RawUpstream(write))
            gateway = await start_gateway({"crm": {"url": upstream.url, "policy": policy, **members}})
            await gateway.wait_until_listed("crm")
            return Streaming(gateway, upstream)

        yield start


@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize(("token", "accept"), [("p-1", BOTH), (7, "text/event-stream"), (0, BOTH)])
async def test_progress_has_the_token_of_the_client(
    streaming: Callable[..., Any], stateless: bool, token: str | int, accept: str
) -> None:
    def respond(request: Request) -> bytes:
        return progress(request, progress=1, total=2) + progress(request, progress=2.50, message="b") + answer(request)

    running = await streaming(respond)
    media_type, messages = await running.call(stateless=stateless, accept=accept, progressToken=token)
    assert media_type == "text/event-stream"
    assert [message.get("params") for message in messages[:-1]] == [
        {"progressToken": token, "progress": 1, "total": 2},
        {"progressToken": token, "progress": 2.5, "message": "b"},
    ]
    assert messages[-1]["id"] == "call-1"
    assert messages[-1]["result"]["content"] == TEXT_RESULT["content"]
    assert running.upstream.requests[-1]["params"]["_meta"]["progressToken"] != token


async def test_a_client_that_did_not_ask_gets_one_document(streaming: Callable[..., Any]) -> None:
    def respond(request: Request) -> bytes:
        return log("error", "failed") + answer(request)

    running = await streaming(respond)
    media_type, messages = await running.call()
    assert (media_type, len(messages)) == ("application/json", 1)
    assert "progressToken" not in running.upstream.requests[-1]["params"]["_meta"]


async def test_log_messages_from_the_level_that_the_client_names(streaming: Callable[..., Any]) -> None:
    def respond(request: Request) -> bytes:
        levels = ("debug", "info", "warning", "emergency", "verbose", 7, ["error"])
        return b"".join(log(level, "a", logger="l") for level in levels) + answer(request)

    running = await streaming(respond)
    _, messages = await running.call(**{f"{META}logLevel": "warning"})
    assert [message["params"] for message in messages[:-1]] == [
        {"level": level, "data": "a", "logger": "l"} for level in ("warning", "emergency")
    ]
    assert running.upstream.requests[-1]["params"]["_meta"][f"{META}logLevel"] == "warning"
    _, messages = await running.call(stateless=False)
    assert [message["params"]["level"] for message in messages[:-1]] == ["info", "warning", "emergency"]
    assert running.upstream.requests[-1]["params"]["_meta"][f"{META}logLevel"] == "info"
    _, messages = await running.call(**{f"{META}logLevel": "all"})
    assert len(messages) == 1


@pytest.mark.parametrize("policy", ["mask", "tokenize", "encrypt", "reject", "observe"])
async def test_personal_data_in_messages_is_masked_and_recorded(streaming: Callable[..., Any], policy: str) -> None:
    def respond(request: Request) -> bytes:
        return (
            progress(request, progress=1, message=f"calling {PHONE}")
            + log("info", {"to": [EMAIL], PHONE: 1}, logger=EMAIL)
            + answer(request)
        )

    running = await streaming(respond, policy)
    _, messages = await running.call(progressToken=1, **{f"{META}logLevel": "info"})
    assert len(messages) == 3
    sent = json.dumps(messages)
    assert (PHONE in sent, EMAIL in sent) == (policy == "observe",) * 2
    (recorded,) = running.gateway.events()
    assert recorded["contains_pii"] is True
    assert set(recorded["pii_kinds"]) == {"PHONE", "EMAIL"}
    assert PHONE not in str(recorded)


async def test_what_is_not_progress_of_this_call_is_left_out(streaming: Callable[..., Any]) -> None:
    def respond(request: Request) -> bytes:
        token = request["params"]["_meta"]["progressToken"]
        foreign = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token + 1}}
        return (
            event(foreign)
            + progress(request, progress="1")
            + progress(request, progress=True)
            + progress(request, progress=2, total="x")
            + progress(request, progress=2)
            + progress(request, progress=2)
            + progress(request, progress=1)
            + progress(request, progress=3, message=["m"])
            + event({"jsonrpc": "2.0", "method": "notifications/other", "params": {"a": PHONE}})
            + event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info"}})
            + answer(request)
        )

    running = await streaming(respond)
    _, messages = await running.call(progressToken=1, **{f"{META}logLevel": "debug"})
    assert [message["params"]["progress"] for message in messages[:-1]] == [2, 3]
    assert "message" not in messages[1]["params"]


async def test_a_failure_after_the_first_message_ends_the_stream_with_it(streaming: Callable[..., Any]) -> None:
    running = await streaming(lambda request: progress(request, progress=1))
    _, messages = await running.call(progressToken=1)
    assert messages[-1]["result"]["isError"] is True
    assert running.gateway.events()[-1]["reason"] == "upstream_protocol"


async def test_too_many_messages_end_the_call(streaming: Callable[..., Any]) -> None:
    def respond(request: Request) -> bytes:
        return b"".join(progress(request, progress=number) for number in range(5000)) + answer(request)

    running = await streaming(respond)
    _, messages = await running.call(progressToken=1)
    assert len(messages) < 2500  # 100, and 100 more for each second that the gateway needed
    assert messages[-1]["result"]["isError"] is True
    assert running.gateway.events()[-1]["reason"] == "upstream_protocol"


async def test_a_message_that_cannot_be_searched_is_left_out(streaming: Callable[..., Any]) -> None:
    def respond(request: Request) -> bytes:
        return log("info", "word " * 450_000) + log("info", "short") + answer(request)

    running = await streaming(respond, result_limit="8MiB")
    _, messages = await running.call(**{f"{META}logLevel": "info"})
    assert [message["params"]["data"] for message in messages[:-1]] == ["short"]
    assert messages[-1]["result"]["content"] == TEXT_RESULT["content"]


async def test_progress_counts_as_a_sign_of_life(start_gateway: Callable[..., Any]) -> None:
    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        for number in range(6):
            writer.write(progress(request, progress=number))
            await writer.drain()
            await asyncio.sleep(0.3)
        writer.write(answer(request))
        await writer.drain()
        writer.close()

    async with RawUpstream(respond) as upstream:
        gateway = await start_gateway({"crm": {"url": upstream.url, "timeout": "1s"}})
        await gateway.wait_until_listed("crm")
        _, messages = await Streaming(gateway, upstream).call(progressToken=1)
    assert messages[-1]["result"]["content"] == TEXT_RESULT["content"]


async def test_a_number_arrives_as_it_was_written(streaming: Callable[..., Any], start_gateway: Any) -> None:
    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        result = json_response(request, {"content": [], "structuredContent": {"price": 4711, "phone": PHONE}})
        writer.write(result.replace(b"4711", b"1.10"))

    async with RawUpstream(respond) as upstream:
        gateway = await start_gateway({"crm": {"url": upstream.url, "policy": "mask"}})
        await gateway.wait_until_listed("crm")
        params = f'{{"name":"crm_act","arguments":{{"amount":2.50,"note":"{PHONE}"}}}}'
        headers = {"authorization": f"Bearer {gateway.token()}", "content-type": "application/json"}
        body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'
        response = await gateway.http.post(gateway.mcp_url(), content=body, headers=headers)
    assert '"structuredContent":{"price":1.10,"phone":"010-****-5678"}' in response.text
    assert b'"amount":2.50,"note":"010-****-5678"' in upstream.bodies[-1]


def cancelled(request_id: Any) -> bytes:
    message = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request_id}}
    return json.dumps(message).encode()


async def never(_: Request, writer: asyncio.StreamWriter) -> None:
    del writer
    await asyncio.sleep(60)


async def test_a_client_of_an_older_version_cancels_its_own_call_only(start_gateway: Callable[..., Any]) -> None:
    async with RawUpstream(never) as upstream:
        gateway = await start_gateway({"crm": {"url": upstream.url, "timeout": "60s"}})
        await gateway.wait_until_listed("crm")
        token = gateway.token()
        call = asyncio.create_task(gateway.call("crm_act", stateless=False, token=token))
        await upstream.wait_for_calls()
        for request_id, by in ((8, token), ("7", token), (7, gateway.token(sub="u_other")), (None, token)):
            await gateway.post(cancelled(request_id), {}, token=by)
        assert not call.done()
        assert gateway.events() == []
        accepted = await gateway.post(cancelled(7), {}, token=token)
        assert accepted.status == 202
        ended = await call
        assert (ended.status, ended.message) == (202, None)
        recorded = await gateway.wait_for_event()
    assert (recorded["outcome"], recorded["reason"]) == ("failure", "cancelled")


async def test_an_id_that_two_calls_have_cancels_neither(start_gateway: Callable[..., Any]) -> None:
    async with RawUpstream(never) as upstream:
        gateway = await start_gateway({"crm": {"url": upstream.url, "timeout": "60s"}})
        await gateway.wait_until_listed("crm")
        token = gateway.token()
        calls = [asyncio.create_task(gateway.call("crm_act", stateless=False, token=token)) for _ in range(2)]
        await upstream.wait_for_calls(2)
        await gateway.post(cancelled(7), {}, token=token)
        assert not any(call.done() for call in calls)
        assert gateway.events() == []
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
