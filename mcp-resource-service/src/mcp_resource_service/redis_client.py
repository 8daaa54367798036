"""The connection to Redis, with the password from its file."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from mcp_resource_service.settings import ResourceSettings

__all__ = ["connect"]

ANSWER_SECONDS = 5.0
CONNECT_SECONDS = 2.0


def connect(settings: ResourceSettings) -> Redis:
    """A pooled client; nothing is connected before the first command."""
    password_file = settings.redis_password_file
    return Redis.from_url(
        settings.redis_url,
        password=password_file.read_text(encoding="utf-8").strip() if password_file else None,
        decode_responses=True,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        health_check_interval=15,
        # A caller who waits is served better by 503 at once than by an answer after ten seconds of trying.
        retry=Retry(ExponentialBackoff(base=0.05, cap=0.2), retries=2),
    )
