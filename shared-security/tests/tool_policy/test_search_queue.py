"""Large data is searched in a thread beside the event loop; how much of it may wait is bounded."""

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from fastmcp import FastMCP

from security_common.audit import Journal
from security_common.encryption import EncryptionService
from security_common.fastmcp import ServiceUnavailableMiddleware, secure_server
from security_common.pii import PIIDetector
from security_common.settings import SecuritySettings
from security_common.tool_policy import SearchQueueFull, configure, policy_dependencies, secure_tool
from security_common.tool_policy.data_size import LIMITS_OF_WALK, LIMITS_ON_EVENT_LOOP, estimate_characters
from security_common.tool_policy.search_queue import SearchQueue

pytestmark = pytest.mark.anyio

LARGE_TEXT = "Call 010-1234-5678 today. " * 400
SEARCH_THREAD = "personal-data-search"


class ObservedDetector(PIIDetector):
    """Keeps the names of the threads that search."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[str] = set()

    def scan_text(self, text: str, **names: Any) -> Any:
        self.threads.add(threading.current_thread().name)
        return super().scan_text(text, **names)


@pytest.fixture
def detector(journal: Journal, encryption: EncryptionService) -> ObservedDetector:
    observed = ObservedDetector()
    configure(journal=journal, encryption=encryption, detector=observed)
    return observed


@secure_tool(pii_policy="mask")
async def echo(data: Any) -> Any:
    return data


@secure_tool(pii_policy="mask")
def echo_blocking(data: Any) -> Any:
    return data


@secure_tool(pii_policy="mask")
async def fail_with(data: str) -> Any:
    raise ValueError(data)


@pytest.mark.parametrize(
    "data",
    [
        LARGE_TEXT,
        [{"text": LARGE_TEXT}],
        [f"short {number}, 010-1234-{number}" for number in range(1000, 1600)],
        LARGE_TEXT.encode(),
    ],
)
async def test_large_data_is_searched_in_the_thread_of_the_queue(data: Any, detector: ObservedDetector) -> None:
    assert b"010-1234" not in str(await echo(data)).encode()
    assert SEARCH_THREAD in detector.threads


async def test_small_data_is_searched_on_the_event_loop(detector: ObservedDetector) -> None:
    assert await echo({"phone": "010-1234-5678", "note": "x" * 2000}) == {"phone": "010-****-5678", "note": "x" * 2000}
    assert detector.threads == {threading.current_thread().name}


async def test_the_text_of_a_large_exception_is_searched_in_the_thread_of_the_queue(detector: ObservedDetector) -> None:
    with pytest.raises(ValueError, match=r"010-\*\*\*\*-5678"):
        await fail_with(LARGE_TEXT)
    assert SEARCH_THREAD in detector.threads


def test_a_function_that_is_not_asynchronous_searches_in_its_own_thread(detector: ObservedDetector) -> None:
    assert "010-1234" not in echo_blocking(LARGE_TEXT)
    assert detector.threads == {threading.current_thread().name}


async def test_findings_of_a_large_result_are_recorded_once(
    recorded_calls: Callable[[], list[dict[str, Any]]], detector: ObservedDetector
) -> None:
    await echo({"first": "010-1234-5678", "rest": "nothing here " * 1000})
    assert SEARCH_THREAD in detector.threads
    assert recorded_calls()[-1]["pii_kinds"] == {"PHONE": 1}


async def test_what_is_above_the_bound_is_refused_until_other_searches_have_ended() -> None:
    queue = SearchQueue(max_characters=300, max_characters_of_caller=200)
    may_end = threading.Event()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(queue.run(may_end.wait, characters=150, caller="first"))
        await asyncio.sleep(0)
        with pytest.raises(SearchQueueFull):
            await queue.run(lambda: None, characters=51, caller="first")
        with pytest.raises(SearchQueueFull):
            await queue.run(lambda: None, characters=151, caller="second")
        waiting = tasks.create_task(queue.run(lambda: "found", characters=150, caller="second"))
        await asyncio.sleep(0)
        with pytest.raises(SearchQueueFull):
            queue.run_blocking(lambda: None, characters=1, caller="third")
        may_end.set()
    assert running.result()
    assert waiting.result() == "found"
    assert await queue.run(lambda: "found again", characters=200, caller="first") == "found again"


async def test_the_shortest_search_is_next() -> None:
    queue = SearchQueue(max_characters=1000, max_characters_of_caller=1000)
    may_end, order = threading.Event(), list[int]()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(queue.run(may_end.wait, characters=1, caller="first"))
        await asyncio.sleep(0)
        for characters in (300, 100, 200):
            search = lambda characters=characters: order.append(characters)  # noqa: E731
            tasks.create_task(queue.run(search, characters=characters, caller="second"))
        await asyncio.sleep(0)
        may_end.set()
    assert order == [100, 200, 300]


async def test_a_cancelled_search_is_counted_until_it_leaves_the_queue() -> None:
    queue = SearchQueue(max_characters=100, max_characters_of_caller=100)
    may_end = threading.Event()
    running = asyncio.create_task(queue.run(may_end.wait, characters=50, caller="first"))
    cancelled = asyncio.create_task(queue.run(lambda: None, characters=50, caller="first"))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    with pytest.raises(SearchQueueFull):
        await queue.run(lambda: None, characters=1, caller="first")
    may_end.set()
    assert await running
    await queue.run(lambda: None, characters=50, caller="first")


async def test_a_full_queue_refuses_the_call_and_records_it(
    monkeypatch: pytest.MonkeyPatch,
    journal: Journal,
    encryption: EncryptionService,
    recorded_calls: Callable[[], list[dict[str, Any]]],
) -> None:
    monkeypatch.setenv("SECURITY_PII_SEARCH_MAX_CHARACTERS_PER_CALLER", "2000000")
    configure(journal=journal, encryption=encryption)
    data = " " * 1_500_000
    first, second = await asyncio.gather(echo(data), echo(data), return_exceptions=True)
    assert first == data
    assert isinstance(second, SearchQueueFull)
    assert [call.get("reason") for call in recorded_calls()] == ["search_queue_full", None]


async def test_a_failed_search_leaves_no_reference_cycle() -> None:
    queue = SearchQueue(max_characters=100, max_characters_of_caller=100)

    class Marker(Exception):
        pass

    def fail() -> None:
        raise Marker

    async def search_and_fail() -> bool:
        try:
            await queue.run(fail, characters=1, caller="first")
        except Marker:
            return True
        return False

    gc.collect()
    gc.disable()
    try:
        assert await search_and_fail()
        await queue.run(lambda: None, characters=1, caller="first")
        assert not [each for each in gc.get_objects() if type(each) is Marker]
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("values", "characters"),
    [
        (("text", b"bytes"), 9),
        (({"key": ["a", 1]},), 16 + 3 + 16 + 1 + 16),
        ((ValueError("text"),), 16 + 4),
        (("x" * 3_000_000,), LIMITS_OF_WALK.characters),
        ((range(3),), 16),
    ],
)
def test_the_size_of_data_is_estimated(values: tuple[Any, ...], characters: int) -> None:
    assert estimate_characters(*values) == characters


@pytest.mark.parametrize(
    "data", [[{"name": f"box {number}"} for number in range(300)], {f"key {number}": number for number in range(300)}]
)
async def test_many_parts_are_never_searched_on_the_event_loop(detector: ObservedDetector, data: Any) -> None:
    detector.threads.clear()
    assert await echo(data) == data
    assert detector.threads == {SEARCH_THREAD}


def test_the_size_of_data_that_contains_itself_is_bounded() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert estimate_characters(endless) == LIMITS_OF_WALK.characters
    assert LIMITS_ON_EVENT_LOOP.characters < LIMITS_OF_WALK.characters


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
def test_a_server_answers_503_while_the_queue_is_full(version: str) -> None:
    server: FastMCP[Any] = FastMCP("test")
    server.tool(echo)
    secure_server(server)
    queue = policy_dependencies().search_queue
    has_begun, may_end = threading.Event(), threading.Event()

    def search() -> None:
        has_begun.set()
        may_end.wait()

    whole = {"characters": SecuritySettings().pii_search_max_characters_per_caller, "caller": ""}
    other_call = threading.Thread(target=queue.run_blocking, args=(search,), kwargs=whole)
    other_call.start()
    has_begun.wait()
    try:
        answer = call_over_http(server, "echo", {"data": LARGE_TEXT}, version)
    finally:
        may_end.set()
        other_call.join()
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert '"error":"search_queue_full"' in answer.text
    assert "try again" in answer.text
    assert call_over_http(server, "echo", {"data": LARGE_TEXT}, version).status_code == 200


def call_over_http(server: FastMCP[Any], tool: str, arguments: dict[str, Any], version: str) -> httpx2.Response:
    """One call of a tool over HTTP."""
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": version}
    params: dict[str, Any] = {"name": tool, "arguments": arguments}
    if version == "2026-07-28":
        headers |= {"mcp-method": "tools/call", "mcp-name": tool}
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    app = server.http_app(stateless_http=True)

    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=ServiceUnavailableMiddleware(app))
        async with app.lifespan(app), httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            return await http.post("/mcp", json=body, headers=headers)

    return asyncio.run(send())
