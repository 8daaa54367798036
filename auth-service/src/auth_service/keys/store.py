"""Where the signing keys are stored: one document with a version in Redis, changed by compare-and-swap.

All keys are in one value, so that no reader gets half a rotation. There are never more than a few.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis

from auth_service.keys.rotation import SigningKeyRecord, SigningKeyState

__all__ = ["KeySnapshot", "KeyStore"]

_KEY = "auth:keys"
_LEASE = "auth:keys:rotator"
_PRIVATE_KEY_MEMBER = "sealed_private_key"  # the stored name, which is older than `encrypted_private_key`
_COMPARE_AND_SWAP = files("auth_service.keys").joinpath("compare_and_swap.lua").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """The records as they were at `version`."""

    version: int
    records: tuple[SigningKeyRecord, ...]


class KeyStore:
    """Reads and swaps the records. Raises `redis.exceptions.RedisError` if Redis is unavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._compare_and_swap = redis.register_script(_COMPARE_AND_SWAP)

    async def read(self) -> KeySnapshot:
        version, document = await self._redis.hmget(_KEY, ["version", "records"])
        return KeySnapshot(int(version or 0), _load(str(document)) if document else ())

    async def swap(self, expected_version: int, records: tuple[SigningKeyRecord, ...]) -> bool:
        """Writes the records if the version is still `expected_version`; True if they were written."""
        return bool(await self._compare_and_swap(keys=[_KEY], args=[expected_version, _dump(records)]))

    async def hold_rotation_lease(self, replica: str, lease_seconds: int) -> bool:
        """Acquires or renews the rotation lease; True if this replica holds it."""
        if await self._redis.set(_LEASE, replica, nx=True, ex=lease_seconds):
            return True
        if await self._redis.get(_LEASE) != replica:
            return False
        await self._redis.expire(_LEASE, lease_seconds)
        return True


def _dump(records: tuple[SigningKeyRecord, ...]) -> str:
    return json.dumps([_to_json(record) for record in records], separators=(",", ":"))


def _to_json(record: SigningKeyRecord) -> Mapping[str, Any]:
    return {
        "key_id": record.key_id,
        "state": record.state,
        "public_jwk": record.public_jwk,
        _PRIVATE_KEY_MEMBER: record.encrypted_private_key,
        "created_at_seconds": record.created_at_seconds,
        "changed_at_seconds": record.changed_at_seconds,
    }


def _load(document: str) -> tuple[SigningKeyRecord, ...]:
    return tuple(_from_json(members) for members in json.loads(document))


def _from_json(members: Mapping[str, Any]) -> SigningKeyRecord:
    return SigningKeyRecord(
        key_id=members["key_id"],
        state=SigningKeyState(members["state"]),
        public_jwk=members["public_jwk"],
        encrypted_private_key=members[_PRIVATE_KEY_MEMBER],
        created_at_seconds=members["created_at_seconds"],
        changed_at_seconds=members["changed_at_seconds"],
    )
