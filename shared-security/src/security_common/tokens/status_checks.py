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
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import httpx2

from security_common.tokens.access_token import AccessToken
from security_common.tokens.compact_jws import parse_compact_jws
from security_common.tokens.document_refresh import OUTCOMES, DocumentRefresh, FetchedDocument
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
MAX_RETRY_SECONDS: Final = 15.0
MAX_LISTS: Final = 256


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
        self,
        policy: StatusPolicy,
        *,
        http: httpx2.AsyncClient,
        clock: Callable[[], float],
        random_number: Callable[[], float],
        deadline_seconds: float,
    ) -> None:
        self.fetches: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self._policy = policy
        self._http = http
        self._clock = clock
        self._random_number = random_number
        self._deadline_seconds = deadline_seconds
        self._lists: dict[str, _FetchedList] = {}

    @property
    def age_seconds(self) -> float:
        """The age of the oldest list in use; NaN if there is none."""
        now = self._clock()
        return max(
            (now - each.refresh.fetched_at_seconds for each in self._lists.values() if each.content is not None),
            default=math.nan,
        )

    @property
    def problem(self) -> str:
        """The present problems with the lists; empty if there are none."""
        return "; ".join(sorted({each.refresh.problem for each in self._lists.values() if each.refresh.problem}))

    def check_now(self, token: AccessToken, now: float) -> AccessToken | None:
        """The token if a fresh list says that it is valid; None if `check` has to decide. Never raises."""
        status = token.status
        if status is None:
            return token
        fetched = self._lists.get(status.uri)
        if fetched is None or fetched.content is None or not fetched.is_fresh(now):
            return None
        fetched.refresh.begin_if_due(now)
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
            fetched.refresh.begin_if_due(now)
            return token
        if not fetched.is_fresh(now):
            is_known = self._unknown_seconds(token, fetched) <= self._policy.outage_seconds
            await fetched.wait_for_fetch(can_decide=is_known)
        return self._decide(token, token.status.index, fetched)

    async def close(self) -> None:
        """Cancels running fetches."""
        for fetched in self._lists.values():
            await fetched.refresh.close()

    def _add(self, uri: str, keys: IssuerKeys) -> "_FetchedList":
        if len(self._lists) >= MAX_LISTS:
            oldest = min(self._lists.values(), key=lambda each: each.refresh.fetched_at_seconds)
            del self._lists[oldest.uri]
        added = _FetchedList(
            uri,
            keys,
            http=self._http,
            clock=self._clock,
            random_number=self._random_number,
            deadline_seconds=self._deadline_seconds,
            outcomes=self.fetches,
        )
        self._lists[uri] = added
        return added

    def _unknown_seconds(self, token: AccessToken, fetched: "_FetchedList") -> float:
        """For how long the status of the token is not known: since the last list, or since the token was issued."""
        now, content = self._clock(), fetched.content
        has_list = content is not None and now < content.expires_at_seconds
        known_at = max(fetched.refresh.fetched_at_seconds if has_list else 0.0, token.issued_at_seconds or 0.0)
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
                "the issuer's list of revoked tokens is not available",
                hint=fetched.refresh.problem or "try again in a moment",
            )
        withheld = token.scopes & self._policy.strict_scopes
        ttl_seconds = DEFAULT_TTL_SECONDS if content is None else content.ttl_seconds
        if withheld and unknown_seconds > STRICT_TTLS * ttl_seconds:
            return replace(token, scopes=token.scopes - withheld, withheld_scopes=withheld)
        return token


class _FetchedList:
    """One list: `content` is the last good one; `refresh` fetches it."""

    def __init__(
        self,
        uri: str,
        keys: IssuerKeys,
        *,
        http: httpx2.AsyncClient,
        clock: Callable[[], float],
        random_number: Callable[[], float],
        deadline_seconds: float,
        outcomes: Counter[str],
    ) -> None:
        self.uri = uri
        self.content: StatusList | None = None
        self.refresh = DocumentRefresh(
            self._fetch,
            name="status_list",
            address=uri,
            clock=clock,
            random_number=random_number,
            deadline_seconds=deadline_seconds,
            max_retry_seconds=MAX_RETRY_SECONDS,
            outcomes=outcomes,
        )
        self._keys = keys
        self._http = http
        self._clock = clock

    def is_fresh(self, now: float) -> bool:
        """Whether the list is not older than its ttl. Its age is negative if the clock was set back."""
        return self.content is not None and 0 <= now - self.refresh.fetched_at_seconds < self.content.ttl_seconds

    async def wait_for_fetch(self, *, can_decide: bool) -> None:
        """Waits for a fetch. Never raises.

        A request that can be decided without it waits for a second at most, and during an outage not at all.
        """
        was_failing = self.refresh.failures > 0
        wait_seconds = self.refresh.due_at_seconds - self._clock()
        # A longer wait means that the clock was set back. Then the fetch is due now.
        is_retry_due = wait_seconds <= 0 or wait_seconds > MAX_RETRY_SECONDS
        if was_failing and not is_retry_due and not self.refresh.is_running:
            return
        fetch = self.refresh.begin()
        if not (was_failing and can_decide):
            await asyncio.wait({fetch}, timeout=MAX_WAIT_SECONDS if can_decide else None)

    async def _fetch(self, etag: str | None) -> FetchedDocument:
        """Raises `SecurityError` if the response is not a list of this issuer."""
        issuer = self._keys.issuer
        document = await fetch_document(
            self._http, issuer.back_channel_url(self.uri), etag=etag, accept=MEDIA_TYPE, max_bytes=MAX_LIST_BYTES
        )
        if not document.is_unchanged:
            self.content = await self._read(document.body)
        fresh_seconds = self.content.ttl_seconds if self.content is not None else 0.0
        return FetchedDocument(is_unchanged=document.is_unchanged, etag=document.etag, fresh_seconds=fresh_seconds)

    async def _read(self, body: bytes) -> StatusList:
        issuer = self._keys.issuer
        signed = parse_compact_jws(body.decode("ascii", "replace"))
        key = await self._keys.find(check_list_header(signed, issuer))
        if not key.verifies(signed.signed, signed.signature, algorithm=algorithm_of(signed.header)):
            raise IssuerUnreachable(f"a status list of {issuer.issuer} has a wrong signature")
        return read_status_list(signed.claims, issuer, uri=self.uri, now=self._clock())
