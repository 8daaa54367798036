"""Records in Redis, with an index by owner."""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any, cast

from redis.asyncio import Redis

from mcp_resource_service.store_errors import NotFound, QuotaReached, StoreUnavailable, redis_errors_as_unavailable
from security_common.encryption import DecryptionFailed, EncryptionService, ReencryptionResult

__all__ = ["Owner", "Record", "RecordStore", "RecordSummary"]

STORE_NAME = "the record store"
KEY_PREFIX = "mcp:records:"
FSYNC_TIMEOUT_MILLISECONDS = 1_000


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of a record. A subject is unique only within its issuer."""

    issuer: str
    subject: str

    @property
    def index_key(self) -> str:
        """The Redis key of the owner's index; a hash, because a subject may contain any character."""
        owner = f"{self.issuer}\n{self.subject}".encode()
        return f"{KEY_PREFIX}of:{hashlib.sha256(owner).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSummary:
    """A record without its content."""

    record_id: str
    field: str
    stored_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(RecordSummary):
    """A record with its content in plaintext."""

    text: str


class RecordStore:
    """Stores, returns and re-encrypts records. Every method raises StoreUnavailable when Redis does not answer."""

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
        """Creates the store.

        `clock` returns seconds since the epoch, `new_id` an unguessable string of letters. An owner can have at most
        `per_owner` records. `waits_for_disk` is False for a Redis that cannot confirm that a write is on disk; the
        setting MCP_REDIS_DURABILITY decides that.
        """
        self._redis = redis
        self._encryption = encryption
        self._clock = clock
        self._new_id = new_id
        self._per_owner = per_owner
        self._waits_for_disk = waits_for_disk

    async def store(self, owner: Owner, field: str, text: str) -> RecordSummary:
        """Stores `text` encrypted; returns when Redis has it, and on disk if the store waits for that.

        Raises:
            QuotaReached: the owner has the largest allowed number of records.
            StoreUnavailable: Redis does not answer, or the write was not confirmed to be on disk in time.

        """
        record_id = f"rec_{self._new_id()}"
        stored_at_seconds = self._clock()
        content = self._encryption.encrypt(text, context=_binding(owner, record_id, field))
        stored: Any = asdict(owner) | {"field": field, "stored_at": repr(stored_at_seconds), "content": content}
        with redis_errors_as_unavailable(STORE_NAME):
            if await self._redis.zcard(owner.index_key) >= self._per_owner:
                raise QuotaReached(
                    f"you have {self._per_owner} records, the largest allowed number",
                    hint="ask the operator of this server to raise MCP_RECORDS_PER_OWNER",
                )
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hset(KEY_PREFIX + record_id, mapping=stored)
                pipe.zadd(owner.index_key, {record_id: stored_at_seconds})
                if self._waits_for_disk:
                    pipe.execute_command("WAITAOF", 1, 0, FSYNC_TIMEOUT_MILLISECONDS)
                replies = await pipe.execute()
        if self._waits_for_disk:
            local_fsyncs, _replica_fsyncs = replies[-1]
            if not local_fsyncs:
                raise StoreUnavailable("the record was not confirmed to be on disk", hint="store it again in a moment")
        return RecordSummary(record_id=record_id, field=field, stored_at=_to_datetime(stored_at_seconds))

    async def read(self, owner: Owner, record_id: str) -> Record:
        """Returns the owner's record in plaintext.

        Raises:
            NotFound: there is no such record, or it belongs to another owner.
            DecryptionFailed: the stored ciphertext was changed, or belongs to another record.

        """
        with redis_errors_as_unavailable(STORE_NAME):
            stored = await self._read(record_id)
        if (stored.get("issuer"), stored.get("subject")) != (owner.issuer, owner.subject):
            raise NotFound("you have no such record", hint="use the record_id that store_sensitive_data returned")
        field = stored["field"]
        text = self._encryption.decrypt(stored["content"], context=_binding(owner, record_id, field))
        stored_at = _to_datetime(float(stored["stored_at"]))
        return Record(record_id=record_id, field=field, stored_at=stored_at, text=text)

    async def list_of(self, owner: Owner, *, limit: int) -> list[RecordSummary]:
        """Returns the owner's newest records without their content."""
        with redis_errors_as_unavailable(STORE_NAME):
            record_ids = cast("list[str]", await self._redis.zrange(owner.index_key, 0, limit - 1, desc=True))
            async with self._redis.pipeline(transaction=False) as pipe:
                for record_id in record_ids:
                    pipe.hmget(KEY_PREFIX + record_id, ["field", "stored_at"])
                rows = await pipe.execute()
        return [
            RecordSummary(record_id=record_id, field=field, stored_at=_to_datetime(float(stored_at)))
            for record_id, (field, stored_at) in zip(record_ids, rows, strict=True)
            if field is not None
        ]

    async def count(self) -> int:
        """Returns the number of records of all owners."""
        count = 0
        async for _ in self._keys():
            count += 1
        return count

    async def reencrypt(self) -> AsyncIterator[ReencryptionResult]:
        """Encrypts every record again under the primary key.

        It can be stopped and repeated, and it can run at the same time as the service, which never changes a record's
        content.
        """
        async for key in self._keys():
            record_id = key.removeprefix(KEY_PREFIX)
            stored = await self._read(record_id)
            if not stored:
                continue
            binding = _binding(Owner(stored["issuer"], stored["subject"]), record_id, stored["field"])
            try:
                renewed = self._encryption.reencrypt(stored["content"], context=binding)
            except DecryptionFailed:
                yield ReencryptionResult.UNREADABLE
                continue
            if renewed == stored["content"]:
                yield ReencryptionResult.CURRENT
            else:
                await self._redis.hset(key, "content", renewed)
                yield ReencryptionResult.REENCRYPTED

    def _keys(self) -> AsyncIterator[str]:
        return cast("AsyncIterator[str]", self._redis.scan_iter(match=f"{KEY_PREFIX}rec_*", count=200))

    async def _read(self, record_id: str) -> dict[str, str]:
        return cast("dict[str, str]", await self._redis.hgetall(KEY_PREFIX + record_id))


def _binding(owner: Owner, record_id: str, field: str) -> dict[str, str]:
    return {"store": "records", "issuer": owner.issuer, "subject": owner.subject, "record": record_id, "field": field}


def _to_datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
