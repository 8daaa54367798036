"""People in Redis, encrypted field by field."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import cast

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.typing import EncodableT, FieldT

from mcp_resource_service.directory.people import Person
from mcp_resource_service.store_errors import NotFound, asking
from security_common.encryption import DecryptionFailed, EncryptionService, ReencryptionResult

__all__ = ["Directory"]

NAME, PREFIX = "the directory", "mcp:users:"


class Directory:
    """Finds and stores people. Every method raises `StoreUnavailable` when Redis does not answer."""

    def __init__(self, redis: Redis, encryption: EncryptionService) -> None:
        self._redis = redis
        self._encryption = encryption

    async def find(self, person_id: str) -> Person:
        """The person with this id.

        Raises:
            NotFound: there is none.
            DecryptionFailed: a stored field is not what was stored.

        """
        with asking(NAME):
            stored = cast("dict[str, str]", await self._redis.hgetall(PREFIX + person_id))
        if not stored:
            raise NotFound("nobody in the directory has this id", hint="the ids are in the resource directory://people")
        clear = {
            field: self._encryption.decrypt(content, context=_binding(person_id, field))
            for field, content in stored.items()
        }
        return Person(person_id=person_id, **clear)

    async def put(self, people: Iterable[Person]) -> None:
        """Store people, replacing those with the same id."""
        with asking(NAME):
            async with self._redis.pipeline(transaction=False) as pipe:
                for person in people:
                    content: dict[FieldT, EncodableT] = {
                        field: self._encryption.encrypt(value, context=_binding(person.person_id, field))
                        for field, value in person.personal_fields().items()
                    }
                    pipe.hset(PREFIX + person.person_id, mapping=content)
                await pipe.execute()

    async def ids(self, *, limit: int) -> list[str]:
        """Some ids of the directory, sorted: they are opaque and name nobody."""
        found: list[str] = []
        with asking(NAME):
            async for key in self._keys():
                found.append(key.removeprefix(PREFIX))
                if len(found) == limit:
                    break
        return sorted(found)

    async def count(self) -> int:
        """How many people there are."""
        return sum([1 async for _ in self._keys()])

    async def reencrypt(self) -> AsyncIterator[ReencryptionResult]:
        """Encrypt every person again under the primary key.

        Safe to stop and repeat, and safe beside an import: a person who changes meanwhile is taken up again.
        """
        async for key in self._keys():
            yield cast(
                "ReencryptionResult", await self._redis.transaction(self._renew(key), key, value_from_callable=True)
            )

    def _keys(self) -> AsyncIterator[str]:
        return cast("AsyncIterator[str]", self._redis.scan_iter(match=f"{PREFIX}*", count=200))

    def _renew(self, key: str) -> Callable[[Pipeline], Awaitable[ReencryptionResult]]:
        person_id = key.removeprefix(PREFIX)

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
            return ReencryptionResult.RENEWED

        return renew


def _binding(person_id: str, field: str) -> dict[str, str]:
    return {"store": "users", "person": person_id, "field": field}
