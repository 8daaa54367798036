"""Authorization codes: what a person granted, for one minute and one redemption (RFC 6749 section 4.1.2)."""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files

from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.protocol import RandomBytes
from auth_service.tokens.authorization_grant import AuthorizationGrant

__all__ = ["AuthorizationCodes", "IssuedCode", "RedeemedCode", "Redemption"]

_CODE = "auth:code:"
_SPENT = "auth:code-spent:"
_TAKE = files("auth_service.tokens").joinpath("take_code.lua").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCode:
    """What a code stands for: the grant, and what the redemption must prove."""

    grant: AuthorizationGrant
    redirect_uri: str
    code_challenge: str
    nonce: str | None


class Redemption(StrEnum):
    """What taking a code came to. RACED: another request took it and has no answer yet."""

    TAKEN = "taken"
    RACED = "raced"
    REUSED = "reused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RedeemedCode:
    """`granted` when it was taken, `family` when it was used before and its tokens must go."""

    redemption: Redemption
    granted: IssuedCode | None = field(default=None, repr=False)
    family: str | None = None


_DOCUMENT = TypeAdapter(IssuedCode)


class AuthorizationCodes:
    """Issues and takes codes. `memory_seconds` is how long a spent code is known, as long as its tokens live."""

    def __init__(self, redis: Redis, *, random_bytes: RandomBytes, lifetime_seconds: int, memory_seconds: int) -> None:
        self._redis = redis
        self._take = redis.register_script(_TAKE)
        self._random_bytes = random_bytes
        self._lifetime_seconds = lifetime_seconds
        self._memory_seconds = memory_seconds

    def new_family(self) -> str:
        return urlsafe_b64encode(self._random_bytes(12)).decode("ascii")

    async def issue(self, granted: IssuedCode) -> str:
        code = urlsafe_b64encode(self._random_bytes(32)).rstrip(b"=").decode("ascii")
        await self._redis.set(_CODE + _hash(code), _DOCUMENT.dump_json(granted), ex=self._lifetime_seconds)
        return code

    async def take(self, code: str) -> RedeemedCode:
        """Takes it before anything else is judged: replay safety over a second try after an honest mistake."""
        digest = _hash(code)
        outcome, value = await self._take(keys=[_CODE + digest, _SPENT + digest], args=[self._memory_seconds])
        redemption = Redemption(str(outcome))
        return RedeemedCode(
            redemption,
            granted=_DOCUMENT.validate_json(value) if redemption is Redemption.TAKEN else None,
            family=str(value) if redemption is Redemption.REUSED else None,
        )

    async def close(self, code: str, family: str) -> None:
        """The answer is made: from now on the code's return means that somebody copied it."""
        await self._redis.set(_SPENT + _hash(code), family, ex=self._memory_seconds)


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
