"""Authorization codes: issued after consent, valid for one minute and one redemption (RFC 6749 section 4.1.2)."""

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
_REDEEM = files("auth_service.tokens").joinpath("redeem_code.lua").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCode:
    """The grant of a code, and what the token request must match."""

    grant: AuthorizationGrant
    redirect_uri: str
    code_challenge: str
    nonce: str | None


class Redemption(StrEnum):
    """The result of redeeming a code.

    TAKEN: by this request. RACED: another request redeemed it and its response is not ready. REUSED: it was redeemed
    before. UNKNOWN: never issued, or expired.
    """

    TAKEN = "taken"
    RACED = "raced"
    REUSED = "reused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RedeemedCode:
    """`issued` is set if the code was valid. `family` is set if it was reused: its tokens must be revoked."""

    redemption: Redemption
    issued: IssuedCode | None = field(default=None, repr=False)
    family: str | None = None


_DOCUMENT = TypeAdapter(IssuedCode)


class AuthorizationCodes:
    """Issues and redeems codes. A redeemed code is remembered for `memory_seconds`, as long as its tokens are valid."""

    def __init__(self, redis: Redis, *, random_bytes: RandomBytes, lifetime_seconds: int, memory_seconds: int) -> None:
        self._redis = redis
        self._redeem = redis.register_script(_REDEEM)
        self._random_bytes = random_bytes
        self._lifetime_seconds = lifetime_seconds
        self._memory_seconds = memory_seconds

    def new_family_id(self) -> str:
        """The id of a new authorization grant."""
        return urlsafe_b64encode(self._random_bytes(12)).decode("ascii")

    async def issue(self, issued: IssuedCode) -> str:
        """A new code. Redis stores only its hash."""
        code = urlsafe_b64encode(self._random_bytes(32)).rstrip(b"=").decode("ascii")
        await self._redis.set(_CODE + _hash(code), _DOCUMENT.dump_json(issued), ex=self._lifetime_seconds)
        return code

    async def redeem(self, code: str) -> RedeemedCode:
        """Redeems the code before the rest of the request is checked; atomic.

        So a request that fails later spends the code as well: replay protection is more important than a second attempt
        after a mistake.
        """
        digest = _hash(code)
        outcome, value = await self._redeem(keys=[_CODE + digest, _SPENT + digest], args=[self._memory_seconds])
        redemption = Redemption(str(outcome))
        return RedeemedCode(
            redemption,
            issued=_DOCUMENT.validate_json(value) if redemption is Redemption.TAKEN else None,
            family=str(value) if redemption is Redemption.REUSED else None,
        )

    async def mark_spent(self, code: str, family: str) -> None:
        """The tokens are issued: if the code is presented again, it was copied."""
        await self._redis.set(_SPENT + _hash(code), family, ex=self._memory_seconds)


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
