"""Redis: the connection, its password from a file and never from the URL; and whether Redis keeps what it is given."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import NoPermissionError

from security_common.service.secrets import read_secret
from security_common.service.settings import ServiceSettings
from security_common.settings import SettingInvalid

__all__ = ["STRICT_HINT", "connect", "find_weaknesses"]

_ANSWER_SECONDS = 5.0
_CONNECT_SECONDS = 2.0
_STRICT = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
STRICT_HINT = "set appendonly yes, appendfsync always, maxmemory-policy noeviction"


def connect(settings: ServiceSettings, *, decode: bool = True) -> Redis:
    """A pool that connects when first used; with `decode` it gives str, else bytes.

    Raises `SecretMissing` or `SettingInvalid`.
    """
    prefix = settings.model_config.get("env_prefix", "")
    file = settings.redis_password_file
    password = read_secret(file, f"{prefix}REDIS_PASSWORD_FILE").decode() if file else None
    try:
        return Redis.from_url(
            settings.redis_url,
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


async def find_weaknesses(redis: Redis) -> list[str]:
    """What this Redis is set to that could lose or drop data; empty when it is as strict as it should be."""
    try:
        found: dict[str | None, str | None] = await redis.config_get(*_STRICT)
    except NoPermissionError:
        return ["its settings cannot be read: allow +config|get"]
    return [
        f"{name} is {found.get(name)}, not {wanted}" for name, wanted in _STRICT.items() if found.get(name) != wanted
    ]
