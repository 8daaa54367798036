"""Refresh tokens, in families: one grant, of which one token at a time is good (RFC 9700 section 4.14.2).

    rt = <family>.<generation>.<HMAC over both and the family's seed>

A token is computed, not stored: Redis alone cannot make one, nor the pepper alone. And a token that was good once can
be told from a guess, so that only the return of a real one ends the family. Keys: `auth:family:<id>`,
`auth:refresh-answer:<id>:<generation>`.


What introspection and revocation need to know of refresh tokens, which the refresh grant keeps.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files

from cryptography.fernet import Fernet
from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.protocol import Clock, RandomBytes
from auth_service.tokens.authorization_grant import AuthorizationGrant
from auth_service.tokens.revoked_tokens import RevokedTokens

__all__ = ["PresentedRefreshToken", "RefreshTokenFamily", "RefreshTokenView", "RefreshTokens", "Rotation"]

_FAMILY = "auth:family:"
_ANSWER = "auth:refresh-answer:"
_ROTATE = files("auth_service.tokens").joinpath("rotate_refresh_token.lua").read_text(encoding="utf-8")
_TOKEN = re.compile(r"([A-Za-z0-9_-]{16})\.([1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokenFamily:
    """What its tokens are for. `expires_at_seconds` is since the epoch, however often it is refreshed."""

    grant: AuthorizationGrant
    seed: str = field(repr=False)
    expires_at_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedRefreshToken:
    """A token that this server made, its family still there."""

    token: str = field(repr=False)
    family: RefreshTokenFamily
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokenView:
    """A refresh token of a family that has not ended. `family` is the grant it belongs to; `expires_at_seconds` is
    since the epoch; `is_current` is False when it was rotated since.
    """

    family: str
    client_id: str
    subject: str
    scopes: tuple[str, ...]
    resource: str
    expires_at_seconds: int
    is_current: bool


class Rotation(StrEnum):
    """What a rotation came to. REPEATED: the token was rotated moments ago, here is that answer again."""

    ROTATED = "rotated"
    REPEATED = "repeated"
    REUSED = "reused"
    GONE = "gone"


_DOCUMENT = TypeAdapter(RefreshTokenFamily)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokens:
    """Begins, rotates and ends families. Times in seconds; raises `RedisError` when Redis is away."""

    redis: Redis
    revoked: RevokedTokens
    pepper: bytes = field(repr=False)
    clock: Clock
    random_bytes: RandomBytes
    idle_seconds: int
    absolute_seconds: int
    grace_seconds: int

    async def begin(self, grant: AuthorizationGrant) -> str:
        """The first refresh token of the grant."""
        expires = int(self.clock()) + self.absolute_seconds
        family = RefreshTokenFamily(grant=grant, seed=self.random_bytes(16).hex(), expires_at_seconds=expires)
        key = _FAMILY + grant.family
        await self.redis.hset(key, mapping={"family": _DOCUMENT.dump_json(family), "generation": 1})
        await self.redis.expire(key, self._idle_for(family))
        return self._make_token(family, 1)

    async def read(self, token: str) -> PresentedRefreshToken | None:
        """The token's family, or None: not a token of ours, or its family has ended."""
        parts = _TOKEN.fullmatch(token)
        document = await self.redis.hget(_FAMILY + parts[1], "family") if parts else None
        if parts is None or document is None:
            return None
        family = _DOCUMENT.validate_json(document)
        generation = int(parts[2])
        genuine = hmac.compare_digest(self._make_token(family, generation), token)
        if not genuine or family.expires_at_seconds <= self.clock():
            return None
        return PresentedRefreshToken(token=token, family=family, generation=generation)

    async def look_up(self, token: str) -> RefreshTokenView | None:
        """What introspection and revocation report about the token; None when `read` returns None."""
        presented = await self.read(token)
        if presented is None:
            return None
        grant = presented.family.grant
        current = await self.redis.hget(_FAMILY + grant.family, "generation")
        return RefreshTokenView(
            family=grant.family,
            client_id=grant.client_id,
            subject=grant.subject,
            scopes=grant.scopes,
            resource=grant.resource,
            expires_at_seconds=presented.family.expires_at_seconds,
            is_current=current == str(presented.generation),
        )

    def next_token(self, presented: PresentedRefreshToken) -> str:
        return self._make_token(presented.family, presented.generation + 1)

    async def rotate(self, presented: PresentedRefreshToken, answer: str) -> tuple[Rotation, str]:
        """Makes the next token the good one and keeps `answer` for a client that did not get it; atomic.

        The string is the answer to give: this one, or the kept one where the token was just rotated.
        """
        family, seal = presented.family, self._seal_of(presented.token)
        keys = [_FAMILY + family.grant.family, f"{_ANSWER}{family.grant.family}:{presented.generation}"]
        sealed = seal.encrypt(answer.encode()).decode("ascii")
        args = [presented.generation, sealed, self.grace_seconds, self._idle_for(family)]
        outcome, kept = await self.redis.register_script(_ROTATE)(keys=keys, args=args)
        rotation = Rotation(str(outcome))
        if rotation is Rotation.REPEATED:
            return rotation, seal.decrypt(str(kept).encode()).decode()
        return rotation, answer

    async def revoke(self, family_id: str) -> None:
        """Ends the family: its refresh tokens at once, its access tokens wherever they are asked about."""
        await self.revoked.revoke(family_id)
        await self.end_family(family_id)

    async def end_family(self, family: str) -> None:
        """Its refresh tokens only."""
        await self.redis.delete(_FAMILY + family)

    def _idle_for(self, family: RefreshTokenFamily) -> int:
        return max(1, min(self.idle_seconds, family.expires_at_seconds - int(self.clock())))

    def _make_token(self, family: RefreshTokenFamily, generation: int) -> str:
        named = f"{family.grant.family}.{generation}"
        return f"{named}.{self._mac(f'refresh token:{named}:{family.seed}')}"

    def _seal_of(self, token: str) -> Fernet:
        """Only who presents the token again can open the answer that is kept for it."""
        return Fernet(self._mac(f"answer:{token}") + "=")

    def _mac(self, message: str) -> str:
        digest = hmac.digest(self.pepper, message.encode(), "sha256")
        return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
