"""Items 126 to 132: valid and invalid client ID metadata documents, over TLS on loopback."""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from document_host import HOST, Clock, DocumentHost, answer
from redis.asyncio import Redis

from auth_service.clients import client_id_metadata, client_metadata
from auth_service.clients.client import Client
from auth_service.clients.client_id_metadata import ClientIdMetadataFinder, read_pinned
from auth_service.clients.loopback_redirects import matches_registered
from auth_service.clients.outgoing_fetches import OutgoingFetches
from auth_service.clients.ssrf_safe_fetch import (
    FetchRefused,
    FetchTemporarilyFailed,
    SsrfSafeFetcher,
    is_public_address,
)
from auth_service.clients.store import ClientStore
from auth_service.declaration import RegistrationPolicy
from auth_service.errors import InvalidClient
from auth_service.protocol import AuthMethod

pytestmark = pytest.mark.anyio

GOOD: dict[str, Any] = {"client_name": "Example", "redirect_uris": ["http://localhost/callback"]}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(redis_url: str) -> AsyncGenerator[ClientStore]:
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        yield ClientStore(redis)


def make(fetcher: SsrfSafeFetcher, store: ClientStore, clock: Clock, **changes: Any) -> ClientIdMetadataFinder:
    values: dict[str, Any] = {"scopes": ("mcp.access",), "hosts": None, "pinned": {}, **changes}
    outgoing = OutgoingFetches.of(RegistrationPolicy().hosts, fetcher)
    return ClientIdMetadataFinder(outgoing=outgoing, store=store, clock=clock, **values)


async def test_a_document_is_a_client(host: DocumentHost, store: ClientStore, clock: Clock) -> None:
    url = host.publish("/good.json", GOOD)
    client = await make(host.fetcher(), store, clock).find(url)
    assert (client.client_id, client.name, client.host) == (url, "Example", HOST)
    assert client.is_public
    assert matches_registered("http://localhost:3118/callback", client.redirect_uris), "any port of a loopback redirect"


@pytest.mark.parametrize(
    ("case", "address"),
    [
        ("http", "http://client.example/c.json"),
        ("no path", "https://client.example"),
        ("root", "https://client.example/"),
        ("bad port", "https://client.example:x/c.json"),
        ("fragment", "https://client.example/c.json#a"),
        ("empty fragment", "https://client.example/c.json#"),
        ("credentials", "https://a@client.example/c.json"),
        ("dot segment", "https://client.example/a/../c.json"),
        ("encoded dots", "https://client.example/a/%2E%2e/c.json"),
        ("backslash", "https://client.example\\@evil.example/c.json"),
        ("line end", "https://client.example/c\r\n.json"),
        ("not ASCII", "https://client.example/ç.json"),
        ("long", f"https://client.example/{'c' * 2048}"),
    ],
)
async def test_item_126_nothing_is_fetched_for_an_invalid_url(
    host: DocumentHost, store: ClientStore, clock: Clock, case: str, address: str
) -> None:
    visits = len(host.visits)
    with pytest.raises(InvalidClient):
        await make(host.fetcher(), store, clock).find(address)
    assert len(host.visits) == visits


WITHOUT_RULE = {
    "check_parts": "http://client.example/c.json",
    "refuse_ambiguous_parts": "https://client.example/a/../c.json",
    "check_length": f"https://client.example/{'c' * 2048}",
}


@pytest.mark.parametrize("rule", client_id_metadata.URL_RULES, ids=lambda rule: rule.__name__)
async def test_item_126_each_rule_matters(
    host: DocumentHost, store: ClientStore, clock: Clock, monkeypatch: pytest.MonkeyPatch, rule: Any
) -> None:
    """Without the rule, the host of the URL that only it refuses is resolved."""
    asked: list[str] = []

    async def resolve(name: str, _port: int) -> list[str]:
        asked.append(name)
        return []

    fetcher = SsrfSafeFetcher(resolve=resolve, is_allowed=lambda _: True, tls=host.tls)
    for rules, lookups in (
        (client_id_metadata.URL_RULES, 0),
        (tuple(r for r in client_id_metadata.URL_RULES if r is not rule), 1),
    ):
        monkeypatch.setattr(client_id_metadata, "URL_RULES", rules)
        with pytest.raises(InvalidClient):
            await make(fetcher, store, clock).find(WITHOUT_RULE[rule.__name__])
        assert len(asked) == lookups


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *("255.255.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1", "192.88.99.1", "192.31.196.1"),
        *("::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1"),
        *("64:ff9b::a00:1", "64:ff9b:1::1", "2002:a00:1::1", "2001::1", "2001:db8::1", "3fff::1", "5f00::1", "100::1"),
    ],
)
def test_item_127_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public_address(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_item_127_a_public_address_is_accepted(address: str) -> None:
    assert is_public_address(ip_address(address))


async def test_item_127_a_host_with_one_private_address_is_refused(host: DocumentHost) -> None:
    host.publish("/several.json", GOOD)
    with pytest.raises(FetchRefused):
        await host.fetcher(resolves_to=("127.0.0.1", "10.0.0.1")).fetch(host.url("/several.json"))


async def test_item_127_a_host_name_is_resolved_once_against_dns_rebinding(host: DocumentHost) -> None:
    """A second lookup would return another address."""
    host.publish("/rebinding.json", GOOD)
    asked: list[str] = []

    async def resolve(name: str, _port: int) -> list[str]:
        asked.append(name)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    fetcher = SsrfSafeFetcher(resolve=resolve, is_allowed=lambda _: True, tls=host.tls)
    await fetcher.fetch(host.url("/rebinding.json"))
    assert asked == [HOST]


async def test_item_127_an_ip_address_in_the_url_is_checked(host: DocumentHost) -> None:
    async def resolve(name: str, _port: int) -> list[str]:
        return [name]

    fetcher = SsrfSafeFetcher(resolve=resolve, is_allowed=is_public_address, tls=host.tls)
    for literal in ("127.0.0.1", "[::1]", "169.254.169.254"):
        with pytest.raises(FetchRefused):
            await fetcher.fetch(f"https://{literal}:{host.port}/good.json")


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    for _ in range(100):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def without_length(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    for _ in range(100):
        writer.write(b" " * 8192)
        await writer.drain()


@pytest.mark.parametrize(
    ("page", "failure"),
    [
        (answer(b"", "location: /good.json", status="302 Found"), FetchRefused),
        (answer(b"{}", status="404 Not Found"), FetchRefused),
        (answer(b"{}", status="500 Internal Server Error"), FetchTemporarilyFailed),
        (answer(b"{}", media_type="text/html"), FetchRefused),
        (answer(b" " * 40_000), FetchRefused),
        (answer(gzip.compress(b"{}" * 100), "content-encoding: gzip"), FetchRefused),
        (b"rubbish\r\n\r\n", FetchTemporarilyFailed),
        (without_length, FetchRefused),
    ],
    ids=["redirect", "404", "500", "html", "40 kB", "gzip", "rubbish", "800 kB without a length"],
)
async def test_item_128_a_hostile_response_is_refused(host: DocumentHost, page: Any, failure: type[Exception]) -> None:
    host.pages["/hostile.json"] = page
    with pytest.raises(failure):
        await host.fetcher().fetch(host.url("/hostile.json"))


async def test_item_128_a_slow_response_is_aborted(host: DocumentHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth_service.clients.ssrf_safe_fetch._DEADLINE_SECONDS", 0.3)
    host.pages["/slow.json"] = drip
    with pytest.raises(FetchTemporarilyFailed):
        await host.fetcher().fetch(host.url("/slow.json"))


async def test_item_128_an_untrusted_certificate_is_refused(host: DocumentHost) -> None:
    async def resolve(_name: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    fetcher = SsrfSafeFetcher(resolve=resolve, is_allowed=lambda _: True)
    with pytest.raises(FetchTemporarilyFailed):
        await fetcher.fetch(host.url("/good.json"))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"client_id": "https://other.example/c.json"}, "check_own_address"),
        ({"client_secret": "x"}, "refuse_shared_secrets"),
        ({"client_secret_expires_at": 0}, "refuse_shared_secrets"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "check_auth_method"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "check_auth_method"),
        ({"client_name": None}, "check_name"),
        ({"redirect_uris": None}, "check_redirects"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "check_redirects"),
        ({"grant_types": ["client_credentials"]}, "check_code_grant"),
        ({"response_types": ["token"]}, "check_response_types"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "x"}]}}, "check_keys"),
    ],
)
async def test_item_129_an_invalid_document_is_refused_and_each_rule_matters(
    host: DocumentHost,
    store: ClientStore,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    rule: str,
) -> None:
    url = host.publish("/wrong.json", {**GOOD, **changes})
    with pytest.raises(InvalidClient):
        await make(host.fetcher(), store, clock).find(url)
    for module, name in ((client_id_metadata, "DOCUMENT_RULES"), (client_metadata, "METADATA_RULES")):
        kept = tuple(check for check in getattr(module, name) if check.__name__ != rule)
        monkeypatch.setattr(module, name, kept)
    assert isinstance(await make(host.fetcher(), store, clock).find(url), Client)


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        ({"client_secret": "x"}, "must not contain client_secret or client_secret_expires_at"),
        ({"client_secret_expires_at": 0}, "must not contain client_secret or client_secret_expires_at"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "must contain jwks or jwks_uri"),
        ({"token_endpoint_auth_method": "client_secret_post"}, "must be none or private_key_jwt"),
    ],
)
async def test_item_129_the_refusal_names_what_is_wrong_with_the_authentication(
    host: DocumentHost, store: ClientStore, clock: Clock, changes: dict[str, Any], description: str
) -> None:
    url = host.publish("/wrong.json", {**GOOD, **changes})
    with pytest.raises(InvalidClient, match=f"{description}$"):
        await make(host.fetcher(), store, clock).find(url)


async def test_item_130_a_document_is_fetched_once_while_it_is_fresh(
    host: DocumentHost, store: ClientStore, clock: Clock
) -> None:
    url = host.publish("/cached.json", GOOD, "cache-control: public, max-age=3600")
    found = make(host.fetcher(), store, clock)
    await asyncio.gather(*(found.find(url) for _ in range(20)))
    clock.now += 3599
    await found.find(url)
    assert host.visits.count("/cached.json") == 1
    clock.now += 2
    await found.find(url)
    assert host.visits.count("/cached.json") == 2


@pytest.mark.parametrize(("header", "seconds"), [("no-store", 300), ("max-age=1", 300), ("max-age=9999999", 86400)])
async def test_item_130_the_cache_lifetime_has_a_minimum_and_a_maximum(
    host: DocumentHost, store: ClientStore, clock: Clock, header: str, seconds: int
) -> None:
    path = f"/clamped-{seconds}-{len(header)}.json"
    url = host.publish(path, GOOD, f"cache-control: {header}")
    found = make(host.fetcher(), store, clock)
    await found.find(url)
    clock.now += seconds - 1
    await found.find(url)
    assert host.visits.count(path) == 1
    clock.now += 2
    await found.find(url)
    assert host.visits.count(path) == 2


async def test_item_130_a_refusal_is_cached_for_one_minute(
    host: DocumentHost, store: ClientStore, clock: Clock
) -> None:
    url = host.publish("/refused.json", {**GOOD, "client_secret": "x"})
    found = make(host.fetcher(), store, clock)
    for _ in range(5):
        with pytest.raises(InvalidClient):
            await found.find(url)
    assert host.visits.count("/refused.json") == 1


async def test_item_130_fetches_for_unknown_clients_are_limited(
    host: DocumentHost, store: ClientStore, clock: Clock
) -> None:
    found = make(host.fetcher(), store, clock)
    visits = len(host.visits)
    for number in range(30):
        with pytest.raises(InvalidClient):
            await found.find(host.url(f"/flood-{number}.json"))
    assert len(host.visits) - visits <= 10


async def test_the_stored_copy_of_a_client_is_used_while_its_host_is_unavailable(
    host: DocumentHost, store: ClientStore, clock: Clock
) -> None:
    url = host.publish("/away.json", GOOD)
    found = make(host.fetcher(), store, clock)
    await found.store_copy(await found.find(url))
    host.pages["/away.json"] = answer(b"", status="503 Service Unavailable")
    clock.now += 400
    assert (await found.find(url)).client_id == url


async def test_an_unused_client_is_not_stored(host: DocumentHost, store: ClientStore, clock: Clock) -> None:
    url = host.publish("/looked-at.json", GOOD)
    await make(host.fetcher(), store, clock).find(url)
    assert await store.find(url) is None


async def test_a_deleted_document_is_no_longer_a_client(host: DocumentHost, store: ClientStore, clock: Clock) -> None:
    url = host.publish("/gone.json", GOOD)
    found = make(host.fetcher(), store, clock)
    await found.find(url)
    del host.pages["/gone.json"]
    clock.now += 400
    with pytest.raises(InvalidClient):
        await found.find(url)


async def test_with_a_list_of_hosts_other_hosts_are_refused(
    host: DocumentHost, store: ClientStore, clock: Clock
) -> None:
    url = host.publish("/listed.json", GOOD)
    await make(host.fetcher(), store, clock, hosts=frozenset({HOST})).find(url)
    with pytest.raises(InvalidClient, match="operator"):
        await make(host.fetcher(), store, clock, hosts=frozenset({"claude.ai"})).find(url)


@pytest.mark.parametrize(
    ("name", "redirect", "methods"),
    [
        ("claude-code", "http://localhost:41234/callback", {AuthMethod.NONE}),
        ("claude", "https://claude.ai/api/mcp/auth_callback", {AuthMethod.NONE}),
        ("vscode", "http://127.0.0.1:33418/", {AuthMethod.NONE}),
        ("chatgpt", "https://chatgpt.com/connector_platform_oauth_redirect", {"none", AuthMethod.PRIVATE_KEY_JWT}),
    ],
)
async def test_item_132_deviations_of_published_documents_are_accepted(
    host: DocumentHost, store: ClientStore, clock: Clock, name: str, redirect: str, methods: set[str]
) -> None:
    folder = Path(__file__).parent / "client_documents"
    url = json.loads((folder / f"{name}.json").read_text())["client_id"]
    visits = len(host.visits)
    client = await make(host.fetcher(), store, clock, pinned=read_pinned(folder)).find(url)
    assert matches_registered(redirect, client.redirect_uris)
    assert client.auth_methods == methods
    assert client.grant_types <= {"authorization_code", "refresh_token"}
    assert len(host.visits) == visits, "a pinned copy is not fetched"
