"""The connections to one server: one for each caller or one for all, opened once, bounded, and closed when idle."""

import asyncio

import pytest

from gateway_service.upstreams.connection_pool import ConnectionPool, PooledConnection
from gateway_service.upstreams.errors import UpstreamBusy, UpstreamUnavailable

pytestmark = pytest.mark.anyio


class FakeConnection:
    """A connection that only has a state."""

    def __init__(self, server: "Server", number: int, *, is_shared: bool, is_stateful: bool) -> None:
        self.server = server
        self.number = number
        self.is_shared = is_shared
        self.is_stateful = is_stateful
        self.is_closed = False

    async def close(self) -> None:
        self.server.closing.set()
        await self.server.may_close.wait()
        self.is_closed = True


class Server:
    """Opens connections with increasing numbers."""

    def __init__(self, *, is_shared: bool = False, is_stateful: bool = True, max_connections: int = 100) -> None:
        self.is_shared = is_shared
        self.is_stateful = is_stateful
        self.opened: list[FakeConnection] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.closing = asyncio.Event()
        self.may_close = asyncio.Event()
        self.may_close.set()
        self.failure: Exception | None = None
        self.now = 1000.0
        self.pool = ConnectionPool(
            "crm", self.open, max_connections=max_connections, idle_seconds=60, clock=lambda: self.now
        )

    async def open(self, _owner: str) -> FakeConnection:
        connection = FakeConnection(self, len(self.opened) + 1, is_shared=self.is_shared, is_stateful=self.is_stateful)
        self.opened.append(connection)
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return connection

    async def use(self, owner: str) -> int:
        """The number of the connection that a call of this owner gets."""
        entry = await self.pool.acquire(owner)
        self.pool.release(entry)
        return number_of(entry)

    @property
    def closed(self) -> list[int]:
        return [connection.number for connection in self.opened if connection.is_closed]


def number_of(entry: PooledConnection[FakeConnection]) -> int:
    return entry.connection.number


async def test_each_owner_has_a_connection_of_its_own() -> None:
    server = Server()
    assert [await server.use(owner) for owner in ("a", "b", "a", "b", "")] == [1, 2, 1, 2, 3]


async def test_calls_at_the_same_time_open_one_connection() -> None:
    server = Server()
    server.may_answer.clear()
    calls = [asyncio.create_task(server.use("a")) for _ in range(50)]
    await asyncio.sleep(0)
    calls[0].cancel()  # the others still wait for what it began
    server.may_answer.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [1] * 49
    assert len(server.opened) == 1


async def test_a_server_that_keeps_nothing_has_one_connection_for_all() -> None:
    server = Server(is_shared=True)
    assert [await server.use(owner) for owner in ("a", "b", "c")] == [1, 1, 1]


async def test_opening_that_failed_is_tried_again() -> None:
    server = Server()
    server.failure = UpstreamUnavailable("down")
    for _ in range(2):
        with pytest.raises(UpstreamUnavailable):
            await server.use("a")
    server.failure = None
    assert await server.use("a") == 3


async def test_a_closed_connection_is_replaced_for_its_owner_only() -> None:
    server = Server()
    await server.use("a")
    await server.use("b")
    server.opened[0].is_closed = True
    assert [await server.use(owner) for owner in ("a", "b")] == [3, 2]


@pytest.mark.parametrize("is_shared", [True, False])
async def test_a_discarded_connection_is_closed_when_its_last_call_ends(*, is_shared: bool) -> None:
    server = Server(is_shared=is_shared)
    first, second = await server.pool.acquire("a"), await server.pool.acquire("a")
    server.pool.discard(first)
    server.pool.discard(first)  # both calls found it lost
    server.pool.release(first)
    assert await server.use("a") == 2
    assert server.closed == []
    server.pool.release(second)
    await server.pool.close()
    assert server.closed == [1, 2]


async def test_the_connection_that_was_not_used_for_the_longest_time_makes_place() -> None:
    server = Server(max_connections=2)
    assert [await server.use(owner) for owner in ("a", "b", "a", "c", "a", "b")] == [1, 2, 1, 3, 1, 4]
    await server.pool.close()
    assert server.closed == [1, 2, 3, 4]


async def test_more_callers_than_allowed_are_refused_while_all_are_served() -> None:
    server = Server(max_connections=2)
    first = await server.pool.acquire("a")
    await server.pool.acquire("b")
    with pytest.raises(UpstreamBusy):
        await server.pool.acquire("c")
    server.pool.release(first)
    assert await server.use("c") == 3


async def test_connections_that_are_being_closed_count_as_well() -> None:
    server = Server(max_connections=1)
    server.may_close.clear()
    await server.use("a")
    waiting = asyncio.create_task(server.use("b"))
    await server.closing.wait()
    assert len(server.opened) == 1
    server.may_close.set()
    assert await waiting == 2


async def test_a_connection_that_was_lost_counts_until_its_calls_have_ended() -> None:
    server = Server(max_connections=1)
    lost = await server.pool.acquire("a")
    server.pool.discard(lost)
    with pytest.raises(UpstreamBusy):
        await server.pool.acquire("b")
    server.pool.release(lost)
    assert await server.use("b") == 2


async def test_an_idle_connection_is_closed_unless_a_call_uses_it() -> None:
    server = Server()
    await server.use("idle")
    busy = await server.pool.acquire("busy")
    server.now += 30
    await server.use("recent")
    server.now += 31
    server.pool.discard_idle()
    assert [await server.use(owner) for owner in ("busy", "recent", "idle")] == [2, 3, 4]
    assert server.closed == [1]
    server.pool.release(busy)


async def test_a_connection_of_which_the_server_keeps_nothing_is_never_idle() -> None:
    server = Server(is_shared=True, is_stateful=False)
    await server.use("a")
    server.now += 3600
    server.pool.discard_idle()
    assert await server.use("a") == 1


async def test_closing_ends_what_is_being_opened() -> None:
    server = Server()
    server.may_answer.clear()
    call = asyncio.create_task(server.use("a"))
    await asyncio.sleep(0)
    await server.pool.close()
    assert isinstance((await asyncio.gather(call, return_exceptions=True))[0], asyncio.CancelledError)
    assert server.pool.open_connections == 0
