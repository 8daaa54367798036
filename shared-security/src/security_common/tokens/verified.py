"""Tokens judged before: a known token costs a hash instead of an RSA verification."""

from security_common.tokens.claims import AccessToken

__all__ = ["VerifiedTokens"]


class VerifiedTokens:
    """Keyed by the SHA-256 of the token, which itself is not kept. Bounded: the one unused longest leaves first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._tokens: dict[bytes, AccessToken] = {}

    def get(self, digest: bytes) -> AccessToken | None:
        token = self._tokens.pop(digest, None)
        if token is not None:
            self._tokens[digest] = token
        return token

    def put(self, digest: bytes, token: AccessToken) -> None:
        if len(self._tokens) >= self._capacity:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[digest] = token

    def forget(self, digest: bytes) -> None:
        self._tokens.pop(digest, None)

    def drop(self, issuer: str, key_ids: frozenset[str]) -> None:
        """Forgets every token that these keys of this issuer have signed."""
        self._tokens = {
            digest: token
            for digest, token in self._tokens.items()
            if token.issuer != issuer or token.key_id not in key_ids
        }
