"""The verification keys of one issuer: fetched, refreshed before they expire, and kept while the issuer is unreachable.

Refreshes run in the background before the keys expire, so that no request waits for one. A response that is not a
usable key set does not replace the known keys. Unauthenticated clients can cause fetches by sending unknown key ids;
`_FetchBudget` limits these fetches.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from sys import getsizeof
from typing import Final

import httpx2

from security_common.bounded_cache import BoundedCache
from security_common.tokens.document_refresh import OUTCOMES, DocumentRefresh, FetchedDocument
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
MAX_RETRY_SECONDS: Final = 30.0
UNKNOWN_KEY_BURST: Final = 2
UNKNOWN_KEY_REFILL_SECONDS: Final = 30.0
UNKNOWN_KEY_LIFETIME_SECONDS: Final = 60.0
MAX_UNKNOWN_KEYS: Final = 1000
MAX_UNKNOWN_KEYS_BYTES: Final = 256 * 1024


class IssuerKeys:
    """Finds the keys of an issuer by key id.

    `on_removed` is called with the issuer and the ids of keys that a new set no longer contains, or contains with
    another value. `status_since_seconds` is from when on its access tokens have a status, as its metadata says. For
    metrics, `refreshes` counts refreshes by outcome, and `throttled` counts requests whose fetch the budget did not
    allow.
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
        self.status_since_seconds = math.inf
        self.refreshes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self.throttled = 0
        self._http = http
        self._clock = clock
        self._on_removed = on_removed
        self._keys: dict[str, VerificationKey] = {}
        self._jwks_uri: str | None = None
        self._refresh = DocumentRefresh(
            self._fetch_keys,
            name="issuer_keys",
            address=issuer.base_url,
            clock=clock,
            random_number=random_number,
            deadline_seconds=deadline_seconds,
            max_retry_seconds=MAX_RETRY_SECONDS,
            outcomes=self.refreshes,
        )
        self._budget = _FetchBudget(burst=UNKNOWN_KEY_BURST, refill_seconds=UNKNOWN_KEY_REFILL_SECONDS, clock=clock)
        self._unknown: BoundedCache[str, bool] = BoundedCache(
            clock=clock, max_entries=MAX_UNKNOWN_KEYS, max_bytes=MAX_UNKNOWN_KEYS_BYTES
        )

    def are_usable(self, now: float) -> bool:
        """Whether there are keys, and the issuer confirmed them within the outage limit."""
        return bool(self._keys) and now - self._refresh.fetched_at_seconds < OUTAGE_LIMIT_SECONDS

    @property
    def problem(self) -> str:
        """The present problem with the issuer and how to fix it; empty if there is none."""
        return self._refresh.problem

    @property
    def age_seconds(self) -> float:
        """The time since the issuer last returned or confirmed the keys; NaN if it never did."""
        return self._clock() - self._refresh.fetched_at_seconds if self._keys else math.nan

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the known keys."""
        return tuple(self._keys)

    @property
    def wait_seconds(self) -> float:
        """The time until the next refresh is due: before the keys expire, or after a growing delay on failures."""
        wait = self._refresh.due_at_seconds - self._clock()
        # A longer wait means that the clock was set back. Then the refresh is due now.
        return max(0.0, wait) if wait <= MAX_FRESH_SECONDS else 0.0

    def begin_refresh_if_due(self, now: float) -> None:
        """Begins a refresh in the background, for programs that never call `TokenVerifier.start`."""
        if self._keys:
            self._refresh.begin_if_due(now)

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
        if self._refresh.failures:
            raise KeysUnavailable("the issuer does not answer, and the token's key is not known")
        if refreshed:
            self._remember_unknown(key_id)

    def _remember_unknown(self, key_id: str) -> None:
        self._unknown.put(key_id, True, size_bytes=getsizeof(key_id), lifetime_seconds=UNKNOWN_KEY_LIFETIME_SECONDS)

    async def refresh(self) -> None:
        """Fetches the keys, or waits for the running fetch. Never raises: `problem` describes a failure."""
        await asyncio.shield(self._refresh.begin())

    async def close(self) -> None:
        """Cancels a running fetch."""
        await self._refresh.close()

    async def _refresh_within_budget(self) -> bool:
        """Refreshes if a fetch is running or the budget allows another one; returns whether it did."""
        if not self._refresh.is_running and not self._budget.take():
            self.throttled += 1
            return False
        await self.refresh()
        return True

    async def _fetch_keys(self, etag: str | None) -> FetchedDocument:
        """Raises `IssuerUnreachable` if the response is not a usable key set."""
        # After a failure the metadata is read again: the keys may have moved.
        if self._jwks_uri is None or self._refresh.failures:
            metadata = await read_metadata(self._http, self.issuer)
            self._jwks_uri = jwks_uri_in(metadata, self.issuer)
            self.status_since_seconds = status_since_in(metadata)
        document = await fetch_document(self._http, self._jwks_uri, etag=etag)
        if not document.is_unchanged:
            try:
                keys = read_key_set(document.body, self.issuer.algorithms)
            except (ValueError, RecursionError) as error:
                raise IssuerUnreachable(f"{self._jwks_uri} has no keys that can be used") from error
            self._replace(keys)
        max_age = DEFAULT_FRESH_SECONDS if document.max_age_seconds is None else document.max_age_seconds
        fresh_seconds = min(max(max_age, MIN_FRESH_SECONDS), MAX_FRESH_SECONDS)
        return FetchedDocument(is_unchanged=document.is_unchanged, etag=document.etag, fresh_seconds=fresh_seconds)

    def _replace(self, keys: dict[str, VerificationKey]) -> None:
        removed = frozenset(
            key_id for key_id, known in self._keys.items() if key_id not in keys or not keys[key_id].is_same_as(known)
        )
        self._keys = keys
        for key_id in keys:
            self._unknown.discard(key_id)
        if removed:
            self._on_removed(self.issuer.issuer, removed)


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
