"""Where the audit commands read from: journal folders, keys and Redis, by option or by the services' environment."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

from cyclopts import Parameter
from joserfc.jwk import RSAKey
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from security_common.audit.chain_key import LIBRARY_SERVICE, load_chain_key, read_chain_key_file
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
from security_common.redis_errors import RedisUnavailable, explain_redis_failure
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
    "signed_by",
]

SHIPPING_SECONDS = 5.0
"""How long lines that a checkpoint already covers may need to reach the stream."""

_CONNECT_SECONDS = 3.0
# Longer than `audit tail --follow` lets Redis wait for new events (1 s).
_ANSWER_SECONDS = 5.0


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
        """Raises `RedisUnavailable`."""
        if self.redis is None:
            raise RedisUnavailable("no Redis is named", hint="give --redis redis://mcp@127.0.0.1:6379/0")
        file = self.redis_password_file
        password = read_secret_file(file, setting="--redis-password-file") if file else None
        try:
            client = Redis.from_url(
                self.redis,
                password=password,
                socket_connect_timeout=_CONNECT_SECONDS,
                socket_timeout=_ANSWER_SECONDS,
                retry=Retry(NoBackoff(), retries=0),
            )
        except ValueError as error:
            hint = "a URL such as redis://mcp@127.0.0.1:6379/0, rediss://… or unix://…"
            raise RedisUnavailable(f"{self.redis.rpartition('@')[2]} is not the URL of a Redis", hint=hint) from error
        try:
            async with client:
                yield client
        except (RedisError, TimeoutError, ConnectionError) as error:
            raise explain_redis_failure(
                error, url=self.redis, url_setting="--redis", file_setting="--redis-password-file"
            ) from error


@dataclass(frozen=True, slots=True)
class ServiceKeys:
    """What the part of one service is checked with; `chain` is None where there is no chain key."""

    chain: bytes | None
    checkpoint: tuple[RSAKey, ...]


def service_directories(settings: SecuritySettings, service: str | None) -> list[Path]:
    """The journal folders of all services, or of the one that is named. Raises ServiceUnknown when there is none."""
    present = [each for each in sorted(settings.audit_dir.glob("*")) if slots_of(each)]
    named = [each for each in present if service in (None, each.name)]
    if named:
        return named
    names = ", ".join(each.name for each in present) or "none"
    raise ServiceUnknown(
        f"which journal below {settings.audit_dir}? There is: {names}",
        hint="set SECURITY_AUDIT_DIR to the folder of the journals; choose a service with --service",
    )


def service_directory(settings: SecuritySettings, service: str | None) -> Path:
    """The journal folder of a service; without a name, of the only one there is. Raises ServiceUnknown."""
    found = service_directories(settings, service)
    if len(found) == 1:
        return found[0]
    names = ", ".join(each.name for each in found)
    raise ServiceUnknown(f"which of the journals below {settings.audit_dir}: {names}?", hint="choose with --service")


def service_keys(
    settings: SecuritySettings, service: str, *, folder: Path | None, public_keys: Sequence[Path]
) -> ServiceKeys:
    """The keys of a service: from its folder below `folder`, as `security-common setup` writes it, else its settings.

    What `secure_tool` records in a program that is no service is sealed with a key beside the journal (see
    `chain_key`): that key is used for it, and there is no checkpoint key. Given public keys replace the checkpoint key.

    Raises ServiceUnknown when `folder` has no keys of the service, ChainKeyInvalid and CheckpointKeyInvalid.
    """
    if folder is None:
        chain, checkpoint = load_chain_key(settings, service=service), settings.audit_checkpoint_key_file
    elif service == LIBRARY_SERVICE and folder.is_dir():
        # SECURITY_AUDIT_CHAIN_KEY_FILE, if it is set, is the key of another service.
        beside = settings.model_copy(update={"audit_chain_key_file": None})
        chain, checkpoint = load_chain_key(beside, service=service), None
    else:
        own = _folder_of(folder, service)
        chain, checkpoint = read_chain_key_file(own / "audit_chain_key"), own / "audit_checkpoint_key.pem"
    return ServiceKeys(
        chain=chain,
        checkpoint=tuple(map(load_checkpoint_key, public_keys or ([] if checkpoint is None else [checkpoint]))),
    )


def _folder_of(folder: Path, service: str) -> Path:
    """`setup` names a service's folder by the beginning of its name: auth, mcp, gateway."""
    present = [each for each in (folder / service, folder / service.partition("-")[0]) if each.is_dir()]
    if not present:
        raise ServiceUnknown(
            f"{folder} has no keys of {service}",
            hint=f"give the folder that `security-common setup` wrote, or check one service with --service; "
            f"keys are looked for in {folder / service.partition('-')[0]}",
        )
    return present[0]


def signed_by(settings: SecuritySettings, directory: Path, extra: Path | None) -> Iterator[SignedCheckpoint]:
    """Every signed checkpoint on disk for a service, and those in a file kept elsewhere, with its place."""
    kept_in = settings.audit_checkpoint_dir
    for slot in slots_of(directory if kept_in is None else kept_in / directory.name):
        path = slot / CHECKPOINTS_NAME
        for line, text in read_checkpoint_file(path):
            yield SignedCheckpoint(path, line, text, of_service_only=True)
    if extra is not None:
        # A file that was named has to be there: to go on without it would say "intact" of less than was asked.
        for line, text in read_checkpoint_file(extra.resolve(strict=True)):
            yield SignedCheckpoint(extra, line, text)


async def read_stream_state(options: RedisOptions) -> StreamState:
    """The checkpoints in the stream, and how far the stream has each journal. Raises `RedisUnavailable`.

    A checkpoint may be there a moment before the lines it covers: those are waited for.
    """
    async with options.connect() as redis:
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await redis.xrange(CHECKPOINTS_KEY))
        texts = [told.get(b"checkpoint", b"").decode("utf-8", "replace") for _, told in entries]
        promised = _promised(texts)
        deadline = time.monotonic() + SHIPPING_SECONDS
        while True:
            answer = await redis.hgetall(CURSORS_KEY)  # pyright: ignore[reportGeneralTypeIssues]  # sync or async
            shipped = _read_cursors(cast("dict[bytes, bytes]", answer))
            behind = any(shipped.get(journal_id, 0) < seq for journal_id, seq in promised.items())
            if not behind or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)
        journals = await read_heartbeats(redis)
    path = Path(CHECKPOINTS_KEY)
    signed = [SignedCheckpoint(path, number, text, in_stream=True) for number, text in enumerate(texts, start=1)]
    return StreamState(signed, shipped, journals)


def _read_cursors(answer: Mapping[bytes, bytes]) -> dict[str, int]:
    """How far the stream has each journal. Whoever may write to the stream may have written anything here as well."""
    return {name.decode("utf-8", "replace"): int(seq) for name, seq in answer.items() if seq.isdigit()}


def _promised(texts: Iterable[str]) -> dict[str, int]:
    """The highest seq that the checkpoints name of each journal; their signatures are checked later."""
    promised: dict[str, int] = {}
    for text in texts:
        try:
            claimed = parse_unverified(text).claimed
        except ValueError:
            continue
        promised[claimed.journal_id] = max(claimed.seq, promised.get(claimed.journal_id, 0))
    return promised
