"""The keys of one issuer through its whole life: cold, fresh, stale during an outage, rotated.

A due refresh runs ahead of expiry in the background, so that no request waits for it. Whatever the endpoint answers,
the keys stay unless it is a good set. Strangers who invent key ids spend a budget, not our issuer's patience.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable
from sys import getsizeof
from typing import Final

import httpx2

from security_common.bounded_cache import BoundedCache
from security_common.errors import SecurityError
from security_common.tokens.budget import Budget
from security_common.tokens.errors import IssuerUnreachable, KeysUnavailable, TokenRejected
from security_common.tokens.fetch import fetch
from security_common.tokens.issuers import TrustedIssuer
from security_common.tokens.keys import VerificationKey, read_keys
from security_common.tokens.metadata import read_jwks_uri

__all__ = ["IssuerKeys"]

OUTAGE_LIMIT_SECONDS: Final = 24 * 3600.0
# How long a set stays fresh: what its Cache-Control says, within these bounds. A key that its issuer has revoked is
# trusted for no longer than that, so an issuer that allows a day is asked every five minutes all the same.
DEFAULT_MAX_AGE_SECONDS, MIN_MAX_AGE_SECONDS, MAX_MAX_AGE_SECONDS = 300.0, 10.0, 300.0
REFRESH_AHEAD: Final = 0.8
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 1.0, 30.0
UNKNOWN_KEY_BURST, UNKNOWN_KEY_REFILL_SECONDS = 2, 30.0
UNKNOWN_KEY_SECONDS, UNKNOWN_KEYS, UNKNOWN_KEYS_BYTES = 60.0, 1000, 256 * 1024
OUTCOMES: Final = ("fetched", "unchanged", "failed")

logger = logging.getLogger(__name__)


class IssuerKeys:
    """Finds keys by id. `on_drop` is told of ids whose key has vanished or changed, with a fresh set in hand.

    For who watches: `problem` is what is wrong now, `refreshes` counts by outcome, `throttled` the requests that would
    have caused a fetch and were not let.
    """

    def __init__(
        self,
        issuer: TrustedIssuer,
        *,
        http: httpx2.AsyncClient,
        clock: Callable[[], float],
        randomness: Callable[[], float],
        deadline_seconds: float,
        on_drop: Callable[[str, frozenset[str]], None],
    ) -> None:
        self.issuer = issuer
        self.problem = ""
        self.refreshes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self.throttled = 0
        self._http = http
        self._clock = clock
        self._randomness = randomness
        self._deadline_seconds = deadline_seconds
        self._on_drop = on_drop
        self._keys: dict[str, VerificationKey] = {}
        self._jwks_uri: str | None = None
        self._etag: str | None = None
        self._fetched_at = 0.0
        self._due_at = 0.0
        self._failures = 0
        self._flight: asyncio.Task[None] | None = None
        self._budget = Budget(burst=UNKNOWN_KEY_BURST, refill_seconds=UNKNOWN_KEY_REFILL_SECONDS, clock=clock)
        self._unknown: BoundedCache[str, bool] = BoundedCache(
            clock=clock, max_entries=UNKNOWN_KEYS, max_bytes=UNKNOWN_KEYS_BYTES
        )

    def are_usable(self, now: float) -> bool:
        """Whether there are keys, seen good within the outage limit."""
        return bool(self._keys) and now - self._fetched_at < OUTAGE_LIMIT_SECONDS

    @property
    def age_seconds(self) -> float:
        """How long ago the issuer last answered with a good set, or that ours still is; NaN before the first time."""
        return self._clock() - self._fetched_at if self._keys else math.nan

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys known now."""
        return tuple(self._keys)

    @property
    def wait_seconds(self) -> float:
        """How long to wait before the next refresh: ahead of expiry, or growing while the issuer fails."""
        wait = self._due_at - self._clock()
        # A clock that was set back must not put the next look off until it has caught up.
        return max(0.0, wait) if wait <= MAX_MAX_AGE_SECONDS else 0.0

    def begin_refresh_if_due(self, now: float) -> None:
        """For those who never call `TokenVerifier.start`; the request that finds the keys due does not wait."""
        if now >= self._due_at and self._keys and not self._under_way:
            self._begin_refresh()

    async def find(self, key_id: str) -> VerificationKey:
        """The key.

        Raises:
            TokenRejected: the issuer has no such key.
            KeysUnavailable: there are no keys, or they cannot be asked about this one.

        """
        self.begin_refresh_if_due(self._clock())
        if not self.are_usable(self._clock()):
            await self._refresh_on_demand()
            if not self.are_usable(self._clock()):
                raise KeysUnavailable("the issuer's keys are not known yet", hint="try again in a moment")
        if key_id not in self._keys and self._unknown.get(key_id) is None:
            asked = await self._refresh_on_demand()
            if key_id not in self._keys:
                if self._failures:
                    raise KeysUnavailable("the issuer does not answer, and the token's key is new to us")
                if asked:
                    self._unknown.put(key_id, True, size_bytes=getsizeof(key_id), lifetime_seconds=UNKNOWN_KEY_SECONDS)
        key = self._keys.get(key_id)
        if key is None:
            raise TokenRejected("unknown_key", "the token is signed with a key its issuer does not publish")
        return key

    async def refresh(self) -> None:
        """Fetches the keys, or joins the fetch under way. Never raises: `problem` tells how it went."""
        flight = self._flight if self._flight is not None and self._under_way else self._begin_refresh()
        await asyncio.shield(flight)

    async def close(self) -> None:
        """Ends a fetch under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)

    async def _refresh_on_demand(self) -> bool:
        """Whether a fetch was made or joined: what strangers can cause is bounded."""
        if not self._under_way and not self._budget.take():
            self.throttled += 1
            return False
        await self.refresh()
        return True

    @property
    def _under_way(self) -> bool:
        return self._flight is not None and not self._flight.done()

    def _begin_refresh(self) -> asyncio.Task[None]:
        self._flight = asyncio.create_task(self._fetch(), name="issuer-keys")
        return self._flight

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._fetch_keys()
        except TimeoutError:
            self._note_failure(IssuerUnreachable(f"{self.issuer.base_url} took over {self._deadline_seconds:g} s"))
        except SecurityError as error:
            self._note_failure(error)
        except Exception as error:
            # A library's surprise must not end the refreshing: the keys we have stay good meanwhile.
            logger.exception("keys of %s: unexpected %s", self.issuer.issuer, type(error).__name__)
            self._note_failure(IssuerUnreachable(f"the keys of {self.issuer.issuer} cannot be read"))

    async def _fetch_keys(self) -> None:
        if self._jwks_uri is None:
            self._jwks_uri = await read_jwks_uri(self._http, self.issuer)
        document = await fetch(self._http, self._jwks_uri, etag=self._etag)
        if document.body is not None:
            try:
                keys = read_keys(document.body, self.issuer.algorithms)
            except (ValueError, RecursionError) as error:
                raise IssuerUnreachable(f"{self._jwks_uri} has no keys we can use") from error
            self._replace(keys)
            self._etag = document.etag
        if self._failures:
            logger.info("keys of %s are back", self.issuer.issuer)
        self.refreshes["unchanged" if document.body is None else "fetched"] += 1
        self._failures, self.problem = 0, ""
        self._fetched_at = self._clock()
        max_age = DEFAULT_MAX_AGE_SECONDS if document.max_age_seconds is None else document.max_age_seconds
        kept = min(max(max_age, MIN_MAX_AGE_SECONDS), MAX_MAX_AGE_SECONDS)
        # Up to a tenth earlier, so that replicas started together do not ask together.
        self._due_at = self._fetched_at + kept * REFRESH_AHEAD * (1 - self._randomness() / 10)

    def _replace(self, keys: dict[str, VerificationKey]) -> None:
        dropped = frozenset(
            key_id for key_id, known in self._keys.items() if key_id not in keys or not keys[key_id].is_same_as(known)
        )
        self._keys = keys
        for key_id in keys:
            self._unknown.discard(key_id)
        if dropped:
            self._on_drop(self.issuer.issuer, dropped)

    def _note_failure(self, error: SecurityError) -> None:
        problem = f"{error.description}: {error.hint}" if error.hint else error.description
        if problem != self.problem:
            logger.warning("%s: %s", error.error, problem)
        self.problem = problem
        self.refreshes["failed"] += 1
        self._failures += 1
        backoff = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 10))
        self._due_at = self._clock() + backoff * (0.5 + self._randomness() / 2)
        # The keys may have moved: ask the metadata again.
        self._jwks_uri = self._etag = None
