"""Indices in status lists: every authorization grant, and every client that acts for itself, has one of its own.

Indices are random within a list, so that a token does not show how many were issued before it. A list is used until
half of its indices are assigned; then the next one begins. Keys, all with one hash tag:

    auth:{status}:current:<kind>     the list that new indices are taken from
    auth:{status}:assigned:<list>    a bit for each assigned index: no two replicas assign the same one
    auth:{status}:count:<list>       how many indices are assigned
"""

import hmac
import re
from dataclasses import dataclass, field
from enum import StrEnum

from redis.asyncio import Redis

from auth_service.paths import STATUS_LIST_PATH
from auth_service.protocol import RandomBytes, base64url

__all__ = ["KEY_PREFIX", "LIST_BITS", "ListKind", "StatusIndices", "StatusReference", "status_list_uri"]

KEY_PREFIX = "auth:{status}:"
LIST_BITS = 2**17
_CAPACITY = LIST_BITS // 2

_LIST_ID = re.compile(r"([gc][A-Za-z0-9_-]{8})([A-Za-z0-9_-]{8})")
_REFERENCE = re.compile(r"([gc][A-Za-z0-9_-]{16}):([0-9]{1,6})")


def status_list_uri(issuer: str, list_id: str) -> str:
    """The address of a list, as tokens contain it."""
    return issuer + STATUS_LIST_PATH.replace("{list_id}", list_id)


class ListKind(StrEnum):
    """What a list has indices of. The value is the first letter of the list's id."""

    GRANTS = "g"
    CLIENTS = "c"


@dataclass(frozen=True, slots=True)
class StatusReference:
    """An index in a status list. Its text is stored in Redis and recorded in the audit trail."""

    list_id: str
    index: int

    def __str__(self) -> str:
        return f"{self.list_id}:{self.index}"

    @classmethod
    def parse(cls, text: str) -> "StatusReference | None":
        """The reference with this text; None if the text is not one."""
        parts = _REFERENCE.fullmatch(text)
        if parts is None or int(parts[2]) >= LIST_BITS:
            return None
        return cls(parts[1], int(parts[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusIndices:
    """Assigns indices. Raises `RedisError` if Redis is unavailable.

    `lifetime_seconds` is how long tokens with an index of a grant can be issued and valid. Lists of grants are deleted
    when they were not used for that long; lists of clients are kept.

    The id of a list contains a MAC under the pepper. So the endpoint recognizes a list of this service even if Redis
    has lost it, and signs no list for an address that someone made up.
    """

    redis: Redis
    pepper: bytes = field(repr=False)
    random_bytes: RandomBytes
    lifetime_seconds: int

    async def assign(self, kind: ListKind) -> StatusReference:
        """An index that was never assigned before."""
        while True:
            list_id = await self._current_list(kind)
            index = int.from_bytes(self.random_bytes(4)) % LIST_BITS
            async with self.redis.pipeline(transaction=True) as pipe:
                pipe.setbit(f"{KEY_PREFIX}assigned:{list_id}", index, 1)
                pipe.incr(f"{KEY_PREFIX}count:{list_id}")
                if kind is ListKind.GRANTS:
                    pipe.expire(f"{KEY_PREFIX}assigned:{list_id}", self.lifetime_seconds)
                    pipe.expire(f"{KEY_PREFIX}count:{list_id}", self.lifetime_seconds)
                    pipe.expire(f"{KEY_PREFIX}revoked:{list_id}", self.lifetime_seconds)
                was_assigned, count, *_ = await pipe.execute()
            if count >= _CAPACITY:
                await self.begin_new_lists(kind)
            if not was_assigned:
                return StatusReference(list_id, index)

    async def begin_new_lists(self, *kinds: ListKind) -> None:
        """Further indices are taken from new lists."""
        await self.redis.delete(*(f"{KEY_PREFIX}current:{kind.name.lower()}" for kind in kinds))

    def is_genuine(self, list_id: str) -> bool:
        """Whether this service made the id."""
        parts = _LIST_ID.fullmatch(list_id)
        return parts is not None and hmac.compare_digest(self._mac(parts[1]), parts[2])

    async def _current_list(self, kind: ListKind) -> str:
        key = f"{KEY_PREFIX}current:{kind.name.lower()}"
        current = await self.redis.get(key)
        if current is None:
            await self.redis.set(key, self._new_list_id(kind), nx=True)
            current = await self.redis.get(key)
        return str(current) if current is not None else self._new_list_id(kind)

    def _new_list_id(self, kind: ListKind) -> str:
        name = kind.value + base64url(self.random_bytes(6))
        return name + self._mac(name)

    def _mac(self, name: str) -> str:
        return base64url(hmac.digest(self.pepper, f"status list:{name}".encode(), "sha256")[:6])
