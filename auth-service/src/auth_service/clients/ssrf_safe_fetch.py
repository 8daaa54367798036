"""GET of a JSON document from an address that a stranger chose, so that it can do no harm.

    URL ─▶ resolve ─▶ all addresses public? ─▶ connect to that very address ─▶ TLS for the name ─▶ 200, JSON, small

Names are resolved once, here, and the connection goes to the address that was checked: a name that resolves to
something else a moment later changes nothing. No redirect is followed, no compression understood, no proxy used. Every
wait has a deadline of its own (name, connection, TLS, each read), and all of them together have one.


Host names to addresses, in threads of their own: a lookup blocks for as long as a name server likes.
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

from security_common.errors import SecurityError

__all__ = [
    "FetchError",
    "FetchFailed",
    "FetchProblem",
    "FetchRefused",
    "Fetched",
    "SsrfSafeFetcher",
    "SystemResolver",
    "is_public_address",
]

_MAX_BYTES = 32 * 1024
_TIMEOUT_SECONDS = 5.0
_RESOLVE_TIMEOUT_SECONDS = 2.5
_STEP_TIMEOUT_SECONDS = 3.0
_MAX_AGE = re.compile(r"(?:^|,)\s*max-age=(\d{1,9})\s*(?:,|$)", re.IGNORECASE)
_JSON = re.compile(r"application/(?:json|[a-z0-9.+-]+\+json)\s*(?:;.*)?", re.IGNORECASE)

# Addresses that Python counts as global or that lead to others: 6to4 and its relays, NAT64, Teredo, ORCHID,
# documentation, segment routing, site-local, AS112 and AMT.
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
    """What kept a document from being fetched. Pages, logs and `auth-service doctor` name it."""

    NAME = "name_not_resolved"
    ADDRESS = "address_not_public"
    CONNECTION = "connection_failed"
    TLS = "tls_failed"
    TIMEOUT = "timeout"
    STATUS = "http_status"
    CONTENT = "not_a_json_document"
    LIMIT = "too_many_fetches"


class FetchError(SecurityError):
    """There is no document; `problem` says why."""

    error = "fetch_failed"

    def __init__(self, description: str, problem: FetchProblem) -> None:
        super().__init__(description)
        self.problem = problem


class FetchRefused(FetchError):
    """The address or the answer is not one we accept; trying again will not help."""


class FetchFailed(FetchError):
    """The network or the other side failed; an earlier copy may still be used."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document; `max_age_seconds` is what Cache-Control says, None when it says nothing."""

    body: bytes = field(repr=False)
    max_age_seconds: int | None


class SsrfSafeFetcher:
    """Fetches small JSON documents. Tests replace `resolve`, `is_allowed` and `tls` to stay on this machine."""

    def __init__(
        self, *, resolve: Resolve, is_allowed: Callable[[Address], bool], tls: ssl.SSLContext | None = None
    ) -> None:
        self._backend = _CheckedBackend(resolve, is_allowed)
        self._tls = tls

    async def fetch(self, url: str) -> Fetched:
        """The document. Raises `FetchRefused` or `FetchFailed`; within five seconds whatever the other side does."""
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS), self._pool() as pool:
                headers = {"host": _host_header(url), "accept": "application/json", "accept-encoding": "identity"}
                async with pool.stream(
                    "GET", url, headers=list(headers.items()), extensions=_STEP_TIMEOUTS
                ) as response:
                    _check_head(response)
                    return Fetched(await _read(response), _max_age(response))
        except (TimeoutError, httpcore2.TimeoutException) as error:
            raise FetchFailed("the document's server did not answer in time", FetchProblem.TIMEOUT) from error
        except httpcore2.ConnectError as error:
            # Our own backend connects, and raises errors of its own: what is left is the TLS handshake.
            raise FetchFailed("the TLS connection to the document's server failed", FetchProblem.TLS) from error
        except (OSError, httpcore2.NetworkError) as error:
            raise FetchFailed("the connection to the document's server broke", FetchProblem.CONNECTION) from error
        except httpcore2.ProtocolError as error:
            raise FetchFailed("the document's server does not speak HTTP", FetchProblem.CONTENT) from error

    def _pool(self) -> httpcore2.AsyncConnectionPool:
        # A pool for each fetch: a kept connection would be one to an address that was checked long ago. The TLS context
        # is shared: it holds all root certificates, almost a megabyte, and takes 25 ms to load.
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return httpcore2.AsyncConnectionPool(ssl_context=self._tls, network_backend=self._backend, max_connections=1)


def is_public_address(address: Address) -> bool:
    """True for an address on the public Internet, judged by what it finally leads to."""
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return is_public_address(mapped)
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _NOT_PUBLIC if network.version == address.version)


class _CheckedBackend(AsyncNetworkBackend):
    """Connects to addresses only, and only to those that were all found acceptable."""

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
        for address in await self._find_addresses(host.strip("[]"), port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError:
                continue  # a machine without IPv6 cannot reach the first address of many hosts, but the next one
        raise FetchFailed("the document's server cannot be connected to", FetchProblem.CONNECTION)

    async def _find_addresses(self, host: str, port: int) -> Sequence[str]:
        """At least one, and all of them acceptable: which one is taken must not be the other side's choice."""
        try:
            async with asyncio.timeout(_RESOLVE_TIMEOUT_SECONDS):
                addresses = await self._resolve(host, port)
        except (OSError, ValueError) as error:
            raise FetchFailed("the host name cannot be resolved", FetchProblem.NAME) from error
        if not addresses:
            raise FetchFailed("the host name has no address", FetchProblem.NAME)
        if not all(self._is_allowed(ip_address(address.partition("%")[0])) for address in addresses):
            raise FetchRefused("the host does not lead to a public address", FetchProblem.ADDRESS)
        return addresses


def _check_head(response: httpcore2.Response) -> None:
    headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
    if response.status >= 500 or response.status == 429:
        raise FetchFailed(f"the document's server answered {response.status}", FetchProblem.STATUS)
    if response.status != 200:
        description = f"the document's server answered {response.status}; it must answer 200 without a redirect"
        raise FetchRefused(description, FetchProblem.STATUS)
    if not _JSON.fullmatch(headers.get(b"content-type", "")):
        raise FetchRefused("the Content-Type of the document is not application/json", FetchProblem.CONTENT)
    if headers.get(b"content-encoding", "identity").lower() != "identity":
        raise FetchRefused("the document is compressed, which was not asked for", FetchProblem.CONTENT)


async def _read(response: httpcore2.Response) -> bytes:
    body = b""
    async for part in response.aiter_stream():
        body += part
        if len(body) > _MAX_BYTES:
            raise FetchRefused(f"the document is larger than {_MAX_BYTES} bytes", FetchProblem.CONTENT)
    return body


def _max_age(response: httpcore2.Response) -> int | None:
    lines = (value.decode("latin-1") for name, value in response.headers if name.lower() == b"cache-control")
    joined = ",".join(lines)
    if "no-store" in joined.lower() or "no-cache" in joined.lower():
        return 0
    found = _MAX_AGE.search(joined)
    return int(found[1]) if found else None


def _host_header(url: str) -> str:
    return url.split("/", 3)[2]


# `getaddrinfo` cannot be cancelled: a lookup that nobody answers holds its thread for tens of seconds.
_THREADS_FOR_RESERVED_HOSTS = 2
_THREADS_FOR_OTHER_HOSTS = 4


class SystemResolver:
    """Resolves names as the system does. Lookups of `reserved_hosts` never wait behind those of other hosts.

    The threads are not those that the rest of the service uses: a slow name server delays no password check.
    """

    def __init__(self, *, reserved_hosts: Collection[str] = ()) -> None:
        self._reserved_hosts = frozenset(reserved_hosts)
        self._for_reserved = ThreadPoolExecutor(_THREADS_FOR_RESERVED_HOSTS, thread_name_prefix="dns-reserved")
        self._for_others = ThreadPoolExecutor(_THREADS_FOR_OTHER_HOSTS, thread_name_prefix="dns")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Every address of the host. Raises OSError, and ValueError for what is not a host name."""
        threads = self._for_reserved if host in self._reserved_hosts else self._for_others
        lookup = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(threads, lookup)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def close(self) -> None:
        """Forgets the lookups that have not begun; one that is under way ends by itself."""
        for threads in (self._for_reserved, self._for_others):
            threads.shutdown(wait=False, cancel_futures=True)
