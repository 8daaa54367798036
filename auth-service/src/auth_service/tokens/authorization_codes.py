"""Authorization codes: issued after consent, valid for one minute and one redemption (RFC 6749 section 4.1.2)."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from typing import Annotated

from pydantic import Field, TypeAdapter
from redis.asyncio import Redis

from auth_service.protocol import RandomBytes, base64url
from auth_service.tokens.authorization_grant import AuthorizationGrant

__all__ = ["AuthorizationCodes", "IssuedCode", "RedeemedCode", "Redemption"]

_CODE = "auth:code:"
_REDEEMED = "auth:code-redeemed:"
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

    REDEEMED: by this request. RACED: another request redeemed it and its response is not ready. REUSED: it was redeemed
    before. UNKNOWN: never issued, or expired.
    """

    REDEEMED = "redeemed"
    RACED = "raced"
    REUSED = "reused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ReusedCode:
    """The grant of a code that was redeemed before: its family, and its user."""

    family_id: Annotated[str, Field(alias="family")]  # the stored name
    subject: str


@dataclass(frozen=True, slots=True)
class RedeemedCode:
    """`issued` is set if the code was valid, `reused` if its tokens must be revoked."""

    redemption: Redemption
    issued: IssuedCode | None = field(default=None, repr=False)
    reused: ReusedCode | None = None


_ISSUED_CODE_ADAPTER = TypeAdapter(IssuedCode)
_REUSED_CODE_ADAPTER = TypeAdapter(ReusedCode)


class AuthorizationCodes:
    """Issues and redeems codes. A redeemed code is stored for `reuse_detection_seconds`, while its tokens are valid."""

    def __init__(
        self, redis: Redis, *, random_bytes: RandomBytes, lifetime_seconds: int, reuse_detection_seconds: int
    ) -> None:
        self._redis = redis
        self._redeem = redis.register_script(_REDEEM)
        self._random_bytes = random_bytes
        self._lifetime_seconds = lifetime_seconds
        self._reuse_detection_seconds = reuse_detection_seconds

    def new_family_id(self) -> str:
        """The id of a new authorization grant."""
        return base64url(self._random_bytes(12))

    async def issue(self, issued: IssuedCode) -> str:
        """A new code. Redis stores only its hash."""
        code = base64url(self._random_bytes(32))
        await self._redis.set(
            _CODE + _hash(code), _ISSUED_CODE_ADAPTER.dump_json(issued, by_alias=True), ex=self._lifetime_seconds
        )
        return code

    async def redeem(self, code: str) -> RedeemedCode:
        """Redeems the code before the rest of the request is checked; atomic.

        So a request that fails later uses up the code as well: replay protection is more important than a second
        attempt after a mistake.
        """
        digest = _hash(code)
        keys = [_CODE + digest, _REDEEMED + digest]
        outcome, value = await self._redeem(keys=keys, args=[self._reuse_detection_seconds])
        redemption = Redemption(str(outcome))
        return RedeemedCode(
            redemption,
            issued=_ISSUED_CODE_ADAPTER.validate_json(value) if redemption is Redemption.REDEEMED else None,
            reused=_REUSED_CODE_ADAPTER.validate_json(value) if redemption is Redemption.REUSED else None,
        )

    async def mark_redeemed(self, code: str, grant: AuthorizationGrant) -> None:
        """The tokens of the grant are issued: if the code is presented again, it was copied."""
        document = _REUSED_CODE_ADAPTER.dump_json(ReusedCode(grant.family_id, grant.subject), by_alias=True)
        await self._redis.set(_REDEEMED + _hash(code), document, ex=self._reuse_detection_seconds)


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
