"""Which Redis this service used before; see `security_common.service.redis_identity`."""

from redis.asyncio import Redis

from mcp_resource_service.settings import SERVICE, ResourceSettings
from security_common.service import RedisIdentity

__all__ = ["redis_identity"]


def redis_identity(settings: ResourceSettings, redis: Redis) -> RedisIdentity:
    """The identity of this Redis, remembered beside the journal."""
    memory = settings.security.audit_dir / SERVICE / "redis_identity"
    return RedisIdentity(redis, space="mcp", memory=memory, accept_command="mcp-resource-service redis accept")
