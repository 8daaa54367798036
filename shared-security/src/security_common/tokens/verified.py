"""Tokens that were verified before: a known token costs a hash instead of a signature verification."""

from collections.abc import Callable
from typing import Final

from security_common.bounded_cache import BoundedCache
from security_common.tokens.claims import AccessToken

__all__ = ["VerifiedTokens"]

MAX_TOKENS: Final = 10_000
MAX_BYTES: Final = 16 * 1024 * 1024


class VerifiedTokens:
    """Keyed by the SHA-256 of the token, which itself is not kept. Bounded in tokens and bytes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tokens: BoundedCache[bytes, AccessToken] = BoundedCache(
            clock=clock, max_entries=MAX_TOKENS, max_bytes=MAX_BYTES
        )

    def get(self, digest: bytes) -> AccessToken | None:
        return self._tokens.get(digest)

    def put(self, digest: bytes, token: AccessToken, *, until_seconds: float) -> None:
        """Keeps the token until then, in seconds since the epoch."""
        lifetime_seconds = until_seconds - self._clock()
        self._tokens.put(digest, token, size_bytes=token.size_bytes, lifetime_seconds=lifetime_seconds)

    def drop(self, issuer: str, key_ids: frozenset[str]) -> None:
        """Forgets every token that these keys of this issuer have signed."""
        self._tokens.discard_where(lambda token: token.issuer == issuer and token.key_id in key_ids)
