"""The verifier of access tokens, with a cache of the tokens that it has verified."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any, Final

import httpx2

from security_common.bounded_cache import BoundedCache
from security_common.tokens.access_token import AccessToken
from security_common.tokens.claims import read_access_token
from security_common.tokens.compact_jws import UnverifiedToken, parse_compact_jws
from security_common.tokens.errors import KeysUnavailable, TokenRejected
from security_common.tokens.issuer_keys import IssuerKeys
from security_common.tokens.status_checks import StatusChecks, StatusPolicy
from security_common.tokens.trusted_issuer import TrustedIssuer
from security_common.tokens.validation_rules import CLAIM_RULES, HEADER_RULES, LEEWAY_SECONDS
from security_common.tokens.verification_keys import algorithm_of

__all__ = ["TokenVerifier"]

MAX_CACHED_TOKENS: Final = 10_000
MAX_CACHED_BYTES: Final = 16 * 1024 * 1024
_SLASH_HINT = "its `iss` differs from a trusted issuer only by the slash at the end"


class TokenVerifier:
    """Verifies access tokens of one or more issuers.

    `start` keeps the keys fresh in the background; without it they are fetched when they are first needed. `clock`
    returns seconds since the epoch; `random_number` returns 0 to 1; `pause` waits for the given seconds.
    `fetch_deadline_seconds` limits a whole fetch of keys or of a status list; a request waits for at most one of each.
    `status_policy` is what happens while a status list cannot be fetched.
    """

    def __init__(
        self,
        issuers: Sequence[TrustedIssuer],
        *,
        http: httpx2.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
        random_number: Callable[[], float] = random.random,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
        fetch_deadline_seconds: float = 4.0,
        status_policy: StatusPolicy | None = None,
    ) -> None:
        client = http or httpx2.AsyncClient()
        self._own_http = client if http is None else None
        self._clock = clock
        self._pause = pause
        self._cache = VerifiedTokenCache(clock)
        self._statuses = StatusChecks(
            status_policy or StatusPolicy(),
            http=client,
            clock=clock,
            random_number=random_number,
            deadline_seconds=fetch_deadline_seconds,
        )
        self._keys = {
            issuer.issuer: IssuerKeys(
                issuer,
                http=client,
                clock=clock,
                random_number=random_number,
                deadline_seconds=fetch_deadline_seconds,
                on_removed=self._cache.discard_signed_with,
            )
            for issuer in issuers
        }
        # The issuer of a token, and thereby its limit, is only known after the token has been parsed.
        self._max_token_bytes = max((issuer.max_token_bytes for issuer in issuers), default=0)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def keys(self) -> Sequence[IssuerKeys]:
        """The keys of each issuer, for metrics."""
        return tuple(self._keys.values())

    @property
    def statuses(self) -> StatusChecks:
        """The status lists, for metrics."""
        return self._statuses

    def replace_issuer(self, issuer: TrustedIssuer) -> None:
        """Replaces what is declared about an issuer that is trusted already, such as its audiences. Its keys stay."""
        self._keys[issuer.issuer].issuer = issuer

    @property
    def ready(self) -> bool:
        """Whether the keys of every issuer are known and were confirmed within the outage limit."""
        now = self._clock()
        return all(keys.are_usable(now) for keys in self._keys.values())

    def has_keys_of(self, issuer: str) -> bool:
        """Whether the keys of this trusted issuer are known and were confirmed within the outage limit."""
        return self._keys[issuer].are_usable(self._clock())

    def key_ids(self) -> dict[str, tuple[str, ...]]:
        """The ids of the known keys, by issuer."""
        return {issuer: keys.key_ids for issuer, keys in self._keys.items()}

    @property
    def problem(self) -> str:
        """The present problems with the issuers and how to fix them; empty if there are none."""
        problems = [keys.problem for keys in self._keys.values()]
        return "; ".join(problem for problem in (*problems, self._statuses.problem) if problem)

    async def start(self) -> None:
        """Begins to keep the keys fresh. Returns at once, so that a service can start before its issuer does.

        A second call has no effect.
        """
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._keep_fresh(keys)) for keys in self._keys.values()]

    async def stop(self) -> None:
        """Ends the background tasks. A second call has no effect."""
        tasks = self._tasks
        self._tasks = []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._statuses.close()
        for keys in self._keys.values():
            await keys.close()
        if self._own_http is not None:
            await self._own_http.aclose()

    async def verify(self, token: str) -> AccessToken:
        """The typed claims of the token.

        Raises:
            TokenRejected: the token is not valid for this server: 401 invalid_token.
            KeysUnavailable: the token cannot be verified now: 503.

        """
        try:
            return self.find_cached(token) or await self._verify_with_status(token)
        except (TokenRejected, KeysUnavailable):
            raise
        except Exception as error:
            # A token is untrusted input: an unexpected error while it is read must not become a 500.
            raise TokenRejected("malformed", "the token cannot be read") from error

    async def verify_again(self, token: AccessToken) -> AccessToken:
        """A token that this verifier has verified before, for a session that goes on as long as the token is valid.

        Whether its issuer still has its key, and whether it was revoked; the caller compares the time of its expiry.
        Raises as `verify` does.
        """
        keys = self._keys.get(token.issuer)
        if keys is None:
            raise TokenRejected("unknown_issuer", "the token's issuer is not one that this server trusts any more")
        await keys.find(token.key_id)
        return await self._statuses.check(token, keys)

    async def _verify_with_status(self, token: str) -> AccessToken:
        verified = self._find_verified(token) or await self._verify(token)
        return await self._statuses.check(verified, self._keys[verified.issuer])

    async def _verify(self, token: str) -> AccessToken:
        """The token, stored in the cache; whether it was revoked since is not checked yet."""
        if len(token) > self._max_token_bytes:
            raise TokenRejected("too_long", f"the token has more than {self._max_token_bytes} bytes")
        unverified = parse_compact_jws(token)
        keys = self._keys_for(unverified)
        for check in HEADER_RULES:
            check(unverified, keys.issuer)
        key = await keys.find(unverified.header["kid"])
        if not key.verifies(unverified.signed, unverified.signature, algorithm=algorithm_of(unverified.header)):
            raise TokenRejected("bad_signature", "the token's signature is not valid")
        now = self._clock()
        for check in CLAIM_RULES:
            check(unverified, keys.issuer, now)
        verified = read_access_token(unverified, keys.issuer)
        if verified.status is None and (verified.issued_at_seconds or 0.0) >= keys.status_since_seconds:
            raise TokenRejected("bad_claim", "the token has no status, which every token of its issuer has")
        self._cache.put(_digest(token), verified, until_seconds=verified.expires_at_seconds + LEEWAY_SECONDS)
        return verified

    def find_cached(self, token: str) -> AccessToken | None:
        """The token from the cache, if it is there, has not expired or been revoked, and the keys are usable.

        Never raises. `verify` begins with it; callers on a hot path call it first, which saves a coroutine. None also
        while the status of the token is not known from a fresh list.
        """
        known = self._find_verified(token)
        if known is None or known.status is None:
            return known
        return self._statuses.check_now(known, self._clock())

    def _find_verified(self, token: str) -> AccessToken | None:
        """The token from the cache, if the keys of its issuer are usable; it may have been revoked."""
        if len(token) > self._max_token_bytes:
            return None
        known = self._cache.get(_digest(token))
        if known is None:
            return None
        keys = self._keys[known.issuer]
        now = self._clock()
        keys.begin_refresh_if_due(now)
        return known if keys.are_usable(now) else None

    def _keys_for(self, token: UnverifiedToken) -> IssuerKeys:
        issuer = token.claims.get("iss")
        keys = self._keys.get(issuer) if isinstance(issuer, str) else None
        if keys is None:
            hint = _SLASH_HINT if self._differs_by_slash(issuer) else ""
            raise TokenRejected("unknown_issuer", "the token's issuer is not one that this server trusts", hint=hint)
        return keys

    def _differs_by_slash(self, issuer: Any) -> bool:
        """Whether a trusted issuer has the same name except for the slash at the end."""
        return isinstance(issuer, str) and (f"{issuer}/" in self._keys or issuer.removesuffix("/") in self._keys)

    async def _keep_fresh(self, keys: IssuerKeys) -> None:
        while True:
            await keys.refresh()
            await self._pause(keys.wait_seconds)


class VerifiedTokenCache:
    """Verified tokens by the SHA-256 of the token. Limited in entries and bytes.

    A cached token costs a hash instead of the verification of a signature. The tokens themselves are not stored, so
    that a memory dump contains none.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tokens: BoundedCache[bytes, AccessToken] = BoundedCache(
            clock=clock, max_entries=MAX_CACHED_TOKENS, max_bytes=MAX_CACHED_BYTES
        )

    def get(self, digest: bytes) -> AccessToken | None:
        return self._tokens.get(digest)

    def put(self, digest: bytes, token: AccessToken, *, until_seconds: float) -> None:
        """Stores the token until `until_seconds`, in seconds since the epoch."""
        lifetime_seconds = until_seconds - self._clock()
        self._tokens.put(digest, token, size_bytes=token.size_bytes, lifetime_seconds=lifetime_seconds)

    def discard_signed_with(self, issuer: str, key_ids: frozenset[str]) -> None:
        """Removes all tokens that were signed with these keys of this issuer."""
        self._tokens.discard_where(lambda token: token.issuer == issuer and token.key_id in key_ids)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
