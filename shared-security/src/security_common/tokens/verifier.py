"""The judge of access tokens: a pipeline of rules, with a memory."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any

import httpx2

from security_common.tokens.claims import AccessToken
from security_common.tokens.errors import KeysUnavailable, TokenRejected
from security_common.tokens.issuer_keys import IssuerKeys
from security_common.tokens.issuers import TrustedIssuer
from security_common.tokens.rules import CLAIM_RULES, HEADER_RULES, LEEWAY_SECONDS, read_access_token
from security_common.tokens.signatures import algorithm_of
from security_common.tokens.structure import UnverifiedToken, read_structure
from security_common.tokens.verified import VerifiedTokens

__all__ = ["TokenVerifier"]


class TokenVerifier:
    """Judges access tokens of one or more issuers.

    `start` keeps the keys fresh in the background; without it they are fetched when first needed. `clock` gives seconds
    since the epoch; `randomness` gives 0 to 1; `pause` waits so many seconds. `fetch_deadline_seconds` bounds a whole
    fetch, whatever the issuer does meanwhile; no request waits longer than that for keys.
    """

    def __init__(
        self,
        issuers: Sequence[TrustedIssuer],
        *,
        http: httpx2.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
        randomness: Callable[[], float] = random.random,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
        fetch_deadline_seconds: float = 4.0,
    ) -> None:
        client = http or httpx2.AsyncClient()
        self._own_http = client if http is None else None
        self._clock = clock
        self._pause = pause
        self._verified = VerifiedTokens(clock)
        self._keys = {
            issuer.issuer: IssuerKeys(
                issuer,
                http=client,
                clock=clock,
                randomness=randomness,
                deadline_seconds=fetch_deadline_seconds,
                on_drop=self._verified.drop,
            )
            for issuer in issuers
        }
        # Before a token has been parsed nobody knows whose it is.
        self._max_token_bytes = max((issuer.max_token_bytes for issuer in issuers), default=0)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def keys(self) -> Sequence[IssuerKeys]:
        """The keys of each issuer, for metrics."""
        return tuple(self._keys.values())

    @property
    def ready(self) -> bool:
        """Whether every issuer's keys are known and were seen good within the outage limit."""
        now = self._clock()
        return all(keys.are_usable(now) for keys in self._keys.values())

    def has_keys_of(self, issuer: str) -> bool:
        """Whether the keys of this trusted issuer are known and were seen good within the outage limit."""
        return self._keys[issuer].are_usable(self._clock())

    def key_ids(self) -> dict[str, tuple[str, ...]]:
        """The ids of the keys that verify now, by issuer."""
        return {issuer: keys.key_ids for issuer, keys in self._keys.items()}

    @property
    def problem(self) -> str:
        """What is wrong with the issuers now and how to mend it; empty when nothing is."""
        return "; ".join(keys.problem for keys in self._keys.values() if keys.problem)

    async def start(self) -> None:
        """Begins to fetch keys and returns at once: a service comes up before its issuer does. Twice is once."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._keep_fresh(keys)) for keys in self._keys.values()]

    async def stop(self) -> None:
        """Ends the background work. Twice is once."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for keys in self._keys.values():
            await keys.close()
        if self._own_http is not None:
            await self._own_http.aclose()

    async def verify(self, token: str) -> AccessToken:
        """The token's typed claims.

        Raises:
            TokenRejected: it is not a good token for this server; answer 401 invalid_token.
            KeysUnavailable: it cannot be judged now; answer 503.

        """
        try:
            return self.recall(token) or await self._judge(token)
        except (TokenRejected, KeysUnavailable):
            raise
        except Exception as error:
            # A token is a stranger's input: whatever it breaks on the way, the answer is that it is not good.
            raise TokenRejected("malformed", "the token cannot be read") from error

    async def _judge(self, token: str) -> AccessToken:
        if len(token) > self._max_token_bytes:
            raise TokenRejected("too_long", f"the token has more than {self._max_token_bytes} bytes")
        unverified = read_structure(token)
        keys = self._keys_of(unverified)
        for check in HEADER_RULES:
            check(unverified, keys.issuer)
        key = await keys.find(unverified.header["kid"])
        if not key.verifies(unverified.signed, unverified.signature, algorithm=algorithm_of(unverified.header)):
            raise TokenRejected("bad_signature", "the token's signature is wrong")
        now = self._clock()
        for check in CLAIM_RULES:
            check(unverified, keys.issuer, now)
        verified = read_access_token(unverified, keys.issuer)
        self._verified.put(_digest(token), verified, until_seconds=verified.expires_at_seconds + LEEWAY_SECONDS)
        return verified

    def recall(self, token: str) -> AccessToken | None:
        """A token judged before that still is what it was: not expired, its issuer's keys still trusted. Never raises.

        `verify` begins with it; on its own it saves callers in a hurry the price of a coroutine.
        """
        if len(token) > self._max_token_bytes:
            return None
        known = self._verified.get(_digest(token))
        if known is None:
            return None
        keys, now = self._keys[known.issuer], self._clock()
        keys.begin_refresh_if_due(now)
        return known if keys.are_usable(now) else None

    def _keys_of(self, token: UnverifiedToken) -> IssuerKeys:
        issuer = token.claims.get("iss")
        keys = self._keys.get(issuer) if isinstance(issuer, str) else None
        if keys is None:
            differs = "its `iss` differs from a trusted issuer by the slash at the end"
            hint = differs if self._differs_by_slash(issuer) else ""
            raise TokenRejected(
                "unknown_issuer", "the token comes from an issuer this server does not trust", hint=hint
            )
        return keys

    def _differs_by_slash(self, issuer: Any) -> bool:
        """Whether an issuer of this name is trusted but for the slash at its end."""
        return isinstance(issuer, str) and (f"{issuer}/" in self._keys or issuer.removesuffix("/") in self._keys)

    async def _keep_fresh(self, keys: IssuerKeys) -> None:
        while True:
            await keys.refresh()
            await self._pause(keys.wait_seconds)


def _digest(token: str) -> bytes:
    # The cache knows a token by this, so that a dump of the memory holds no token.
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
