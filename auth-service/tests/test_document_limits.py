"""Limits on what unauthenticated clients can make this service fetch and store."""

import asyncio
import gc
import json
import socket
import threading
import types
from collections.abc import AsyncGenerator, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

import pytest
from document_host import HOST, Clock, DocumentHost, answer
from redis.asyncio import Redis
from running_auth import StartService
from signing_in import Person, Request

from auth_service.clients import ssrf_safe_fetch
from auth_service.clients.client import Client, ClientOrigin
from auth_service.clients.client_id_metadata import ClientIdMetadataFinder
from auth_service.clients.client_keys import ClientKeys
from auth_service.clients.outgoing_fetches import OutgoingFetches
from auth_service.clients.ssrf_safe_fetch import FetchProblem, FetchTemporarilyFailed, SsrfSafeFetcher
from auth_service.clients.store import ClientStore
from auth_service.declaration import RegistrationPolicy
from auth_service.errors import ClientDocumentUnavailable, InvalidClient
from auth_service.protocol import AuthMethod

pytestmark = pytest.mark.anyio

GOOD: dict[str, Any] = {"client_name": "Example", "redirect_uris": ["http://localhost/callback"]}


@pytest.fixture
async def store(redis_url: str) -> AsyncGenerator[ClientStore]:
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        yield ClientStore(redis)


def make(host: DocumentHost, store: ClientStore, **policy: Any) -> ClientIdMetadataFinder:
    outgoing = OutgoingFetches.of(RegistrationPolicy(**policy).hosts, host.fetcher())
    return ClientIdMetadataFinder(outgoing=outgoing, store=store, clock=Clock(), scopes=(), hosts=None, pinned={})


def reachable(root: object) -> list[object]:
    """Every object that `root` references, without what code, modules and types reference."""
    seen: dict[int, object] = {}
    waiting = [root]
    passed_over = (
        type,
        types.ModuleType,
        types.FunctionType,
        types.BuiltinFunctionType,
        types.CodeType,
        threading.Thread,
    )
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, passed_over):
            continue
        seen[id(each)] = each
        waiting += gc.get_referents(each)
    return list(seen.values())


async def test_a_refused_document_leaves_only_a_small_cache_entry(host: DocumentHost, store: ClientStore) -> None:
    found = make(host, store)
    for number in range(300):
        url = f"https://host-{number}.example:{host.port}/c.json"
        with pytest.raises(InvalidClient):
            await found.find(url, source_address=f"10.0.{number}.1")
    kept = reachable(found._cached)  # pyright: ignore[reportPrivateUsage] # what is kept in memory is what is tested
    assert not [each for each in kept if isinstance(each, BaseException | types.TracebackType | types.FrameType)]
    assert len(kept) < 300 * 10


def test_thousands_of_refused_client_ids_do_not_increase_the_memory(
    host: DocumentHost, start_service: StartService
) -> None:
    """At the authorization endpoint, each from another address, over TLS."""
    service = start_service(parts={"fetcher": host.fetcher()}, trusted_proxies="127.0.0.1")

    def ask(number: int) -> None:
        url = host.url(f"/refused-{number}.json") if number % 2 else f"https://h{number}.example:{host.port}/c.json"
        headers = {"x-forwarded-for": f"10.{number >> 8}.{number & 255}.1"}
        page = service.http.get(f"/oauth2/authorize?client_id={quote(url, safe='')}", headers=headers)
        assert page.status_code == 400

    def count() -> int:
        gc.collect()
        return len(gc.get_objects())

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(ask, range(200)))
        before = count()
        list(threads.map(ask, range(200, 2200)))
        after = count()
    assert after - before < 10_000
    kept = reachable(service.app.state.parts.directory)
    assert not [each for each in kept if isinstance(each, BaseException | types.TracebackType)]


def with_keys_at(uri: str, origin: ClientOrigin) -> Client:
    return Client(
        client_id=f"client of {uri}",
        name="Example",
        origin=origin,
        auth_methods=frozenset({AuthMethod.PRIVATE_KEY_JWT}),
        grant_types=frozenset(),
        signing_keys_uri=uri,
    )


async def test_the_keys_of_clients_take_a_bounded_number_of_bytes(host: DocumentHost) -> None:
    """Each client publishes the largest key set that is read."""
    host.pages["/keys.json"] = answer(json.dumps({"keys": [], "padding": "x" * 30_000}).encode())
    keys = ClientKeys(outgoing=OutgoingFetches.of(RegistrationPolicy().hosts, host.fetcher()), clock=Clock())
    for number in range(150):
        client = with_keys_at(host.url(f"/keys.json?{number}"), ClientOrigin.DECLARED)
        host.pages[f"/keys.json?{number}"] = host.pages["/keys.json"]
        assert await keys.find(client) is not None
    assert keys._cached.size_bytes <= 2 * 1024 * 1024  # pyright: ignore[reportPrivateUsage] # see above


async def test_one_address_cannot_use_up_the_fetches_of_others(host: DocumentHost, store: ClientStore) -> None:
    found = make(host, store)
    for number in range(200):
        with pytest.raises(InvalidClient):
            await found.find(f"https://h{number}.example:{host.port}/c.json", source_address="203.0.113.9")
    url = host.publish("/wanted.json", GOOD)
    assert (await found.find(url, source_address="198.51.100.1")).client_id == url


async def test_many_clients_of_one_address_cannot_use_up_the_fetches_of_others(
    host: DocumentHost, store: ClientStore
) -> None:
    """Registered clients choose the address of their key set."""
    outgoing = OutgoingFetches.of(RegistrationPolicy().hosts, host.fetcher())
    keys = ClientKeys(outgoing=outgoing, clock=Clock())
    for number in range(100):
        client = with_keys_at(f"https://k{number}.example:{host.port}/keys.json", ClientOrigin.REGISTERED)
        assert await keys.find(client, source_address="203.0.113.10") is None
    documents = ClientIdMetadataFinder(outgoing=outgoing, store=store, clock=Clock(), scopes=(), hosts=None, pinned={})
    url = host.publish("/wanted-too.json", GOOD)
    assert (await documents.find(url, source_address="198.51.100.3")).client_id == url


async def test_concurrent_requests_share_one_fetch_of_the_keys(host: DocumentHost) -> None:
    host.pages["/shared-keys.json"] = answer(json.dumps({"keys": []}).encode())
    keys = ClientKeys(outgoing=OutgoingFetches.of(RegistrationPolicy().hosts, host.fetcher()), clock=Clock())
    client = with_keys_at(host.url("/shared-keys.json"), ClientOrigin.DECLARED)
    found = await asyncio.gather(*(keys.find(client) for _ in range(50)))
    assert found == [{"keys": []}] * 50
    assert host.visits.count("/shared-keys.json") == 1


async def test_listed_hosts_have_fetches_that_others_cannot_use_up(host: DocumentHost, store: ClientStore) -> None:
    found = make(host, store, hosts=(HOST,))
    for number in range(200):
        with pytest.raises(InvalidClient):
            await found.find(f"https://h{number}.example:{host.port}/c.json", source_address=f"10.1.{number}.1")
    url = host.publish("/listed.json", GOOD)
    assert (await found.find(url, source_address="198.51.100.2")).client_id == url


async def test_a_reached_limit_is_not_cached_as_a_refusal(host: DocumentHost, store: ClientStore) -> None:
    found = make(host, store)
    url = host.publish("/patient.json", GOOD)
    for number in range(7):
        with pytest.raises(InvalidClient):
            await found.find(host.url(f"/missing-{number}.json"), source_address="203.0.113.7")
    with pytest.raises(ClientDocumentUnavailable, match="too many"):
        await found.find(url, source_address="203.0.113.7")
    assert (await found.find(url, source_address="203.0.113.8")).client_id == url


async def test_a_slow_name_resolution_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth_service.clients.ssrf_safe_fetch._RESOLVE_TIMEOUT_SECONDS", 0.05)

    async def resolve(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(FetchTemporarilyFailed) as failure:
        await SsrfSafeFetcher(resolve=resolve, is_allowed=lambda _: True).fetch("https://slow.example/c.json")
    assert failure.value.problem is FetchProblem.NAME


async def test_an_invalid_host_name_is_a_failed_fetch(host: DocumentHost, store: ClientStore) -> None:
    """`getaddrinfo` raises UnicodeError for a label of more than 63 characters."""
    outgoing = OutgoingFetches.of(RegistrationPolicy().hosts, None)
    found = ClientIdMetadataFinder(outgoing=outgoing, store=store, clock=Clock(), scopes=(), hosts=None, pinned={})
    with pytest.raises(InvalidClient):
        await found.find(f"https://{'a' * 64}.example/c.json")


async def test_the_next_address_is_tried_if_a_connection_fails(host: DocumentHost) -> None:
    host.publish("/second.json", GOOD)

    async def resolve(_host: str, _port: int) -> list[str]:
        return ["::1", "127.0.0.1"]

    fetcher = SsrfSafeFetcher(resolve=resolve, is_allowed=lambda a: a != ip_address("10.0.0.1"), tls=host.tls)
    assert (await fetcher.fetch(host.url("/second.json"))).body


@pytest.fixture
def unresponsive_address(host: DocumentHost) -> Generator[str]:
    """An address where connections to the host's port are never answered: the queue of its listener is full."""
    address = "127.0.0.2"
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind((address, host.port))
        listener.listen(0)
        for _ in range(4):
            client = sockets.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((address, host.port))
        yield address


async def test_the_next_address_is_tried_if_a_connection_is_not_answered(
    host: DocumentHost, unresponsive_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The TLS handshake with the next address has the same limit.
    monkeypatch.setitem(ssrf_safe_fetch._STEP_TIMEOUTS["timeout"], "connect", 2.0)
    monkeypatch.setattr(ssrf_safe_fetch, "_DEADLINE_SECONDS", 20.0)
    host.publish("/second.json", GOOD)

    def make_fetcher(*addresses: str) -> SsrfSafeFetcher:
        async def resolve(_host: str, _port: int) -> Sequence[str]:
            return addresses

        return SsrfSafeFetcher(resolve=resolve, is_allowed=lambda _: True, tls=host.tls)

    assert (await make_fetcher(unresponsive_address, "127.0.0.1").fetch(host.url("/second.json"))).body
    with pytest.raises(FetchTemporarilyFailed) as failure:
        await make_fetcher(unresponsive_address).fetch(host.url("/second.json"))
    assert failure.value.problem is FetchProblem.TIMEOUT


async def test_the_host_header_names_the_host_as_browsers_do(host: DocumentHost) -> None:
    """A URL may have a query and no path, and its host may be in upper case."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer(b"{}"))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=host.server_tls) as server:
        port = server.sockets[0].getsockname()[1]
        await host.fetcher().fetch(f"https://{HOST.upper()}:{port}?version=1")
    lines = received[0].decode().lower().split("\r\n")
    assert [line for line in lines if line.startswith("host:")] == [f"host: {HOST}:{port}"]


def test_a_sign_in_does_not_wait_for_slow_name_resolution(
    start_service: StartService, own_redis: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Every resolver thread is blocked while a user signs in."""
    released, asked = threading.Event(), threading.Semaphore(0)
    resolve = socket.getaddrinfo

    def hang(host: str, *arguments: Any, **options: Any) -> Any:
        if not host.endswith(".example"):
            return resolve(host, *arguments, **options)
        asked.release()
        released.wait()
        raise OSError

    declaration = "clients: [{client_id: app, grant_types: [authorization_code], redirect_uris: [http://localhost/cb]}]"
    (tmp_path / "auth.yaml").write_text(f"{declaration}\nregistration: {{metadata_documents: open}}")
    service = start_service(
        config=tmp_path / "auth.yaml", redis_url=own_redis[0], trusted_proxies="127.0.0.1", parts={"fetcher": None}
    )
    person = Person(f"http://127.0.0.1:{service.settings.port}")
    page = person.open(Request("app", {"redirect_uri": "http://localhost/cb", "scope": "mcp.access"}).path)
    monkeypatch.setattr("socket.getaddrinfo", hang)

    def ask(number: int) -> None:
        url = f"https://slow-{number}.example/c.json"
        headers = {"x-forwarded-for": f"10.7.{number}.1"}
        service.http.get(f"/oauth2/authorize?client_id={quote(url, safe='')}", headers=headers)

    with ThreadPoolExecutor(40) as threads:
        for number in range(40):
            threads.submit(ask, number)
        for _ in range(4):
            assert asked.acquire(timeout=30)  # as many lookups hang as there are threads for them
        try:
            assert person.sign_in(page).status_code == 200
        finally:
            released.set()
    person.http.close()
