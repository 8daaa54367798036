"""The identity of the Redis that this service used before: see `security_common.service.redis_identity`."""

from redis.asyncio import Redis

from gateway_service.settings import SERVICE, GatewaySettings
from security_common.service import RedisIdentity, redis_identity_of_service

__all__ = ["KEY_PREFIX", "open_redis_identity"]

KEY_PREFIX = "gw"
"""What every key of this service in Redis begins with."""


def open_redis_identity(settings: GatewaySettings, redis: Redis) -> RedisIdentity:
    """Returns the identity of this Redis, remembered in the audit folder, with the secrets its data depends on."""
    return redis_identity_of_service(redis, settings.security, service=SERVICE, space=KEY_PREFIX)
