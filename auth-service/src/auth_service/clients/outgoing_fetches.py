"""How many documents are fetched in a minute: strangers decide what is fetched, these limits what that can cost others.

one address ─▶ one host ─▶ all hosts that are not listed │ all listed hosts


Whether this machine can fetch metadata documents at all, found out by fetching published ones.

A client that sees `client_id_metadata_document_supported` sends the address of its document and does not register.
Where the document cannot be fetched (offline, behind a firewall), that client cannot sign in: so nothing is advertised
before a fetch has worked, and the client registers (RFC 7591).


What this service fetches for clients: one fetcher, one resolver and one budget for documents and key sets.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from auth_service.clients.ssrf_safe_fetch import (
    FetchError,
    FetchFailed,
    FetchProblem,
    SsrfSafeFetcher,
    SystemResolver,
    is_public_address,
)
from auth_service.declaration import RegistrationPolicy
from security_common.edge.client_address import network_of

__all__ = [
    "KNOWN_DOCUMENTS",
    "FetchAttempt",
    "FetchLimitReached",
    "FetchLimits",
    "MetadataReachability",
    "OutgoingFetches",
    "try_documents",
]

# One caller gets much less than a host, and the unlisted hosts together have a budget that listed hosts do not share.
_PER_CALLER = RateLimitItemPerMinute(6, namespace="fetches-of-caller")
_PER_HOST = RateLimitItemPerMinute(10, namespace="fetches-from-host")
_PER_LISTED_HOST = RateLimitItemPerMinute(30, namespace="fetches-from-host")
_ALL_UNLISTED = RateLimitItemPerMinute(30, namespace="fetches")
_ALL_LISTED = RateLimitItemPerMinute(60, namespace="fetches")


class FetchLimitReached(FetchFailed):
    """Too many documents were fetched in this minute; nothing is known about the document."""

    def __init__(self) -> None:
        super().__init__("too many documents are being fetched; try again in a minute", FetchProblem.LIMIT)


class FetchLimits:
    """Counts fetches in this process. `listed_hosts` are those that the operator names in auth.yaml."""

    def __init__(self, *, listed_hosts: Collection[str] = ()) -> None:
        self._listed_hosts = frozenset(listed_hosts)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def spend(self, url: str, *, asked_by: str) -> None:
        """One fetch of this URL for the address `asked_by`. Raises `FetchLimitReached`.

        A refused fetch is not counted anywhere, so what is remembered is bounded by the fetches that were made.
        """
        host = urlsplit(url).hostname or ""
        listed = host in self._listed_hosts
        limits: tuple[tuple[RateLimitItem, str], ...] = (
            (_PER_CALLER, network_of(asked_by)),
            (_PER_LISTED_HOST if listed else _PER_HOST, host),
            (_ALL_LISTED, "listed") if listed else (_ALL_UNLISTED, "unlisted"),
        )
        for limit, name in limits:
            if not await self._limiter.test(limit, name):
                raise FetchLimitReached
        for limit, name in limits:
            await self._limiter.hit(limit, name)


# Documents that MCP clients publish: Claude Code, VS Code and Codex.
KNOWN_DOCUMENTS = (
    "https://claude.ai/oauth/claude-code-client-metadata",
    "https://vscode.dev/oauth/client-metadata.json",
    "https://chatgpt.com/oauth/codex/client.json",
)

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 60.0, 900.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FetchAttempt:
    """What became of fetching a document; `problem` is None when it was fetched."""

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
    """Knows whether a document has been fetched since the start; tries by itself until one has."""

    def __init__(self, fetcher: SsrfSafeFetcher, urls: Collection[str]) -> None:
        self._fetcher = fetcher
        self._urls = urls
        self._proven = False
        self._task: asyncio.Task[None] | None = None

    @property
    def proven(self) -> bool:
        """True once a document was fetched."""
        return self._proven

    def note_fetched(self) -> None:
        """A document was fetched for a client."""
        self._proven = True

    def start(self) -> None:
        self._task = asyncio.create_task(self._try_until_proven(), name="document-reach")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _try_until_proven(self) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        while not self._proven:
            attempts = await try_documents(self._fetcher, self._urls)
            if any(attempt.problem is None for attempt in attempts):
                self._proven = True
                log.info("metadata documents can be fetched, and are advertised")
                return
            problems = {attempt.host: attempt.problem for attempt in attempts}
            log.info("metadata documents cannot be fetched, and are not advertised", problems=problems)
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class OutgoingFetches:
    """Made once, shared by everything that fetches."""

    fetcher: SsrfSafeFetcher
    budget: FetchLimits
    resolver: SystemResolver
    reach: MetadataReachability

    @classmethod
    def of(cls, policy: RegistrationPolicy, fetcher: SsrfSafeFetcher | None) -> "OutgoingFetches":
        """As the declaration wants it; with a `fetcher` of the caller's, if there is one."""
        resolver = SystemResolver(reserved_hosts=policy.hosts)
        fetcher = fetcher or SsrfSafeFetcher(resolve=resolver, is_allowed=is_public_address)
        budget = FetchLimits(listed_hosts=policy.hosts)
        return cls(
            fetcher=fetcher, budget=budget, resolver=resolver, reach=MetadataReachability(fetcher, KNOWN_DOCUMENTS)
        )

    async def close(self) -> None:
        await self.reach.stop()
        self.resolver.close()
