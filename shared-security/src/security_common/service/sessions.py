"""Sessions of browsers: the cookie contains a random id, and Redis contains a digest of the id with the session's data.

A session therefore ends when the service ends it, not when the browser deletes the cookie, and a copy of the data in
Redis is not enough to take over a session.
"""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter
from redis.asyncio import Redis

__all__ = ["SessionStore"]

Data = TypeVar("Data")

_ID_BYTES = 32
_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{43}")


class SessionStore(Generic[Data]):
    """Sessions in Redis, shared by all replicas. Every method raises `redis.exceptions.RedisError`."""

    def __init__(
        self,
        redis: Redis,
        data_type: type[Data],
        *,
        key_prefix: str,
        digest_key: bytes = b"",
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`data_type` is what a session contains, for pydantic.

        With `digest_key` the keys in Redis contain an HMAC of the session id, otherwise its SHA-256, which is safe as
        well: an id has 256 random bits.
        """
        self._redis = redis
        self._data: TypeAdapter[Data] = TypeAdapter(data_type)
        self._key_prefix = key_prefix
        self._digest_key = digest_key
        self._random_bytes = random_bytes

    async def begin(self, data: Data, *, lifetime_seconds: float) -> str:
        """Stores a new session and returns its id.

        Begin a new session at every sign-in, so that an id that an attacker set in the browser beforehand cannot be
        used (session fixation).
        """
        session_id = urlsafe_b64encode(self._random_bytes(_ID_BYTES)).rstrip(b"=").decode("ascii")
        await self._redis.set(self._key(session_id), self._data.dump_json(data), ex=max(1, int(lifetime_seconds)))
        return session_id

    async def load(self, session_id: str | None) -> Data | None:
        """The data of the session; None if there is none or it has ended."""
        if not session_id or not _SESSION_ID.fullmatch(session_id):
            return None
        return self._parse(await self._redis.get(self._key(session_id)))

    async def replace(self, session_id: str, data: Data, *, lifetime_seconds: float) -> Data | None:
        """Replaces the data and returns the previous data; None, and nothing is stored, if the session has ended.

        The exchange is atomic: of several requests with one cookie, only the first one receives the previous data.
        """
        if not _SESSION_ID.fullmatch(session_id):
            return None
        document = self._data.dump_json(data)
        previous = await self._redis.set(
            self._key(session_id), document, xx=True, get=True, ex=max(1, int(lifetime_seconds))
        )
        return self._parse(previous)

    async def end(self, session_id: str) -> None:
        """Deletes the session. Does nothing if the session has ended."""
        await self._redis.delete(self._key(session_id))

    def stored_id(self, session_id: str) -> str:
        """The digest under which the session is stored. It identifies a session, and cannot be used as one."""
        return self._key(session_id).removeprefix(self._key_prefix)

    async def load_stored(self, stored_id: str) -> Data | None:
        """The data of the session with this `stored_id`; None if it has ended."""
        return self._parse(await self._redis.get(self._key_prefix + stored_id))

    async def end_stored(self, stored_id: str) -> None:
        """Deletes the session with this `stored_id`."""
        await self._redis.delete(self._key_prefix + stored_id)

    def _parse(self, document: Any) -> Data | None:
        return self._data.validate_json(document) if document else None

    def _key(self, session_id: str) -> str:
        if self._digest_key:
            return self._key_prefix + hmac.digest(self._digest_key, session_id.encode(), "sha256").hex()
        return self._key_prefix + hashlib.sha256(session_id.encode()).hexdigest()
