"""The identity of the Redis that this service used before: see `security_common.service.redis_identity`."""

from redis.asyncio import Redis

from gateway_service.settings import SERVICE, GatewaySettings
from security_common.service import RedisIdentity, secrets_in_use

__all__ = ["KEY_PREFIX", "open_redis_identity"]

KEY_PREFIX = "gw"
"""What every key of this service in Redis begins with."""


def open_redis_identity(settings: GatewaySettings, redis: Redis) -> RedisIdentity:
    """Returns the identity of this Redis, remembered in the audit folder, with the secrets its data depends on."""
    security = settings.security
    secrets = secrets_in_use(
        keys={
            "SECURITY_AUDIT_CHAIN_KEY_FILE": security.audit_chain_key_file,
            "SECURITY_PSEUDONYM_KEY_FILE": security.pseudonym_key_file,
        },
        keyrings={"SECURITY_ENCRYPTION_KEY_FILE": security.encryption_key_file},
    )
    return RedisIdentity(
        redis,
        space=KEY_PREFIX,
        id_file=security.audit_dir / SERVICE / "redis_identity",
        accept_command="gateway-service redis accept",
        secrets_in_use=secrets,
    )
