"""People in Redis, encrypted field by field."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import cast

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.typing import EncodableT, FieldT

from mcp_resource_service.directory.people import Person
from mcp_resource_service.store_errors import NotFound, redis_errors_as_unavailable
from security_common.encryption import DecryptionFailed, EncryptionService, ReencryptionResult

__all__ = ["Directory"]

STORE_NAME = "the directory"
KEY_PREFIX = "mcp:users:"


class Directory:
    """Finds and stores people. Every method raises StoreUnavailable when Redis does not answer."""

    def __init__(self, redis: Redis, encryption: EncryptionService) -> None:
        self._redis = redis
        self._encryption = encryption

    async def find(self, person_id: str) -> Person:
        """Returns the person with this id.

        Raises:
            NotFound: the directory has no such person.
            DecryptionFailed: a stored ciphertext was changed, or belongs to another person or field.

        """
        with redis_errors_as_unavailable(STORE_NAME):
            stored = cast("dict[str, str]", await self._redis.hgetall(KEY_PREFIX + person_id))
        if not stored:
            raise NotFound("the directory has no person with this id", hint="the resource directory://people lists ids")
        values = {
            field: self._encryption.decrypt(content, context=_binding(person_id, field))
            for field, content in stored.items()
        }
        return Person(person_id=person_id, **values)

    async def put(self, people: Iterable[Person]) -> None:
        """Stores people; a person with the same id is replaced."""
        with redis_errors_as_unavailable(STORE_NAME):
            async with self._redis.pipeline(transaction=False) as pipe:
                for person in people:
                    content: dict[FieldT, EncodableT] = {
                        field: self._encryption.encrypt(value, context=_binding(person.person_id, field))
                        for field, value in person.personal_fields().items()
                    }
                    pipe.hset(KEY_PREFIX + person.person_id, mapping=content)
                await pipe.execute()

    async def ids(self, *, limit: int) -> list[str]:
        """Returns at most `limit` ids, sorted. They are opaque and contain no personal data."""
        found: list[str] = []
        with redis_errors_as_unavailable(STORE_NAME):
            async for key in self._keys():
                found.append(key.removeprefix(KEY_PREFIX))
                if len(found) == limit:
                    break
        return sorted(found)

    async def count(self) -> int:
        """Returns the number of people."""
        count = 0
        async for _ in self._keys():
            count += 1
        return count

    async def reencrypt(self) -> AsyncIterator[ReencryptionResult]:
        """Encrypts every person again under the primary key.

        It can be stopped and repeated, and it can run at the same time as an import: the transaction is repeated for a
        person who changes meanwhile.
        """
        async for key in self._keys():
            yield cast(
                "ReencryptionResult", await self._redis.transaction(self._renew(key), key, value_from_callable=True)
            )

    def _keys(self) -> AsyncIterator[str]:
        return cast("AsyncIterator[str]", self._redis.scan_iter(match=f"{KEY_PREFIX}*", count=200))

    def _renew(self, key: str) -> Callable[[Pipeline], Awaitable[ReencryptionResult]]:
        person_id = key.removeprefix(KEY_PREFIX)

        async def renew(pipe: Pipeline) -> ReencryptionResult:
            stored = cast("dict[str, str]", await pipe.hgetall(key))
            pipe.multi()
            try:
                renewed: dict[FieldT, EncodableT] = {
                    field: self._encryption.reencrypt(content, context=_binding(person_id, field))
                    for field, content in stored.items()
                }
            except DecryptionFailed:
                return ReencryptionResult.UNREADABLE
            if renewed == stored:
                return ReencryptionResult.CURRENT
            pipe.hset(key, mapping=renewed)
            return ReencryptionResult.REENCRYPTED

        return renew


def _binding(person_id: str, field: str) -> dict[str, str]:
    return {"store": "users", "person": person_id, "field": field}
