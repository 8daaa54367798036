"""The connection to Redis: the password comes from its file, never from the URL."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from security_common.service.secrets import read_secret
from security_common.service.settings import ServiceSettings

__all__ = ["connect"]

_ANSWER_SECONDS = 5.0
_CONNECT_SECONDS = 2.0


def connect(settings: ServiceSettings, *, decode: bool = True) -> Redis:
    """A pool that connects when first used; with `decode` it gives str, else bytes. Raises `SecretMissing`."""
    prefix = settings.model_config.get("env_prefix", "")
    file = settings.redis_password_file
    return Redis.from_url(
        settings.redis_url,
        password=read_secret(file, f"{prefix}REDIS_PASSWORD_FILE").decode() if file else None,
        decode_responses=decode,
        socket_timeout=_ANSWER_SECONDS,
        socket_connect_timeout=_CONNECT_SECONDS,
        health_check_interval=15,
        # A caller who waits is served better by 503 at once than by an answer after ten seconds of trying.
        retry=Retry(ExponentialBackoff(base=0.05, cap=0.2), retries=2),
    )
