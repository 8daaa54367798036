"""The errors that the stores of this service raise. Tools and pages show them to the caller."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar

import structlog
from redis.exceptions import OutOfMemoryError, RedisError

from security_common.errors import SecurityError

__all__ = ["NotFound", "QuotaReached", "StoreUnavailable", "redis_errors_as_unavailable"]

log = structlog.get_logger("mcp_resource_service")


class StoreUnavailable(SecurityError):
    """Redis did not answer, or did not confirm that a write is on disk. The caller may try again."""

    error: ClassVar[str] = "temporarily_unavailable"


class NotFound(SecurityError):
    """The object does not exist or belongs to another owner; the response does not distinguish the two."""

    error: ClassVar[str] = "not_found"


class QuotaReached(SecurityError):
    """The owner already has the largest allowed number of records."""

    error: ClassVar[str] = "quota_reached"


@contextmanager
def redis_errors_as_unavailable(store: str) -> Generator[None]:
    """Raises StoreUnavailable instead of Redis errors; `store` names the store in the message."""
    try:
        yield
    except OutOfMemoryError as failure:
        log.warning("store_full", store=store, cause=type(failure).__name__)
        raise StoreUnavailable(f"{store} is full and accepts no writes", hint="try again later") from failure
    except RedisError as failure:
        log.warning("store_unavailable", store=store, cause=type(failure).__name__)
        raise StoreUnavailable(f"{store} does not answer", hint="try again in a moment") from failure
