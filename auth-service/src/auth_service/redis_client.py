"""The connection to Redis: the password comes from its file, never from the URL."""

from redis.asyncio import Redis

from auth_service.settings import AuthSettings, read_secret

__all__ = ["connect"]

_TIMEOUT_SECONDS = 2.0


def connect(settings: AuthSettings, *, decode: bool = True) -> Redis:
    """A pool that connects when first used; with `decode` it gives str, else bytes. Raises `SecretMissing`."""
    password = None
    if settings.redis_password_file is not None:
        password = read_secret(settings.redis_password_file, "AUTH_REDIS_PASSWORD_FILE").decode()
    return Redis.from_url(
        settings.redis_url,
        password=password,
        decode_responses=decode,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
    )
