"""Which Redis this service used before; see `security_common.service.redis_identity`."""

from redis.asyncio import Redis

from auth_service.settings import SERVICE, AuthSettings
from security_common.service import RedisIdentity

__all__ = ["redis_identity"]


def redis_identity(settings: AuthSettings, redis: Redis) -> RedisIdentity:
    """The identity of this Redis, remembered beside the journal."""
    memory = settings.security.audit_dir / SERVICE / "redis_identity"
    return RedisIdentity(redis, space="auth", memory=memory, accept_command="auth-service redis accept")
