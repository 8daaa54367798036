"""How this service detects that its Redis was replaced; see `security_common.service.redis_identity`."""

from redis.asyncio import Redis

from auth_service.settings import SERVICE, AuthSettings
from security_common.service import RedisIdentity, secrets_in_use

__all__ = ["open_redis_identity"]


def open_redis_identity(settings: AuthSettings, redis: Redis) -> RedisIdentity:
    """The identity of the Redis that was used before, stored next to the journal, and the secrets used with it."""
    secrets = secrets_in_use(
        keys={
            "AUTH_SECRET_PEPPER_FILE": settings.secret_pepper_file,
            "SECURITY_AUDIT_CHAIN_KEY_FILE": settings.security.audit_chain_key_file,
        },
        keyrings={"AUTH_SIGNING_KEY_KEK_FILE": settings.signing_key_kek_file},
    )
    id_file = settings.security.audit_dir / SERVICE / "redis_identity"
    return RedisIdentity(
        redis, space="auth", id_file=id_file, accept_command="auth-service redis accept", secrets_in_use=secrets
    )
