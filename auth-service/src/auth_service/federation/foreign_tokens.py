"""What is checked at every token of another issuer: its times (RFC 7519 section 4.1) and its single use."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis

__all__ = ["CLOCK_TOLERANCE_SECONDS", "find_time_problem", "lifetime_seconds_of", "mark_used", "number_claim"]

CLOCK_TOLERANCE_SECONDS = 30
"""How far the clocks of the issuer and of this server may differ."""


def find_time_problem(claims: Mapping[str, Any], now: float, *, max_age_seconds: float = math.inf) -> str:
    """What is wrong with the times; empty if they are right. `exp` and `iat` are required, `nbf` is optional.

    `now` is in seconds since the epoch, and `max_age_seconds` is how long ago the token may have been issued.
    """
    expires_at, issued_at = number_claim(claims, "exp"), number_claim(claims, "iat")
    latest = now + CLOCK_TOLERANCE_SECONDS
    if expires_at is None or expires_at + CLOCK_TOLERANCE_SECONDS <= now:
        return "exp is missing or past"
    if issued_at is None or issued_at > latest:
        return "iat is missing, or in the future: compare the clocks"
    if issued_at < now - max_age_seconds:
        return f"iat is more than {max_age_seconds / 60:g} minutes ago"
    if "nbf" in claims:
        not_before = number_claim(claims, "nbf")
        if not_before is None or not_before > latest:
            return "nbf is not a time, or in the future: compare the clocks"
    return ""


def lifetime_seconds_of(claims: Mapping[str, Any]) -> float:
    """From `iat` to `exp`; infinite if one of them is missing."""
    expires_at, issued_at = number_claim(claims, "exp"), number_claim(claims, "iat")
    return math.inf if expires_at is None or issued_at is None else expires_at - issued_at


async def mark_used(redis: Redis, prefix: str, claims: Mapping[str, Any], now: float) -> bool:
    """Whether no replica has marked this token, by its issuer and `jti`, before. Raises `RedisError`.

    The mark is kept under `prefix` until the token is refused as expired. `now` is in seconds since the epoch.
    """
    lifetime_seconds = math.ceil(claims["exp"] - now) + CLOCK_TOLERANCE_SECONDS + 1
    digest = hashlib.sha256(f"{claims['iss']}\n{claims['jti']}".encode()).hexdigest()
    return bool(await redis.set(prefix + digest, "1", nx=True, ex=lifetime_seconds))


def number_claim(claims: Mapping[str, Any], name: str) -> float | None:
    """The claim as a finite number; None if it is absent or something else."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
