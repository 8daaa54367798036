"""The identity of the Redis that this service used before: see `security_common.service.redis_identity`."""

from redis.asyncio import Redis

from mcp_resource_service.settings import SERVICE, ResourceSettings
from security_common.service import RedisIdentity

__all__ = ["open_redis_identity"]


def open_redis_identity(settings: ResourceSettings, redis: Redis) -> RedisIdentity:
    """Returns the identity of this Redis, which is remembered in the audit folder."""
    memory = settings.security.audit_dir / SERVICE / "redis_identity"
    return RedisIdentity(redis, space="mcp", memory=memory, accept_command="mcp-resource-service redis accept")
