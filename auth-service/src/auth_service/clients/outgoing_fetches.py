"""The outgoing requests of this service for clients: rate limits, and whether metadata documents can be fetched.

Unauthenticated clients decide which metadata documents and key sets are fetched. The limits bound what that can cost:

one source address ─▶ one host ─▶ all hosts that are not listed, or all listed hosts
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from auth_service.clients.ssrf_safe_fetch import (
    FetchError,
    FetchProblem,
    FetchTemporarilyFailed,
    SsrfSafeFetcher,
    SystemResolver,
    is_public_address,
)
from auth_service.declaration import KNOWN_DOCUMENTS
from security_common.edge.client_address import network_of
from security_common.task_cancellation import cancel_tasks

__all__ = [
    "FetchAttempt",
    "FetchLimitReached",
    "FetchLimits",
    "MetadataReachability",
    "OutgoingFetches",
    "SharedFetches",
    "try_documents",
]

# The limit of one source address is below that of one host, so one address cannot use up a host's limit. Listed hosts
# are counted separately, so that fetches from other hosts cannot use up theirs.
_PER_SOURCE = RateLimitItemPerMinute(6, namespace="fetches-of-caller")
_PER_HOST = RateLimitItemPerMinute(10, namespace="fetches-from-host")
_PER_LISTED_HOST = RateLimitItemPerMinute(30, namespace="fetches-from-host")
_ALL_UNLISTED = RateLimitItemPerMinute(30, namespace="fetches")
_ALL_LISTED = RateLimitItemPerMinute(60, namespace="fetches")

_FIRST_RETRY_SECONDS, _MAX_RETRY_SECONDS = 60.0, 900.0

log = structlog.get_logger(__name__)

Result = TypeVar("Result")


class FetchLimitReached(FetchTemporarilyFailed):
    """Too many documents were fetched in this minute; nothing is known about this one."""

    def __init__(self) -> None:
        super().__init__("too many documents are being fetched; try again in a minute", FetchProblem.LIMIT)


class SharedFetches(Generic[Result]):
    """Concurrent requests for one URL share one fetch, which continues if one of them is cancelled."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[Result]] = {}

    async def fetch(self, url: str, start: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """The result of the fetch of this URL that is running, or else of `start`."""
        task = self._running.get(url)
        if task is None:
            task = asyncio.create_task(start())
            self._running[url] = task
            task.add_done_callback(lambda _done: self._running.pop(url, None))
        return await asyncio.shield(task)


class FetchLimits:
    """Counts fetches in this process. `listed_hosts` are `registration.hosts` of auth.yaml or its defaults."""

    def __init__(self, *, listed_hosts: Collection[str] = ()) -> None:
        self._listed_hosts = frozenset(listed_hosts)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def count(self, url: str, *, source_address: str) -> None:
        """Counts one fetch of this URL for a request from `source_address`. Raises `FetchLimitReached`.

        A refused fetch is not counted, so the number of counters is bounded by the number of fetches.
        """
        host = urlsplit(url).hostname or ""
        listed = host in self._listed_hosts
        limits: tuple[tuple[RateLimitItem, str], ...] = (
            (_PER_SOURCE, network_of(source_address)),
            (_PER_LISTED_HOST if listed else _PER_HOST, host),
            (_ALL_LISTED, "listed") if listed else (_ALL_UNLISTED, "unlisted"),
        )
        for limit, name in limits:
            if not await self._limiter.test(limit, name):
                raise FetchLimitReached
        for limit, name in limits:
            await self._limiter.hit(limit, name)


@dataclass(frozen=True, slots=True)
class FetchAttempt:
    """The result of fetching a document; `problem` is None if it was fetched."""

    host: str
    problem: FetchProblem | None = None
    description: str = ""


async def try_documents(fetcher: SsrfSafeFetcher, urls: Collection[str]) -> list[FetchAttempt]:
    """Fetches each of the documents once."""

    async def attempt(url: str) -> FetchAttempt:
        host = urlsplit(url).hostname or ""
        try:
            await fetcher.fetch(url)
        except FetchError as error:
            return FetchAttempt(host, error.problem, error.description)
        return FetchAttempt(host)

    return await asyncio.gather(*map(attempt, urls))


class MetadataReachability:
    """Whether this machine can fetch metadata documents: true once one was fetched since the start.

    A client that finds `client_id_metadata_document_supported` in the server metadata sends the URL of its document
    instead of registering. If the document cannot be fetched (offline, behind a firewall), the client cannot sign in.
    So the support is advertised only after a fetch has succeeded; until then the client registers (RFC 7591).
    """

    def __init__(self, fetcher: SsrfSafeFetcher, urls: Collection[str]) -> None:
        self._fetcher = fetcher
        self._urls = urls
        self._confirmed = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_confirmed(self) -> bool:
        """True once a document was fetched."""
        return self._confirmed

    def confirm(self) -> None:
        """A document was fetched for a client."""
        self._confirmed = True

    def start(self) -> None:
        """Tries to fetch the known documents in the background until one succeeds."""
        self._task = asyncio.create_task(self._try_until_confirmed(), name="metadata-reachability")

    async def stop(self) -> None:
        if self._task is not None:
            await cancel_tasks(self._task)

    async def _try_until_confirmed(self) -> None:
        retry_seconds = _FIRST_RETRY_SECONDS
        while not self._confirmed:
            attempts = await try_documents(self._fetcher, self._urls)
            if any(attempt.problem is None for attempt in attempts):
                self._confirmed = True
                log.info("client_metadata_reachable", advertised=True)
                return
            problems = {attempt.host: attempt.problem for attempt in attempts}
            log.info("client_metadata_unreachable", advertised=False, problems=problems)
            await asyncio.sleep(retry_seconds)
            retry_seconds = min(2 * retry_seconds, _MAX_RETRY_SECONDS)


@dataclass(frozen=True, slots=True)
class OutgoingFetches:
    """One fetcher, its resolver and its limits, shared by everything that fetches documents or key sets."""

    fetcher: SsrfSafeFetcher
    limits: FetchLimits
    resolver: SystemResolver
    reachability: MetadataReachability

    @classmethod
    def of(cls, listed_hosts: Collection[str], fetcher: SsrfSafeFetcher | None) -> "OutgoingFetches":
        """The fetches of this process: the listed hosts have limits and resolver threads of their own.

        `fetcher` replaces the default one.
        """
        resolver = SystemResolver(listed_hosts=listed_hosts)
        used_fetcher = fetcher or SsrfSafeFetcher(resolve=resolver, is_allowed=is_public_address)
        return cls(
            fetcher=used_fetcher,
            limits=FetchLimits(listed_hosts=listed_hosts),
            resolver=resolver,
            reachability=MetadataReachability(used_fetcher, KNOWN_DOCUMENTS),
        )

    async def close(self) -> None:
        await self.reachability.stop()
        self.resolver.close()
