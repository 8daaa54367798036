"""The verification keys of one issuer: fetched, refreshed before they expire, and kept while the issuer is unreachable.

Refreshes run in the background before the keys expire, so that no request waits for one. A response that is not a
usable key set does not replace the known keys. Unauthenticated clients can cause fetches by sending unknown key ids;
`_FetchBudget` limits these fetches.
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
from security_common.tokens.errors import IssuerUnreachable, KeysUnavailable, TokenRejected
from security_common.tokens.issuer_fetch import fetch_document
from security_common.tokens.issuer_metadata import jwks_uri_in, read_metadata, status_since_in
from security_common.tokens.trusted_issuer import TrustedIssuer
from security_common.tokens.verification_keys import VerificationKey, read_key_set

__all__ = ["IssuerKeys"]

OUTAGE_LIMIT_SECONDS: Final = 24 * 3600.0
# A key set is fresh for as long as its Cache-Control header allows, within these bounds. The maximum limits how long a
# key is trusted after its issuer has revoked it, even if the issuer allows its keys to be cached for a day.
DEFAULT_FRESH_SECONDS: Final = 300.0
MIN_FRESH_SECONDS: Final = 10.0
MAX_FRESH_SECONDS: Final = 300.0
# The next refresh is due after this share of the time that the keys are fresh.
REFRESH_AFTER_SHARE: Final = 0.8
MIN_RETRY_SECONDS: Final = 1.0
MAX_RETRY_SECONDS: Final = 30.0
UNKNOWN_KEY_BURST: Final = 2
UNKNOWN_KEY_REFILL_SECONDS: Final = 30.0
UNKNOWN_KEY_LIFETIME_SECONDS: Final = 60.0
MAX_UNKNOWN_KEYS: Final = 1000
MAX_UNKNOWN_KEYS_BYTES: Final = 256 * 1024
OUTCOMES: Final = ("fetched", "unchanged", "failed")

logger = logging.getLogger(__name__)


class IssuerKeys:
    """Finds the keys of an issuer by key id.

    `on_removed` is called with the issuer and the ids of keys that a new set no longer contains, or contains with
    another value. `problem` describes the present problem with the issuer; it is empty if there is none.
    `status_since_seconds` is from when on its access tokens have a status, as its metadata says. For metrics,
    `refreshes` counts refreshes by outcome, and `throttled` counts requests whose fetch the budget did not allow.
    """

    def __init__(
        self,
        issuer: TrustedIssuer,
        *,
        http: httpx2.AsyncClient,
        clock: Callable[[], float],
        random_number: Callable[[], float],
        deadline_seconds: float,
        on_removed: Callable[[str, frozenset[str]], None],
    ) -> None:
        self.issuer = issuer
        self.problem = ""
        self.status_since_seconds = math.inf
        self.refreshes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self.throttled = 0
        self._http = http
        self._clock = clock
        self._random_number = random_number
        self._deadline_seconds = deadline_seconds
        self._on_removed = on_removed
        self._keys: dict[str, VerificationKey] = {}
        self._jwks_uri: str | None = None
        self._etag: str | None = None
        self._fetched_at = 0.0
        self._due_at = 0.0
        self._failures = 0
        self._running_fetch: asyncio.Task[None] | None = None
        self._budget = _FetchBudget(burst=UNKNOWN_KEY_BURST, refill_seconds=UNKNOWN_KEY_REFILL_SECONDS, clock=clock)
        self._unknown: BoundedCache[str, bool] = BoundedCache(
            clock=clock, max_entries=MAX_UNKNOWN_KEYS, max_bytes=MAX_UNKNOWN_KEYS_BYTES
        )

    def are_usable(self, now: float) -> bool:
        """Whether there are keys, and the issuer confirmed them within the outage limit."""
        return bool(self._keys) and now - self._fetched_at < OUTAGE_LIMIT_SECONDS

    @property
    def age_seconds(self) -> float:
        """The time since the issuer last returned or confirmed the keys; NaN if it never did."""
        return self._clock() - self._fetched_at if self._keys else math.nan

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the known keys."""
        return tuple(self._keys)

    @property
    def wait_seconds(self) -> float:
        """The time until the next refresh is due: before the keys expire, or after a growing delay on failures."""
        wait = self._due_at - self._clock()
        # A longer wait means that the clock was set back. Then the refresh is due now.
        return max(0.0, wait) if wait <= MAX_FRESH_SECONDS else 0.0

    def begin_refresh_if_due(self, now: float) -> None:
        """Begins a refresh in the background, for programs that never call `TokenVerifier.start`."""
        if now >= self._due_at and self._keys and not self._is_fetching:
            self._begin_fetch()

    async def find(self, key_id: str) -> VerificationKey:
        """The key with this id. Waits for one fetch at most.

        Raises:
            TokenRejected: the issuer has no such key, or no request was sent to it because the budget for unknown
                key ids is used up.
            KeysUnavailable: there are no usable keys, or the issuer does not answer and the key id is unknown.

        """
        self.begin_refresh_if_due(self._clock())
        if not self.are_usable(self._clock()):
            await self._refresh_within_budget()
            if not self.are_usable(self._clock()):
                raise KeysUnavailable(
                    "the issuer's keys are not available: they were never fetched, or not confirmed for 24 hours",
                    hint="try again in a moment",
                )
            if key_id not in self._keys:
                self._remember_unknown(key_id)
        elif key_id not in self._keys:
            await self._look_for_unknown_key(key_id)
        key = self._keys.get(key_id)
        if key is None:
            raise TokenRejected("unknown_key", "the token's key is not among the known keys of its issuer")
        return key

    async def _look_for_unknown_key(self, key_id: str) -> None:
        """Fetches the keys within the budget, unless they were fetched for this key a moment ago."""
        if self._unknown.get(key_id) is not None:
            return
        refreshed = await self._refresh_within_budget()
        if key_id in self._keys:
            return
        if self._failures:
            raise KeysUnavailable("the issuer does not answer, and the token's key is not known")
        if refreshed:
            self._remember_unknown(key_id)

    def _remember_unknown(self, key_id: str) -> None:
        self._unknown.put(key_id, True, size_bytes=getsizeof(key_id), lifetime_seconds=UNKNOWN_KEY_LIFETIME_SECONDS)

    async def refresh(self) -> None:
        """Fetches the keys, or waits for the running fetch. Never raises: `problem` describes a failure."""
        fetch = self._running_fetch
        if fetch is None or fetch.done():
            fetch = self._begin_fetch()
        await asyncio.shield(fetch)

    async def close(self) -> None:
        """Cancels a running fetch."""
        if self._running_fetch is not None:
            self._running_fetch.cancel()
            await asyncio.gather(self._running_fetch, return_exceptions=True)

    async def _refresh_within_budget(self) -> bool:
        """Refreshes if a fetch is running or the budget allows another one; returns whether it did."""
        if not self._is_fetching and not self._budget.take():
            self.throttled += 1
            return False
        await self.refresh()
        return True

    @property
    def _is_fetching(self) -> bool:
        return self._running_fetch is not None and not self._running_fetch.done()

    def _begin_fetch(self) -> asyncio.Task[None]:
        self._running_fetch = asyncio.create_task(self._fetch(), name="issuer-keys")
        return self._running_fetch

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._fetch_keys()
        except TimeoutError:
            self._note_failure(IssuerUnreachable(f"{self.issuer.base_url} took over {self._deadline_seconds:g} s"))
        except SecurityError as error:
            self._note_failure(error)
        except Exception as error:
            # An unexpected error of a library must not end the refreshes. The known keys stay in use.
            logger.exception("issuer_keys_unexpected_error issuer=%s", self.issuer.issuer)
            problem = f"the keys of {self.issuer.issuer} cannot be read ({type(error).__name__})"
            self._note_failure(IssuerUnreachable(problem))

    async def _fetch_keys(self) -> None:
        if self._jwks_uri is None:
            metadata = await read_metadata(self._http, self.issuer)
            self._jwks_uri = jwks_uri_in(metadata, self.issuer)
            self.status_since_seconds = status_since_in(metadata)
        document = await fetch_document(self._http, self._jwks_uri, etag=self._etag)
        if not document.is_unchanged:
            try:
                keys = read_key_set(document.body, self.issuer.algorithms)
            except (ValueError, RecursionError) as error:
                raise IssuerUnreachable(f"{self._jwks_uri} has no keys that can be used") from error
            self._replace(keys)
            self._etag = document.etag
        if self._failures:
            logger.info("issuer_keys_recovered issuer=%s", self.issuer.issuer)
        self.refreshes["unchanged" if document.is_unchanged else "fetched"] += 1
        self._failures = 0
        self.problem = ""
        self._fetched_at = self._clock()
        max_age = DEFAULT_FRESH_SECONDS if document.max_age_seconds is None else document.max_age_seconds
        fresh_seconds = min(max(max_age, MIN_FRESH_SECONDS), MAX_FRESH_SECONDS)
        # Up to a tenth earlier at random, so that replicas that were started together do not refresh together.
        self._due_at = self._fetched_at + fresh_seconds * REFRESH_AFTER_SHARE * (1 - self._random_number() / 10)

    def _replace(self, keys: dict[str, VerificationKey]) -> None:
        removed = frozenset(
            key_id for key_id, known in self._keys.items() if key_id not in keys or not keys[key_id].is_same_as(known)
        )
        self._keys = keys
        for key_id in keys:
            self._unknown.discard(key_id)
        if removed:
            self._on_removed(self.issuer.issuer, removed)

    def _note_failure(self, error: SecurityError) -> None:
        problem = f"{error.description}: {error.hint}" if error.hint else error.description
        if problem != self.problem:
            logger.warning("%s issuer=%s cause=%s", error.error, self.issuer.issuer, problem)
        self.problem = problem
        self.refreshes["failed"] += 1
        self._failures += 1
        backoff = min(MAX_RETRY_SECONDS, MIN_RETRY_SECONDS * 2 ** min(self._failures - 1, 10))
        self._due_at = self._clock() + backoff * (0.5 + self._random_number() / 2)
        # The keys may have moved: the next fetch reads the metadata again.
        self._jwks_uri = None
        self._etag = None


class _FetchBudget:
    """A token bucket: allows `burst` fetches at once, then one for every `refill_seconds`.

    When the clock is set back, the bucket is full again. It is not made with `limits`, whose storage in memory has no
    token bucket, reads the time of the machine itself, and refuses until a clock that was set back has caught up.
    """

    def __init__(self, *, burst: int, refill_seconds: float, clock: Callable[[], float]) -> None:
        self._burst = float(burst)
        self._refill_seconds = refill_seconds
        self._clock = clock
        self._available = self._burst
        self._updated_at = clock()

    def take(self) -> bool:
        """Takes one fetch from the budget; returns whether there was one."""
        now = self._clock()
        gained = (now - self._updated_at) / self._refill_seconds
        self._available = self._burst if gained < 0 else min(self._burst, self._available + gained)
        self._updated_at = now
        if self._available < 1:
            return False
        self._available -= 1
        return True
