"""How many documents are fetched in a minute: strangers decide what is fetched, these limits what that can cost others.

one address ─▶ one host ─▶ all hosts that are not listed │ all listed hosts
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from auth_service.clients.fetching import FetchFailed, FetchProblem
from security_common.addresses import network_of

__all__ = ["FetchBudget", "FetchBudgetSpent"]

# One caller gets much less than a host, and the unlisted hosts together have a budget that listed hosts do not share.
_PER_CALLER = RateLimitItemPerMinute(6, namespace="fetches-of-caller")
_PER_HOST = RateLimitItemPerMinute(10, namespace="fetches-from-host")
_PER_LISTED_HOST = RateLimitItemPerMinute(30, namespace="fetches-from-host")
_ALL_UNLISTED = RateLimitItemPerMinute(30, namespace="fetches")
_ALL_LISTED = RateLimitItemPerMinute(60, namespace="fetches")


class FetchBudgetSpent(FetchFailed):
    """Too many documents were fetched in this minute; nothing is known about the document."""

    def __init__(self) -> None:
        super().__init__("too many documents are being fetched; try again in a minute", FetchProblem.LIMIT)


class FetchBudget:
    """Counts fetches in this process. `listed_hosts` are those that the operator names in auth.yaml."""

    def __init__(self, *, listed_hosts: Collection[str] = ()) -> None:
        self._listed_hosts = frozenset(listed_hosts)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def spend(self, url: str, *, asked_by: str) -> None:
        """One fetch of this URL for the address `asked_by`. Raises `FetchBudgetSpent`.

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
                raise FetchBudgetSpent
        for limit, name in limits:
            await self._limiter.hit(limit, name)
