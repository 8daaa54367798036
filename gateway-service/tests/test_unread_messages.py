"""What the gateway writes to a program that does not read it is limited, and what the lines of a program cost."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from upstream_servers import PHONE

from gateway_service.declaration import ProgramDeclaration, ToolRule, UpstreamDeclaration
from gateway_service.upstreams.errors import UpstreamProtocolViolation, UpstreamTimeout
from gateway_service.upstreams.program_process import MAX_LOGGED_CHARACTERS, ProgramProcess, log_lines
from gateway_service.upstreams.stdio_transport import MAX_UNREAD_BYTES, StdioConnection
from gateway_service.upstreams.transport import OutgoingRequest
from security_common.tool_policy.policy import PIIPolicy

pytestmark = pytest.mark.anyio

RULE = ToolRule(arguments=PIIPolicy.OBSERVE, result=PIIPolicy.OBSERVE)
MEBIBYTE = 1024 * 1024
Running = tuple[StdioConnection, Callable[[], int], list[str]]
NEVER_READS = "import time; time.sleep(600)"
EMPTY_LINES = r"import time; print('\n' * 5000, flush=True); time.sleep(600)"
LATE_ANSWERS = """
import json, sys
requests = []
while len(requests) < 4:
    message = json.loads(sys.stdin.readline())
    if "id" in message:
        requests.append(message["id"])
for message_id in requests:
    print(json.dumps({"jsonrpc": "2.0", "id": message_id, "result": {}}), flush=True)
sys.stdin.read()
"""
LONG_ID = """
import time
print('{"jsonrpc": "2.0", "method": "ping", "id": "%s"}' % ("a" * 1000), flush=True)
time.sleep(600)
"""


def request(message_id: int, size_bytes: int) -> OutgoingRequest:
    params = {"name": "t", "arguments": {"a": "x" * size_bytes}}
    return OutgoingRequest(id=message_id, method="tools/call", params=params, is_stateless=True, owner="u")


@asynccontextmanager
async def running(folder: Path, script: str, silent_seconds: float) -> AsyncIterator[Running]:
    """The connection with a program, how much the program has left unread, and what was reported about its end."""
    program = ProgramDeclaration(command=(sys.executable, "-c", script), folder=folder)
    declaration = UpstreamDeclaration(name="crm", program=program, default_rule=RULE, silent_seconds=silent_seconds)
    process = await ProgramProcess.start("crm", program, sandbox=[], mask=str)
    ended: list[str] = []
    connection = StdioConnection(
        declaration, process, is_shared=False, on_list_change=ended.append, on_end=lambda: ended.append("ended")
    )
    try:
        yield connection, process.stdin.transport.get_write_buffer_size, ended
    finally:
        await connection.close()


async def test_abandoned_calls_of_a_program_that_does_not_read_do_not_add_up(tmp_path: Path) -> None:
    async with running(tmp_path, NEVER_READS, 60) as (connection, unread, _):
        for message_id in range(1, 20):
            call = asyncio.create_task(connection.request(request(message_id, MEBIBYTE)))
            for _ in range(3):  # until it waits for the program
                await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert MAX_UNREAD_BYTES < unread() < MAX_UNREAD_BYTES + 2 * MEBIBYTE
        assert not connection.is_closed


async def test_a_program_that_leaves_too_much_unread_is_ended(tmp_path: Path) -> None:
    async with running(tmp_path, NEVER_READS, 0.5) as (connection, _, ended):
        with pytest.raises(UpstreamTimeout):
            await connection.request(request(1, MEBIBYTE))
        assert not connection.is_closed
        with pytest.raises(UpstreamTimeout):
            await connection.request(request(2, MAX_UNREAD_BYTES))
        assert connection.is_closed
        assert ended == ["ended"]


async def test_the_id_of_a_request_of_a_program_is_short(tmp_path: Path) -> None:
    async with running(tmp_path, LONG_ID, 10) as (connection, _, _):
        with pytest.raises(UpstreamProtocolViolation, match="an id of more than"):
            await connection.request(request(1, 1))


async def test_empty_lines_on_standard_output_are_counted(tmp_path: Path) -> None:
    async with running(tmp_path, EMPTY_LINES, 10) as (connection, _, _):
        with pytest.raises(UpstreamProtocolViolation, match="too many notifications"):
            await connection.request(request(1, 1))


async def test_many_lines_on_standard_error_do_not_keep_the_event_loop() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"\n" * 3000)
    reader.feed_eof()
    logging = asyncio.create_task(log_lines("crm", reader, str))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not logging.done()
    await logging


async def test_a_line_is_masked_before_it_is_cut() -> None:
    reader = asyncio.StreamReader()
    beginning = "x" * (MAX_LOGGED_CHARACTERS - 4)
    reader.feed_data(f"{beginning}{PHONE}\n".encode())
    reader.feed_eof()
    with structlog.testing.capture_logs() as lines:
        await log_lines("crm", reader, lambda text: text.replace(PHONE, "(phone)"))
    assert [line["text"] for line in lines] == [f"{beginning}(pho"]


async def test_late_answers_to_more_calls_than_are_remembered_do_not_end_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway_service.upstreams.multiplexed_connection.MAX_ABANDONED", 2)
    async with running(tmp_path, LATE_ANSWERS, 60) as (connection, _, _):
        for message_id in (1, 2, 3):
            call = asyncio.create_task(connection.request(request(message_id, 1)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        assert (await connection.request(request(4, 1)))["result"] == {}
