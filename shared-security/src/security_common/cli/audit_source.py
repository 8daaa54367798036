"""Where the audit commands read from: journal folders, keys and Redis, by option or by the services' environment."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

from cyclopts import Parameter
from joserfc.jwk import RSAKey
from redis.asyncio import Redis
from redis.exceptions import RedisError

from security_common.errors import SecurityError
from security_common.journal.checkpoint import (
    CHECKPOINTS_KEY,
    CHECKPOINTS_NAME,
    CheckpointKeyInvalid,
    load_checkpoint_key,
    read_checkpoint_file,
)
from security_common.journal.shipping import CURSORS_KEY
from security_common.journal.slot import slots_of
from security_common.settings import SecuritySettings

__all__ = [
    "RedisOptions",
    "RedisUnreachable",
    "ServiceUnknown",
    "checkpoint_key",
    "service_directory",
    "signed_by",
    "told_by_redis",
]


class RedisUnreachable(SecurityError):
    """No Redis was named, or it does not answer."""

    error = "redis_unreachable"


class ServiceUnknown(SecurityError):
    """There is no journal of this service, or more than one service to choose from."""

    error = "unknown_service"


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class RedisOptions:
    """The Redis that holds the stream. Inside a service's container its own settings do."""

    redis: Annotated[
        str | None,
        Parameter(env_var=["SECURITY_REDIS_URL", "MCP_REDIS_URL", "AUTH_REDIS_URL"], help="redis://user@host"),
    ] = None
    redis_password_file: Annotated[
        Path | None,
        Parameter(env_var=["SECURITY_REDIS_PASSWORD_FILE", "MCP_REDIS_PASSWORD_FILE", "AUTH_REDIS_PASSWORD_FILE"]),
    ] = None

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Redis]:
        """Raises RedisUnreachable."""
        if self.redis is None:
            raise RedisUnreachable("no Redis is named", hint="give --redis redis://mcp@127.0.0.1:6379/0")
        file = self.redis_password_file
        password = file.read_text(encoding="utf-8").strip() if file else None
        try:
            async with Redis.from_url(self.redis, password=password, socket_connect_timeout=3) as client:
                yield client
        except RedisError as error:
            raise RedisUnreachable(f"Redis: {error}", hint="is it running, and may this user read audit:*?") from error


def service_directory(settings: SecuritySettings, service: str | None) -> Path:
    """The journal folder of a service; without a name, of the only one there is. Raises ServiceUnknown."""
    present = [each for each in sorted(settings.audit_dir.glob("*")) if slots_of(each)]
    named = [each for each in present if service in (None, each.name)]
    if len(named) == 1:
        return named[0]
    names = ", ".join(each.name for each in present) or "none"
    raise ServiceUnknown(
        f"which journal below {settings.audit_dir}? There is: {names}", hint="choose one with --service"
    )


def checkpoint_key(settings: SecuritySettings, public_key: Path | None) -> RSAKey:
    """What checkpoints are checked with: a public key given, or the service's own key. Raises CheckpointKeyInvalid."""
    path = public_key or settings.audit_checkpoint_key_file
    if path is None:
        raise CheckpointKeyInvalid(
            "no key to check the checkpoints with", hint="set SECURITY_AUDIT_CHECKPOINT_KEY_FILE or give --public-key"
        )
    return load_checkpoint_key(path)


def signed_by(settings: SecuritySettings, directory: Path, extra: Path | None) -> Iterator[tuple[Path, int, str]]:
    """Every signed checkpoint on disk for a service, and those in a file kept elsewhere, with where each stands."""
    kept_in = settings.audit_checkpoint_dir
    for slot in slots_of(directory if kept_in is None else kept_in / directory.name):
        path = slot / CHECKPOINTS_NAME
        for line, text in read_checkpoint_file(path):
            yield path, line, text
    if extra is not None:
        # A file that was named has to be there: to go on without it would say "intact" of less than was asked.
        for line, text in read_checkpoint_file(extra.resolve(strict=True)):
            yield extra, line, text


async def told_by_redis(options: RedisOptions) -> tuple[list[tuple[Path, int, str]], dict[str, int]]:
    """The checkpoints in the stream, and how far the stream has each journal. Raises RedisUnreachable."""
    async with options.connect() as redis:
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await redis.xrange(CHECKPOINTS_KEY))
        answer = await redis.hgetall(CURSORS_KEY)  # pyright: ignore[reportGeneralTypeIssues]  # typed as sync or async
    texts = (told.get(b"checkpoint", b"").decode() for _, told in entries)
    signed = [(Path(CHECKPOINTS_KEY), number, text) for number, text in enumerate(texts, start=1)]
    return signed, {name.decode(): int(seq) for name, seq in cast("dict[bytes, bytes]", answer).items()}
