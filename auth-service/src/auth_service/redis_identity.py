"""How this service detects that its Redis was replaced; see `security_common.service.redis_identity`."""

from redis.asyncio import Redis

from auth_service.settings import SERVICE, AuthSettings
from security_common.service import RedisIdentity

__all__ = ["redis_identity"]


def redis_identity(settings: AuthSettings, redis: Redis) -> RedisIdentity:
    """The identity of the Redis that was used before. It is stored next to the journal."""
    memory = settings.security.audit_dir / SERVICE / "redis_identity"
    return RedisIdentity(redis, space="auth", memory=memory, accept_command="auth-service redis accept")
