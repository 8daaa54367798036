"""Refresh tokens: rotated on each use, in one family per authorization grant (RFC 9700 section 4.14.2).

    refresh token = <family id>.<generation>.<HMAC over both and the family's seed>

    present the current generation               ─▶ rotated: the next generation is current
    present a rotated one in its grace period    ─▶ repeated: the same response
    present a rotated one after its grace period ─▶ reused: the family is revoked

The grace period of a token begins when it is rotated. `rotate_refresh_token.lua` decides which case applies.

Tokens are computed and not stored, so neither Redis nor the pepper alone is enough to make one. The HMAC also
distinguishes an old token from a guess: a guess never revokes a family. Redis keys: `auth:family:<id>`,
`auth:refresh-response:<id>:<generation>`, and `auth:account-families:<sub>`, the families of users of identity
providers.
"""

import hmac
import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib.resources import files

from cryptography.fernet import Fernet
from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.protocol import Clock, RandomBytes, base64url
from auth_service.token_status.status_indices import StatusReference
from auth_service.tokens.authorization_grant import AuthorizationGrant

__all__ = ["FAMILY_PREFIX", "PresentedRefreshToken", "RefreshTokenFamily", "RefreshTokens", "Rotation"]

FAMILY_PREFIX = "auth:family:"
_RESPONSE = "auth:refresh-response:"
_OF_ACCOUNT = "auth:account-families:"
_FAMILIES_AT_A_TIME = 100
_SCRIPTS = files("auth_service.tokens")
_ROTATE = _SCRIPTS.joinpath("rotate_refresh_token.lua").read_text(encoding="utf-8")
_SET_STATUS = _SCRIPTS.joinpath("set_family_status.lua").read_text(encoding="utf-8")
_TOKEN = re.compile(r"([A-Za-z0-9_-]{16})\.([1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokenFamily:
    """What the tokens of a family permit. `expires_at_seconds` (since the epoch) does not change on rotation."""

    grant: AuthorizationGrant
    seed: str = field(repr=False)
    expires_at_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedRefreshToken:
    """A genuine token of a family that still exists. `is_current`: it had not been rotated when it was read."""

    token: str = field(repr=False)
    family: RefreshTokenFamily
    generation: int
    is_current: bool


class Rotation(StrEnum):
    """The result of a rotation.

    REPEATED: the token was rotated before, at most `grace_seconds` ago, so the stored response is sent again. REUSED:
    it was rotated longer ago, so it is treated as copied. GONE: the family does not exist any more.
    """

    ROTATED = "rotated"
    REPEATED = "repeated"
    REUSED = "reused"
    GONE = "gone"


_FAMILY_ADAPTER = TypeAdapter(RefreshTokenFamily)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokens:
    """Issues, rotates and revokes refresh tokens. Times in seconds. Raises `RedisError` if Redis is unavailable."""

    redis: Redis
    pepper: bytes = field(repr=False)
    clock: Clock
    random_bytes: RandomBytes
    idle_seconds: int
    absolute_seconds: int
    grace_seconds: int

    async def issue(self, grant: AuthorizationGrant) -> str:
        """The first refresh token of the grant."""
        expires_at_seconds = int(self.clock()) + self.absolute_seconds
        seed = self.random_bytes(16).hex()
        family = RefreshTokenFamily(grant=grant, seed=seed, expires_at_seconds=expires_at_seconds)
        key, of_account = FAMILY_PREFIX + grant.family_id, _OF_ACCOUNT + grant.subject
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping={"family": _FAMILY_ADAPTER.dump_json(family, by_alias=True), "generation": 1})
            pipe.expire(key, self._idle_seconds_of(family))
            if grant.provider is not None:
                pipe.zadd(of_account, {grant.family_id: expires_at_seconds})
                pipe.zremrangebyscore(of_account, 0, self.clock())
                pipe.expire(of_account, self.absolute_seconds)
            await pipe.execute()
        return self._make_token(family, 1)

    async def read(self, token: str) -> PresentedRefreshToken | None:
        """The token and its family, or None: the token is not genuine, or its family expired or was revoked."""
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            return None
        document, current_generation, status = await self.redis.hmget(
            FAMILY_PREFIX + parts[1], ["family", "generation", "status"]
        )
        if document is None or current_generation is None:
            return None
        family = _FAMILY_ADAPTER.validate_json(document)
        if family.grant.status is None and status is not None:
            family = replace(family, grant=replace(family.grant, status=StatusReference.parse(str(status))))
        generation = int(parts[2])
        is_genuine = hmac.compare_digest(self._make_token(family, generation), token)
        if not is_genuine or family.expires_at_seconds <= self.clock():
            return None
        is_current = current_generation == str(generation)
        return PresentedRefreshToken(token=token, family=family, generation=generation, is_current=is_current)

    async def is_reused(self, presented: PresentedRefreshToken) -> bool:
        """Whether the token was rotated longer ago than the grace period, so that it is treated as copied."""
        return not presented.is_current and not await self.redis.exists(_response_key(presented))

    def next_token(self, presented: PresentedRefreshToken) -> str:
        """The token that replaces the presented one."""
        return self._make_token(presented.family, presented.generation + 1)

    async def rotate(self, presented: PresentedRefreshToken, response: str) -> tuple[Rotation, str]:
        """Makes the next token the current one, and stores `response` for a client that did not receive it; atomic.

        Returns the outcome and the response to send: `response` if it is ROTATED, the stored one if it is REPEATED.
        Otherwise no response may be sent; at REUSED, the family was deleted.
        """
        family, encryption = presented.family, self._response_encryption(presented.token)
        keys = [FAMILY_PREFIX + family.grant.family_id, _response_key(presented)]
        encrypted = encryption.encrypt(response.encode()).decode("ascii")
        args = [presented.generation, encrypted, self.grace_seconds, self._idle_seconds_of(family)]
        outcome, stored = await self.redis.register_script(_ROTATE)(keys=keys, args=args)
        rotation = Rotation(str(outcome))
        if rotation is Rotation.REPEATED:
            return rotation, encryption.decrypt(str(stored).encode()).decode()
        return rotation, response

    async def has_live_families(self, subject: str) -> bool:
        """Whether a user of an identity provider has a family that was neither revoked nor expired.

        The newest are looked up first. The entries of families that have ended are removed from the list.
        """
        key = _OF_ACCOUNT + subject
        while True:
            found = await self.redis.zrevrangebyscore(key, "+inf", self.clock(), start=0, num=_FAMILIES_AT_A_TIME)
            newest = [str(family_id) for family_id in found]
            if not newest:
                return False
            if await self.redis.exists(*(f"{FAMILY_PREFIX}{family_id}" for family_id in newest)):
                return True
            await self.redis.zrem(key, *newest)

    async def set_status(self, family_id: str, status: StatusReference) -> StatusReference:
        """Stores the index of a family that was issued before status lists existed, unless it has one by now.

        Returns the index that is stored: the given one, or that of another request which was faster. The family
        expires when it would have expired without it.
        """
        keys, args = [FAMILY_PREFIX + family_id], [str(status)]
        stored = await self.redis.register_script(_SET_STATUS)(keys=keys, args=args)
        return StatusReference.parse(str(stored)) or status

    def _idle_seconds_of(self, family: RefreshTokenFamily) -> int:
        return max(1, min(self.idle_seconds, family.expires_at_seconds - int(self.clock())))

    def _make_token(self, family: RefreshTokenFamily, generation: int) -> str:
        prefix = f"{family.grant.family_id}.{generation}"
        return f"{prefix}.{self._mac(f'refresh token:{prefix}:{family.seed}')}"

    def _response_encryption(self, token: str) -> Fernet:
        """Encrypts a stored response with a key derived from the presented refresh token and the pepper.

        Redis alone is not enough to read it.
        """
        # Fernet requires the padding of base64, which `base64url` leaves out.
        return Fernet(self._mac(f"response:{token}") + "=")

    def _mac(self, message: str) -> str:
        digest = hmac.digest(self.pepper, message.encode(), "sha256")
        return base64url(digest)


def _response_key(presented: PresentedRefreshToken) -> str:
    return f"{_RESPONSE}{presented.family.grant.family_id}:{presented.generation}"
