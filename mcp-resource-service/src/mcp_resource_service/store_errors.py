"""What the stores of this service raise; tools and endpoints turn it into answers."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar

from redis.exceptions import OutOfMemoryError, RedisError

from security_common.errors import SecurityError

__all__ = ["NotFound", "QuotaReached", "StoreUnavailable", "asking"]


class StoreUnavailable(SecurityError):
    """Redis did not answer, or has not confirmed that a write is on disk. The caller may try again."""

    error: ClassVar[str] = "temporarily_unavailable"


class NotFound(SecurityError):
    """There is no such thing, or it belongs to someone else: the answer is the same."""

    error: ClassVar[str] = "not_found"


class QuotaReached(SecurityError):
    """The owner keeps as many records as one may."""

    error: ClassVar[str] = "quota_reached"


@contextmanager
def asking(what: str) -> Generator[None]:
    """Around what asks Redis: its errors become `StoreUnavailable`, saying that `what` is full or does not answer."""
    try:
        yield
    except OutOfMemoryError as failure:
        raise StoreUnavailable(f"{what} is full and takes no writes just now", hint="try again later") from failure
    except RedisError as failure:
        raise StoreUnavailable(f"{what} does not answer", hint="try again in a moment") from failure
