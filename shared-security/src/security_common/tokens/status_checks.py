"""Whether a verified token was revoked since: its status in the list of its issuer, which is fetched every `ttl`.

    younger than ttl             the list decides
    no list, token is younger    it was valid when it was issued; the list is fetched in the background
    older, issuer answers        the request waits for one fetch, which all requests share
    older, issuer does not       the last list decides; a token that is newer than it was valid when it was issued.
                                 After three ttl the strict scopes are withheld, after `outage_seconds` 503

A list in use is fetched again before it is due, so that usually no request waits. It is never fetched from an address
that does not belong to the issuer (`claims.read_status`).
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import httpx2

from security_common.errors import SecurityError
from security_common.tokens.access_token import AccessToken
from security_common.tokens.compact_jws import parse_compact_jws
from security_common.tokens.errors import IssuerUnreachable, KeysUnavailable, TokenRejected
from security_common.tokens.issuer_fetch import fetch_document
from security_common.tokens.issuer_keys import IssuerKeys
from security_common.tokens.status_list import (
    DEFAULT_TTL_SECONDS,
    MAX_LIST_BYTES,
    MEDIA_TYPE,
    StatusList,
    check_list_header,
    read_status_list,
)
from security_common.tokens.verification_keys import algorithm_of

__all__ = ["DEFAULT_OUTAGE_SECONDS", "STRICT_SCOPES", "StatusChecks", "StatusPolicy"]

DEFAULT_OUTAGE_SECONDS: Final = 900.0
STRICT_SCOPES: Final = frozenset({"mcp.decrypt", "mcp.audit"})
STRICT_TTLS: Final = 3
MAX_WAIT_SECONDS: Final = 1.0
REFRESH_AFTER_SHARE: Final = 0.8
MIN_RETRY_SECONDS: Final = 1.0
MAX_RETRY_SECONDS: Final = 15.0
MAX_LISTS: Final = 256
OUTCOMES: Final = ("fetched", "unchanged", "failed")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPolicy:
    """What happens while a list cannot be fetched: the last one is used for `outage_seconds`.

    `strict_scopes` are withheld earlier, after three times the `ttl` of the list.
    """

    outage_seconds: float = DEFAULT_OUTAGE_SECONDS
    strict_scopes: frozenset[str] = STRICT_SCOPES


class StatusChecks:
    """The status lists of all issuers. For metrics, `fetches` counts fetches by outcome."""

    def __init__(
        self, policy: StatusPolicy, *, http: httpx2.AsyncClient, clock: Callable[[], float], deadline_seconds: float
    ) -> None:
        self.fetches: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self._policy = policy
        self._http = http
        self._clock = clock
        self._deadline_seconds = deadline_seconds
        self._lists: dict[str, _FetchedList] = {}

    @property
    def age_seconds(self) -> float:
        """The age of the oldest list in use; NaN if there is none."""
        now = self._clock()
        return max(
            (now - each.fetched_at for each in self._lists.values() if each.content is not None), default=math.nan
        )

    @property
    def problem(self) -> str:
        """The present problems with the lists; empty if there are none."""
        return "; ".join(sorted({each.problem for each in self._lists.values() if each.problem}))

    def check_now(self, token: AccessToken, now: float) -> AccessToken | None:
        """The token if a fresh list says that it is valid; None if `check` has to decide. Never raises."""
        status = token.status
        if status is None:
            return token
        fetched = self._lists.get(status.uri)
        if fetched is None or fetched.content is None or not fetched.is_fresh(now):
            return None
        fetched.begin_fetch_if_due(now)
        position, content = status.index * fetched.content.bits, fetched.content
        if position >> 3 >= len(content.packed) or not content.is_valid(status.index):
            return None
        return token

    async def check(self, token: AccessToken, keys: IssuerKeys) -> AccessToken:
        """The token, without the strict scopes if its status is not known well enough for them.

        Raises:
            TokenRejected: the token was revoked, or its index is not in the list.
            KeysUnavailable: the list is not available, or too old.

        """
        if token.status is None:
            return token
        fetched = self._lists.get(token.status.uri)
        if fetched is None:
            fetched = self._add(token.status.uri, keys)
        now = self._clock()
        if fetched.content is None and 0 <= now - (token.issued_at_seconds or 0.0) < DEFAULT_TTL_SECONDS:
            fetched.begin_fetch_if_due(now)
            return token
        if not fetched.is_fresh(now):
            is_known = self._unknown_seconds(token, fetched) <= self._policy.outage_seconds
            await fetched.refresh(can_decide=is_known)
        return self._decide(token, token.status.index, fetched)

    async def close(self) -> None:
        """Cancels running fetches."""
        for fetched in self._lists.values():
            await fetched.close()

    def _add(self, uri: str, keys: IssuerKeys) -> "_FetchedList":
        if len(self._lists) >= MAX_LISTS:
            oldest = min(self._lists.values(), key=lambda each: each.fetched_at)
            del self._lists[oldest.uri]
        added = _FetchedList(
            uri, keys, http=self._http, clock=self._clock, deadline_seconds=self._deadline_seconds, fetches=self.fetches
        )
        self._lists[uri] = added
        return added

    def _unknown_seconds(self, token: AccessToken, fetched: "_FetchedList") -> float:
        """For how long the status of the token is not known: since the last list, or since the token was issued."""
        now, content = self._clock(), fetched.content
        has_list = content is not None and now < content.expires_at_seconds
        known_at = max(fetched.fetched_at if has_list else 0.0, token.issued_at_seconds or 0.0)
        return max(0.0, now - known_at)

    def _decide(self, token: AccessToken, index: int, fetched: "_FetchedList") -> AccessToken:
        content = fetched.content
        if content is not None and not content.is_valid(index):
            raise TokenRejected("revoked", "the token was revoked", hint="get a new one")
        if fetched.is_fresh(self._clock()):
            return token
        unknown_seconds = self._unknown_seconds(token, fetched)
        if unknown_seconds > self._policy.outage_seconds:
            raise KeysUnavailable(
                "the issuer's list of revoked tokens is not available", hint=fetched.problem or "try again in a moment"
            )
        withheld = token.scopes & self._policy.strict_scopes
        ttl_seconds = DEFAULT_TTL_SECONDS if content is None else content.ttl_seconds
        if withheld and unknown_seconds > STRICT_TTLS * ttl_seconds:
            return replace(token, scopes=token.scopes - withheld, withheld_scopes=withheld)
        return token


class _FetchedList:
    """One list: `content` is the last good one, and `fetched_at` when its fetch began or the issuer confirmed it."""

    def __init__(
        self,
        uri: str,
        keys: IssuerKeys,
        *,
        http: httpx2.AsyncClient,
        clock: Callable[[], float],
        deadline_seconds: float,
        fetches: Counter[str],
    ) -> None:
        self.uri = uri
        self.content: StatusList | None = None
        self.fetched_at = 0.0
        self.problem = ""
        self._keys = keys
        self._http = http
        self._clock = clock
        self._deadline_seconds = deadline_seconds
        self._fetches = fetches
        self._etag: str | None = None
        self._due_at = 0.0
        self._failures = 0
        self._running: asyncio.Task[None] | None = None

    def is_fresh(self, now: float) -> bool:
        """Whether the list is not older than its ttl. Its age is negative if the clock was set back."""
        return self.content is not None and 0 <= now - self.fetched_at < self.content.ttl_seconds

    def begin_fetch_if_due(self, now: float) -> None:
        """Begins a fetch in the background."""
        if now >= self._due_at and not self._is_running:
            self._begin()

    async def refresh(self, *, can_decide: bool) -> None:
        """Waits for a fetch. Never raises.

        A request that can be decided without it waits for a second at most, and during an outage not at all.
        """
        was_failing = self._failures > 0
        now = self._clock()
        if not self._is_running and (not was_failing or now >= self._due_at or self._due_at > now + MAX_RETRY_SECONDS):
            self._begin()
        if self._running is not None and not (was_failing and can_decide):
            await asyncio.wait({self._running}, timeout=MAX_WAIT_SECONDS if can_decide else None)

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    @property
    def _is_running(self) -> bool:
        return self._running is not None and not self._running.done()

    def _begin(self) -> None:
        self._running = asyncio.create_task(self._fetch(), name="status-list")

    async def _fetch(self) -> None:
        # A token that is revoked while the list is on its way may be missing in it.
        began_at = self._clock()
        try:
            async with asyncio.timeout(self._deadline_seconds):
                outcome = await self._fetch_content()
        except TimeoutError:
            self._note_failure(f"{self.uri} took over {self._deadline_seconds:g} s")
        except SecurityError as error:
            self._note_failure(error.description)
        except Exception as error:
            # An unexpected error of a library must not end the fetches. The last list stays in use.
            logger.exception("status_list_unexpected_error uri=%s", self.uri)
            self._note_failure(f"{self.uri} cannot be read ({type(error).__name__})")
        else:
            self._note_success(outcome, began_at)

    async def _fetch_content(self) -> str:
        issuer = self._keys.issuer
        document = await fetch_document(
            self._http, issuer.back_channel_url(self.uri), etag=self._etag, accept=MEDIA_TYPE, max_bytes=MAX_LIST_BYTES
        )
        if document.is_unchanged:
            return "unchanged"
        signed = parse_compact_jws(document.body.decode("ascii", "replace"))
        key = await self._keys.find(check_list_header(signed, issuer))
        if not key.verifies(signed.signed, signed.signature, algorithm=algorithm_of(signed.header)):
            raise IssuerUnreachable(f"a status list of {issuer.issuer} has a wrong signature")
        self.content = read_status_list(signed.claims, issuer, uri=self.uri, now=self._clock())
        self._etag = document.etag
        return "fetched"

    def _note_success(self, outcome: str, began_at: float) -> None:
        if self._failures:
            logger.info("status_list_recovered uri=%s", self.uri)
        self._fetches[outcome] += 1
        self._failures = 0
        self.problem = ""
        self.fetched_at = began_at
        ttl_seconds = self.content.ttl_seconds if self.content is not None else 0.0
        self._due_at = began_at + ttl_seconds * REFRESH_AFTER_SHARE

    def _note_failure(self, problem: str) -> None:
        if problem != self.problem:
            logger.warning("status_list_unavailable uri=%s cause=%s", self.uri, problem)
        self.problem = problem
        self._fetches["failed"] += 1
        self._failures += 1
        self._etag = None
        self._due_at = self._clock() + min(MAX_RETRY_SECONDS, MIN_RETRY_SECONDS * 2 ** min(self._failures - 1, 4))
