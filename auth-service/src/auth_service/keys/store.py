"""Where the keys are: one document and its version, changed by compare-and-swap.

All records stand in one value, so that a reader never sees half a rotation; there are never more than a handful.
"""

import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis

from auth_service.keys.rotation import SigningKeyRecord, SigningKeyState

__all__ = ["KeySnapshot", "KeyStore"]

_KEY = "auth:keys"
_LEASE = "auth:keys:rotator"
_SWAP = files("auth_service.keys").joinpath("compare_and_swap.lua").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """The records as they were at `version`."""

    version: int
    records: tuple[SigningKeyRecord, ...]


class KeyStore:
    """Reads and swaps the records. Raises `redis.exceptions.RedisError` when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._swap = redis.register_script(_SWAP)

    async def read(self) -> KeySnapshot:
        version, document = await self._redis.hmget(_KEY, ["version", "records"])
        return KeySnapshot(int(version or 0), _load(str(document)) if document else ())

    async def swap(self, expected_version: int, records: tuple[SigningKeyRecord, ...]) -> bool:
        """Writes the records unless somebody else did since `expected_version`; True when they were written."""
        return bool(await self._swap(keys=[_KEY], args=[expected_version, _dump(records)]))

    async def lead(self, replica: str, lease_seconds: int) -> bool:
        """Takes or renews the rotator's lease; True while this replica holds it."""
        if await self._redis.set(_LEASE, replica, nx=True, ex=lease_seconds):
            return True
        if await self._redis.get(_LEASE) != replica:
            return False
        await self._redis.expire(_LEASE, lease_seconds)
        return True


def _dump(records: tuple[SigningKeyRecord, ...]) -> str:
    return json.dumps([asdict(record) for record in records], separators=(",", ":"))


def _load(document: str) -> tuple[SigningKeyRecord, ...]:
    found: list[dict[str, Any]] = json.loads(document)
    return tuple(SigningKeyRecord(state=SigningKeyState(members.pop("state")), **members) for members in found)
