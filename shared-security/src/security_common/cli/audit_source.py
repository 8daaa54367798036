"""The inputs of the audit commands: journal directories, keys and Redis, from options or from the environment."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, cast

from cyclopts import Parameter
from joserfc.jwk import RSAKey
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from security_common.audit.chain_key import LIBRARY_SERVICE, find_chain_key, read_chain_key_file
from security_common.audit.checkpoints import (
    CHECKPOINTS_KEY,
    CHECKPOINTS_NAME,
    load_checkpoint_key,
    parse_unverified,
    read_checkpoint_file,
)
from security_common.audit.heartbeats import read_heartbeats
from security_common.audit.reading.expected_state import SignedCheckpoint, StreamState
from security_common.audit.segment_files import slots_of
from security_common.audit.stream_shipping import CURSORS_KEY
from security_common.errors import SecurityError
from security_common.redis_errors import RedisUnavailable, explaining_redis_failures
from security_common.secret_files import read_secret_file
from security_common.settings import SecuritySettings

__all__ = [
    "RedisOptions",
    "ServiceKeys",
    "ServiceUnknown",
    "read_stream_state",
    "service_directories",
    "service_directory",
    "service_keys",
    "signed_checkpoints",
    "with_offset",
]

SHIPPING_SECONDS = 5.0
"""How long the command waits for lines that a checkpoint covers to reach the stream."""

_CONNECT_SECONDS = 3.0
# Longer than the 1 s for which `audit tail --follow` lets Redis wait for new events.
_RESPONSE_SECONDS = 5.0


class ServiceUnknown(SecurityError):
    """There is no journal of this service, or several services have journals and none was chosen."""

    error = "unknown_service"


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class RedisOptions:
    """The Redis with the stream. In the container of a service, the settings of the service are used."""

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
        """Raises `RedisUnavailable`."""
        if self.redis is None:
            raise RedisUnavailable("no Redis URL is given", hint="use --redis redis://mcp@127.0.0.1:6379/0")
        file = self.redis_password_file
        password = read_secret_file(file, setting="--redis-password-file") if file else None
        try:
            client = Redis.from_url(
                self.redis,
                password=password,
                socket_connect_timeout=_CONNECT_SECONDS,
                socket_timeout=_RESPONSE_SECONDS,
                retry=Retry(NoBackoff(), retries=0),
            )
        except ValueError as error:
            hint = "use a URL such as redis://mcp@127.0.0.1:6379/0, rediss://… or unix://…"
            raise RedisUnavailable(f"{self.redis.rpartition('@')[2]} is not a valid Redis URL", hint=hint) from error
        with explaining_redis_failures(url=self.redis, url_setting="--redis", file_setting="--redis-password-file"):
            async with client:
                yield client


def with_offset(moment: datetime) -> datetime:
    """A time from an option. One without an offset is UTC."""
    return moment.replace(tzinfo=moment.tzinfo or UTC)


@dataclass(frozen=True, slots=True)
class ServiceKeys:
    """The keys that verify the journals of one service. `chain` is None if there is no chain key."""

    chain: bytes | None
    checkpoint: tuple[RSAKey, ...]


def service_directories(settings: SecuritySettings, service: str | None) -> list[Path]:
    """The journal directories of all services, or of the given one. Raises ServiceUnknown if there is none."""
    present = [each for each in sorted(settings.audit_dir.glob("*")) if slots_of(each)]
    named = [each for each in present if service is None or each.name == service]
    if named:
        return named
    names = ", ".join(each.name for each in present) or "none"
    raise ServiceUnknown(
        f"there is no journal of {service or 'a service'} below {settings.audit_dir}; services with journals: {names}",
        hint="set SECURITY_AUDIT_DIR to the directory of the journals, and choose a service with --service",
    )


def service_directory(settings: SecuritySettings, service: str | None) -> Path:
    """The journal directory of the given service, or of the only one. Raises ServiceUnknown."""
    found = service_directories(settings, service)
    if len(found) == 1:
        return found[0]
    names = ", ".join(each.name for each in found)
    raise ServiceUnknown(
        f"several services have journals below {settings.audit_dir}: {names}", hint="choose one with --service"
    )


def service_keys(
    settings: SecuritySettings, service: str, *, directory: Path | None, public_keys: Sequence[Path]
) -> ServiceKeys:
    """The keys of a service: from its directory below `directory`, which `setup` wrote, or from its settings.

    The journal of a program that only uses the library is sealed with a key beside the journal (see `chain_key`). That
    key is used for it, and there is no checkpoint key. `public_keys`, if given, replace the checkpoint key.

    Raises ServiceUnknown if `directory` has no keys of the service, ChainKeyInvalid and CheckpointKeyInvalid.
    """
    if directory is None:
        chain = find_chain_key(settings, service=service)
        checkpoint = settings.audit_checkpoint_key_file
    elif service == LIBRARY_SERVICE and directory.is_dir():
        # SECURITY_AUDIT_CHAIN_KEY_FILE, if it is set, is the key of another service.
        without_key_file = settings.model_copy(update={"audit_chain_key_file": None})
        chain = find_chain_key(without_key_file, service=service)
        checkpoint = None
    else:
        own_directory = _directory_of(directory, service)
        chain = read_chain_key_file(own_directory / "audit_chain_key")
        checkpoint = own_directory / "audit_checkpoint_key.pem"
    checkpoint_keys = public_keys or ([] if checkpoint is None else [checkpoint])
    return ServiceKeys(chain=chain, checkpoint=tuple(load_checkpoint_key(path) for path in checkpoint_keys))


def _directory_of(directory: Path, service: str) -> Path:
    """`setup` names the directory of a service by the first part of its name: auth, mcp."""
    short_name = directory / service.partition("-")[0]
    for candidate in (directory / service, short_name):
        if candidate.is_dir():
            return candidate
    raise ServiceUnknown(
        f"{directory} has no keys of {service}",
        hint="use the directory that `security-common setup` wrote, or check one service with --service; "
        f"keys are expected in {short_name}",
    )


def signed_checkpoints(settings: SecuritySettings, directory: Path, extra: Path | None) -> Iterator[SignedCheckpoint]:
    """Every signed checkpoint on disk of a service, and those in the file `extra`. Raises OSError."""
    checkpoint_directory = settings.audit_checkpoint_dir
    for slot in slots_of(directory if checkpoint_directory is None else checkpoint_directory / directory.name):
        path = slot / CHECKPOINTS_NAME
        for line, text in read_checkpoint_file(path):
            yield SignedCheckpoint(path, line, text, of_service_only=True)
    if extra is not None:
        # A missing file is an error: without it, "intact" would cover less than the user asked for.
        for line, text in read_checkpoint_file(extra.resolve(strict=True)):
            yield SignedCheckpoint(extra, line, text)


async def read_stream_state(options: RedisOptions) -> StreamState:
    """The checkpoints in the stream, how far the stream has each journal, and the heartbeats. Raises RedisUnavailable.

    A checkpoint can be in the stream a moment before the lines that it covers, so this waits for them.
    """
    async with options.connect() as redis:
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await redis.xrange(CHECKPOINTS_KEY))
        texts = [members.get(b"checkpoint", b"").decode("utf-8", "replace") for _, members in entries]
        covered = _covered_through(texts)
        deadline = time.monotonic() + SHIPPING_SECONDS
        while True:
            answer = await redis.hgetall(CURSORS_KEY)  # pyright: ignore[reportGeneralTypeIssues]  # sync or async
            shipped = _parse_cursors(cast("dict[bytes, bytes]", answer))
            is_behind = any(shipped.get(journal_id, 0) < seq for journal_id, seq in covered.items())
            if not is_behind or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)
        heartbeats = await read_heartbeats(redis)
    path = Path(CHECKPOINTS_KEY)
    signed = [SignedCheckpoint(path, number, text, in_stream=True) for number, text in enumerate(texts, start=1)]
    return StreamState(signed, shipped, heartbeats)


def _parse_cursors(answer: Mapping[bytes, bytes]) -> dict[str, int]:
    """How far the stream has each journal. Invalid entries are ignored: any user of `audit:*` can write them."""
    return {name.decode("utf-8", "replace"): int(seq) for name, seq in answer.items() if seq.isdigit()}


def _covered_through(texts: Iterable[str]) -> dict[str, int]:
    """The highest sequence number that the checkpoints name for each journal, before they are verified."""
    covered: dict[str, int] = {}
    for text in texts:
        try:
            claimed = parse_unverified(text).claimed
        except ValueError:
            continue
        covered[claimed.journal_id] = max(claimed.seq, covered.get(claimed.journal_id, 0))
    return covered
