"""Sign-ins that wait for the response of an identity provider: the value of `state`, and what belongs to it.

    state = <id of the authorization request>.<random part>

So the response leads to the authorization request that waits here, whose cookie must be that of the same browser. What
belongs to it is encrypted with a key that only this browser's cookie and the server's key give together. It can be
taken once, within ten minutes.
"""

import hashlib
import re
from dataclasses import dataclass, field

from cryptography.fernet import InvalidToken
from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.protocol import RandomBytes, base64url
from auth_service.web.browser_keys import BrowserKeys

__all__ = ["LIFETIME_SECONDS", "PendingSignIn", "PendingSignIns", "interaction_of"]

LIFETIME_SECONDS = 600
_STATE = re.compile(r"([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignIn:
    """What the response must match, and what the token request needs. `started_at_seconds` is since the epoch."""

    provider: str
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)
    started_at_seconds: float
    max_age_seconds: int | None = None


_PENDING_ADAPTER = TypeAdapter(PendingSignIn)


def interaction_of(state: str) -> str | None:
    """The id of the authorization request in this `state`; None if this service did not make it."""
    match = _STATE.fullmatch(state)
    return match[1] if match else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignIns:
    """Stores what belongs to a `state`. Raises `redis.exceptions.RedisError` if Redis is not available."""

    redis: Redis
    browser_keys: BrowserKeys
    random_bytes: RandomBytes

    def new_secret(self) -> str:
        """A nonce or a code verifier: 256 random bits."""
        return base64url(self.random_bytes(32))

    async def begin(self, pending: PendingSignIn, *, interaction_id: str, secret: str) -> str:
        """Stores it for this authorization request; returns the `state`. `secret` is the cookie of the browser."""
        state = f"{interaction_id}.{self.new_secret()}"
        key = _key(interaction_id, state)
        document = self.browser_keys.encryption_for(secret, key).encrypt(_PENDING_ADAPTER.dump_json(pending))
        await self.redis.set(key, document, ex=LIFETIME_SECONDS)
        return state

    async def take(self, state: str, *, interaction_id: str, secret: str) -> PendingSignIn | None:
        """Returns it once. None if it is unknown, used or expired, or belongs to another browser."""
        key = _key(interaction_id, state)
        document = await self.redis.getdel(key)
        if document is None:
            return None
        try:
            opened = self.browser_keys.encryption_for(secret, key).decrypt(str(document).encode())
        except InvalidToken:
            return None
        return _PENDING_ADAPTER.validate_json(opened)


def _key(interaction_id: str, state: str) -> str:
    digest = hashlib.sha256(state.encode()).hexdigest()
    return f"auth:provider-sign-in:{{{interaction_id}}}:{digest}"
