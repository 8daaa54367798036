"""The identity of the Redis that this service used before: see `security_common.service.redis_identity`."""

from redis.asyncio import Redis

from mcp_resource_service.settings import SERVICE, ResourceSettings
from security_common.service import RedisIdentity, redis_identity_of_service

__all__ = ["open_redis_identity"]


def open_redis_identity(settings: ResourceSettings, redis: Redis) -> RedisIdentity:
    """Returns the identity of this Redis, remembered in the audit folder, with the secrets its data depends on."""
    return redis_identity_of_service(redis, settings.security, service=SERVICE, space="mcp")
