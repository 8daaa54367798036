"""The records and their index by owner, in Redis."""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any, cast

from redis.asyncio import Redis

from mcp_resource_service.store_errors import NotFound, QuotaReached, StoreUnavailable, asking
from security_common.encryption import DecryptionFailed, EncryptionService, ReencryptionResult

__all__ = ["Owner", "Record", "RecordStore", "RecordSummary"]

NAME, PREFIX = "the record store", "mcp:records:"
FSYNC_DEADLINE_MILLISECONDS = 2_000


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose record it is: a subject is unique within its issuer only."""

    issuer: str
    subject: str

    @property
    def index_key(self) -> str:
        """The owner's list of records; hashed, since a subject may hold any character."""
        owner = f"{self.issuer}\n{self.subject}".encode()
        return f"{PREFIX}of:{hashlib.sha256(owner).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSummary:
    """A record without its content."""

    record_id: str
    field: str
    stored_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(RecordSummary):
    """A record with its content in clear."""

    text: str


class RecordStore:
    """Keeps and opens records. Every method raises `StoreUnavailable` when Redis does not answer."""

    def __init__(
        self,
        redis: Redis,
        encryption: EncryptionService,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        per_owner: float = inf,
        waits_for_disk: bool = True,
    ) -> None:
        """`clock` gives seconds since the epoch, `new_id` an unguessable name of letters; one may keep `per_owner`.

        `waits_for_disk` is False for a Redis that cannot say when a write is on its disk: see MCP_REDIS_DURABILITY.
        """
        self._redis = redis
        self._encryption = encryption
        self._clock = clock
        self._new_id = new_id
        self._per_owner = per_owner
        self._waits_for_disk = waits_for_disk

    async def keep(self, owner: Owner, field: str, text: str) -> RecordSummary:
        """Store `text` encrypted; returns once Redis has it, on disk if it waits for that. Raises QuotaReached, too."""
        record_id = f"rec_{self._new_id()}"
        stored_at_seconds = self._clock()
        content = self._encryption.encrypt(text, context=_binding(owner, record_id, field))
        stored: Any = asdict(owner) | {"field": field, "stored_at": repr(stored_at_seconds), "content": content}
        with asking(NAME):
            if await self._redis.zcard(owner.index_key) >= self._per_owner:
                hint = "the operator may raise MCP_RECORDS_PER_OWNER"
                raise QuotaReached(f"you keep {self._per_owner} records, which is the most", hint=hint)
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hset(PREFIX + record_id, mapping=stored)
                pipe.zadd(owner.index_key, {record_id: stored_at_seconds})
                if self._waits_for_disk:
                    pipe.execute_command("WAITAOF", 1, 0, FSYNC_DEADLINE_MILLISECONDS)
                *_, last = await pipe.execute()
        if self._waits_for_disk and not last[0]:
            raise StoreUnavailable("the record is not confirmed to be on disk", hint="store it again in a moment")
        return RecordSummary(record_id=record_id, field=field, stored_at=_moment(stored_at_seconds))

    async def open(self, owner: Owner, record_id: str) -> Record:
        """The owner's record in clear.

        Raises:
            NotFound: no such record, or another owner's.
            DecryptionFailed: the stored content is not what was stored.

        """
        with asking(NAME):
            stored = await self._read(record_id)
        if (stored.get("issuer"), stored.get("subject")) != (owner.issuer, owner.subject):
            raise NotFound("you have no such record", hint="use the record_id that store_sensitive_data returned")
        field = stored["field"]
        text = self._encryption.decrypt(stored["content"], context=_binding(owner, record_id, field))
        return Record(record_id=record_id, field=field, stored_at=_moment(float(stored["stored_at"])), text=text)

    async def of(self, owner: Owner, *, limit: int) -> list[RecordSummary]:
        """The owner's newest records, without their content."""
        with asking(NAME):
            record_ids = cast("list[str]", await self._redis.zrange(owner.index_key, 0, limit - 1, desc=True))
            async with self._redis.pipeline(transaction=False) as pipe:
                for record_id in record_ids:
                    pipe.hmget(PREFIX + record_id, ["field", "stored_at"])
                rows = await pipe.execute()
        return [
            RecordSummary(record_id=record_id, field=field, stored_at=_moment(float(stored_at)))
            for record_id, (field, stored_at) in zip(record_ids, rows, strict=True)
            if field is not None
        ]

    async def count(self) -> int:
        """How many records there are, of all owners."""
        return sum([1 async for _ in self._keys()])

    async def reencrypt(self) -> AsyncIterator[ReencryptionResult]:
        """Encrypt every record again under the primary key.

        Safe to stop and repeat, and safe beside a running service, which never changes a record's content.
        """
        async for key in self._keys():
            record_id = key.removeprefix(PREFIX)
            if not (stored := await self._read(record_id)):
                continue
            binding = _binding(Owner(stored["issuer"], stored["subject"]), record_id, stored["field"])
            try:
                renewed = self._encryption.reencrypt(stored["content"], context=binding)
            except DecryptionFailed:
                yield ReencryptionResult.UNREADABLE
            else:
                if renewed != stored["content"]:
                    await self._redis.hset(key, "content", renewed)
                yield ReencryptionResult.CURRENT if renewed == stored["content"] else ReencryptionResult.RENEWED

    def _keys(self) -> AsyncIterator[str]:
        return cast("AsyncIterator[str]", self._redis.scan_iter(match=f"{PREFIX}rec_*", count=200))

    async def _read(self, record_id: str) -> dict[str, str]:
        return cast("dict[str, str]", await self._redis.hgetall(PREFIX + record_id))


def _binding(owner: Owner, record_id: str, field: str) -> dict[str, str]:
    return {"store": "records", "issuer": owner.issuer, "subject": owner.subject, "record": record_id, "field": field}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
