"""The declaration that the running service has applied, for `auth-service doctor` and the audit trail."""

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from auth_service.audit_recorder import AuditRecorder
from auth_service.declaration import Declaration
from security_common.audit import Action, EventType

__all__ = ["find_applied_fingerprint", "record_applied_declaration"]

_APPLIED = "auth:declaration"

log = structlog.get_logger(__name__)


async def record_applied_declaration(declaration: Declaration, redis: Redis, record: AuditRecorder) -> None:
    """Stores the fingerprint of the declaration, and records an audit event if it is another one than before.

    Without Redis neither is done: the service starts and is not ready.
    """
    fingerprint = declaration.fingerprint
    try:
        before = await redis.set(_APPLIED, fingerprint, get=True)
    except (RedisError, OSError):
        log.warning("declaration_fingerprint_not_stored", cause="redis_unavailable")
        return
    if before != fingerprint:
        await record(None, event_type=EventType.DECLARATION_APPLIED, action=Action.APPLIED, reason=fingerprint)


async def find_applied_fingerprint(redis: Redis) -> str | None:
    """The fingerprint of the declaration that was applied last; None before the first start. Raises `RedisError`."""
    fingerprint = await redis.get(_APPLIED)
    return str(fingerprint) if fingerprint is not None else None
