"""The connection to Redis: its password from a file and never from the URL."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from security_common.service.secrets import read_secret
from security_common.service.settings import ServiceSettings
from security_common.settings import SettingInvalid

__all__ = ["connect"]

_ANSWER_SECONDS = 5.0
_CONNECT_SECONDS = 2.0
# Commands that run at once. Others wait: redis-py's usual pool would refuse them at once, so that a burst of requests
# of one client made those of all others fail.
_CONNECTIONS = 100
_FREE_CONNECTION_SECONDS = 2.0


def connect(settings: ServiceSettings, *, decode: bool = True) -> Redis:
    """A pool that connects when first used; with `decode` it gives str, else bytes.

    Raises `SecretMissing` or `SettingInvalid`.
    """
    prefix = settings.model_config.get("env_prefix", "")
    file = settings.redis_password_file
    password = read_secret(file, f"{prefix}REDIS_PASSWORD_FILE").decode() if file else None
    try:
        pool = BlockingConnectionPool.from_url(
            settings.redis_url,
            max_connections=_CONNECTIONS,
            timeout=_FREE_CONNECTION_SECONDS,
            password=password,
            decode_responses=decode,
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_CONNECT_SECONDS,
            health_check_interval=15,
            # A caller who waits is served better by 503 at once than by an answer after ten seconds of trying.
            retry=Retry(ExponentialBackoff(base=0.05, cap=0.2), retries=2),
        )
    except ValueError as failure:
        hint = "write it like redis://user@host:6379/0, rediss://… or unix://…, without a password"
        raise SettingInvalid(f"{prefix}REDIS_URL is not the URL of a Redis", hint=hint) from failure
    return Redis.from_pool(pool)
