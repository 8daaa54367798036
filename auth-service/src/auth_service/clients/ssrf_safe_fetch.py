"""Fetches a JSON document from a URL that an unauthenticated client chose, protected against SSRF.

    URL ─▶ resolve the name ─▶ are all addresses public? ─▶ connect to a checked address ─▶ TLS for the name
        ─▶ status 200 ─▶ JSON, not compressed ─▶ at most 32 KiB

The name is resolved once, and the connection goes to an address that was checked. So a name that resolves to another
address a moment later (DNS rebinding) has no effect. Redirects are not followed and proxies are not used. Name
resolution, connection, TLS handshake and each read have their own timeout, and the whole fetch has a deadline.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, cast

import httpcore2
from httpcore2 import AsyncNetworkBackend, AsyncNetworkStream

from security_common.bounded_fetch import (
    REQUEST_HEADERS,
    DocumentRefused,
    check_not_compressed,
    parse_max_age,
    read_bounded,
)
from security_common.errors import SecurityError
from security_common.web_urls import parse_web_url

__all__ = [
    "FetchError",
    "FetchProblem",
    "FetchRefused",
    "FetchTemporarilyFailed",
    "FetchedDocument",
    "SsrfSafeFetcher",
    "SystemResolver",
    "is_public_address",
]

_MAX_BYTES = 32 * 1024
_DEADLINE_SECONDS = 5.0
_RESOLVE_TIMEOUT_SECONDS = 2.5
_STEP_TIMEOUT_SECONDS = 3.0
_JSON = re.compile(r"application/(?:json|[a-z0-9.+-]+\+json)\s*(?:;.*)?", re.IGNORECASE)

# Networks that are refused whatever `is_global` returns, because that differs between versions of Python: 6to4 and its
# relays, NAT64, Teredo, ORCHID, documentation, segment routing, site-local, AS112 and AMT.
_NOT_PUBLIC = tuple(
    map(
        ip_network,
        (
            "192.88.99.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.175.48.0/24",
            "2001::/23",
            "2002::/16",
            "2620:4f:8000::/48",
            "3fff::/20",
            "5f00::/16",
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "fec0::/10",
        ),
    )
)

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_STEP_TIMEOUTS = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), _STEP_TIMEOUT_SECONDS)}


class FetchProblem(StrEnum):
    """Why a document could not be fetched. Logs and `auth-service doctor` show the value, pages a sentence for it."""

    NAME = "name_not_resolved"
    ADDRESS = "address_not_public"
    CONNECTION = "connection_failed"
    TLS = "tls_failed"
    TIMEOUT = "timeout"
    STATUS = "http_status"
    RESPONSE = "unacceptable_response"
    LIMIT = "too_many_fetches"


class FetchError(SecurityError):
    """The document could not be fetched; `problem` is the cause."""

    error = "fetch_failed"

    def __init__(self, description: str, problem: FetchProblem) -> None:
        super().__init__(description)
        self.problem = problem


class FetchRefused(FetchError):
    """The address or the response is not acceptable; a retry does not help."""


class FetchTemporarilyFailed(FetchError):
    """The document could not be fetched now; an earlier copy may still be used."""


@dataclass(frozen=True, slots=True)
class FetchedDocument:
    """A document.

    `max_age_seconds` is `max-age` of Cache-Control, 0 for no-store and no-cache, and None without any of them.
    """

    body: bytes = field(repr=False)
    max_age_seconds: int | None


class SsrfSafeFetcher:
    """Fetches small JSON documents. Tests replace `resolve`, `is_allowed` and `tls` to use servers on loopback."""

    def __init__(
        self, *, resolve: Resolve, is_allowed: Callable[[Address], bool], tls: ssl.SSLContext | None = None
    ) -> None:
        self._backend = _CheckedBackend(resolve, is_allowed)
        self._tls = tls

    async def fetch(self, url: str) -> FetchedDocument:
        """The document at `url`, an https URL that the caller has validated.

        Raises `FetchRefused` or `FetchTemporarilyFailed`, at the latest after five seconds.
        """
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS), self._pool() as pool:
                headers = [("host", _host_header(url)), *REQUEST_HEADERS.items()]
                async with pool.stream("GET", url, headers=headers, extensions=_STEP_TIMEOUTS) as response:
                    return await _read_document(response)
        except DocumentRefused as error:
            raise FetchRefused(str(error), FetchProblem.RESPONSE) from error
        except (TimeoutError, httpcore2.TimeoutException) as error:
            raise FetchTemporarilyFailed(
                "the document's server did not answer in time", FetchProblem.TIMEOUT
            ) from error
        except httpcore2.ConnectError as error:
            # `_CheckedBackend` raises its own errors for the connection, so this one is from the TLS handshake.
            raise FetchTemporarilyFailed(
                "the TLS connection to the document's server failed", FetchProblem.TLS
            ) from error
        except (OSError, httpcore2.NetworkError) as error:
            raise FetchTemporarilyFailed(
                "the connection to the document's server was lost", FetchProblem.CONNECTION
            ) from error
        except httpcore2.ProtocolError as error:
            raise FetchTemporarilyFailed(
                "the document's server did not answer with valid HTTP", FetchProblem.RESPONSE
            ) from error

    def _pool(self) -> httpcore2.AsyncConnectionPool:
        # One pool for each fetch: a reused connection would go to an address that was checked long ago. The TLS context
        # is shared, because its root certificates take almost a megabyte of memory and 25 ms to load.
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return httpcore2.AsyncConnectionPool(ssl_context=self._tls, network_backend=self._backend, max_connections=1)


def is_public_address(address: Address) -> bool:
    """True for an address on the public Internet. An IPv4-mapped IPv6 address counts as the IPv4 address in it."""
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return is_public_address(mapped)
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _NOT_PUBLIC if network.version == address.version)


class _CheckedBackend(AsyncNetworkBackend):
    """Connects to the first reachable address of a host, if every address of the host is allowed."""

    def __init__(self, resolve_host: Resolve, is_allowed: Callable[[Address], bool]) -> None:
        self._resolve = resolve_host
        self._is_allowed = is_allowed
        self._inner = cast("AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        problem = FetchProblem.CONNECTION
        # Without IPv6 the first address of many hosts is unreachable, but not the next one.
        for address in await self._find_addresses(host.strip("[]"), port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectTimeout:
                problem = FetchProblem.TIMEOUT
            except httpcore2.ConnectError:
                problem = FetchProblem.CONNECTION
        raise FetchTemporarilyFailed("cannot connect to the document's server", problem)

    async def _find_addresses(self, host: str, port: int) -> Sequence[str]:
        """At least one address. All must be allowed, so that the order of the DNS response decides nothing."""
        try:
            async with asyncio.timeout(_RESOLVE_TIMEOUT_SECONDS):
                addresses = await self._resolve(host, port)
        except (OSError, ValueError) as error:
            raise FetchTemporarilyFailed("the host name cannot be resolved", FetchProblem.NAME) from error
        if not addresses:
            raise FetchTemporarilyFailed("the host name has no address", FetchProblem.NAME)
        if not all(self._is_allowed(ip_address(address.partition("%")[0])) for address in addresses):
            raise FetchRefused("the host name does not resolve to a public address", FetchProblem.ADDRESS)
        return addresses


async def _read_document(response: httpcore2.Response) -> FetchedDocument:
    headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
    _check_status(response.status)
    if not _JSON.fullmatch(headers.get(b"content-type", "")):
        raise FetchRefused("the Content-Type of the document is not application/json", FetchProblem.RESPONSE)
    check_not_compressed(headers.get(b"content-encoding"))
    body = await read_bounded(response.aiter_stream(), max_bytes=_MAX_BYTES)
    return FetchedDocument(body, _max_age(response))


def _check_status(status: int) -> None:
    if status >= 500 or status == 429:
        raise FetchTemporarilyFailed(f"the document's server answered {status}", FetchProblem.STATUS)
    if status != 200:
        description = f"the document's server answered {status}; it must answer 200 without a redirect"
        raise FetchRefused(description, FetchProblem.STATUS)


def _max_age(response: httpcore2.Response) -> int | None:
    lines = [value.decode("latin-1") for name, value in response.headers if name.lower() == b"cache-control"]
    cache_control = ",".join(lines).lower()
    if "no-store" in cache_control or "no-cache" in cache_control:
        return 0
    return parse_max_age(cache_control)


def _host_header(url: str) -> str:
    return parse_web_url(url).origin.removeprefix("https://")


# `getaddrinfo` cannot be cancelled: a lookup without a response occupies its thread for tens of seconds.
_THREADS_FOR_LISTED_HOSTS = 2
_THREADS_FOR_OTHER_HOSTS = 4


class SystemResolver:
    """Resolves host names with the system's resolver. Lookups of `listed_hosts` never wait for those of other hosts.

    `listed_hosts` are `registration.hosts` of auth.yaml or its defaults. The resolver has its own threads, so that a
    slow name server does not delay the rest of the service.
    """

    def __init__(self, *, listed_hosts: Collection[str] = ()) -> None:
        self._listed_hosts = frozenset(listed_hosts)
        self._for_listed = ThreadPoolExecutor(_THREADS_FOR_LISTED_HOSTS, thread_name_prefix="dns-listed")
        self._for_others = ThreadPoolExecutor(_THREADS_FOR_OTHER_HOSTS, thread_name_prefix="dns")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Every address of the host. Raises OSError; ValueError for an invalid host name."""
        threads = self._for_listed if host in self._listed_hosts else self._for_others
        lookup = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(threads, lookup)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def close(self) -> None:
        """Cancels the lookups that have not started; a running one ends by itself."""
        for threads in (self._for_listed, self._for_others):
            threads.shutdown(wait=False, cancel_futures=True)
