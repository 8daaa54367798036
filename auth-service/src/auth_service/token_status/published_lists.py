"""GET /oauth2/status/{list}: a signed status list (draft-ietf-oauth-status-list).

The bits are read from Redis at each request, so that a verifier that fetches the list learns every revocation up to
then. A list is signed again when a bit has changed, and otherwise every five minutes:
until then, a request with its entity tag is answered without a body.
"""

import asyncio
import base64
import hashlib
import zlib
from dataclasses import dataclass
from typing import Any, cast

from fastapi import APIRouter
from redis.asyncio import Redis
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from auth_service.http.application import new_router
from auth_service.http.openapi import ERROR_CONTENT, ERROR_RESPONSES
from auth_service.keys.signing_key_set import SigningKeySet
from auth_service.paths import STATUS_LIST_PATH
from auth_service.protocol import Clock
from auth_service.token_status.revocations import revoked_key
from auth_service.token_status.status_indices import LIST_BITS, StatusIndices, status_list_uri
from security_common.edge.entity_tags import is_unmodified

__all__ = ["MEDIA_TYPE", "PublishedStatusLists"]

MEDIA_TYPE = "application/statuslist+jwt"
_TOKEN_TYPE = "statuslist+jwt"
_SIGN_AGAIN_SECONDS = 300.0
# A verifier that cannot refresh its list may use it for up to 15 minutes, or as its settings say.
_LIFETIME_SECONDS = 3600 + int(_SIGN_AGAIN_SECONDS)
_MAX_LISTS = 1000


@dataclass(frozen=True, slots=True)
class _SignedList:
    bits: bytes
    signed_at_seconds: float
    document: bytes
    etag: str


class PublishedStatusLists:
    """Reads, signs and serves the lists. `redis` does not decode its answers."""

    def __init__(
        self, redis: Redis, *, indices: StatusIndices, keys: SigningKeySet, issuer: str, ttl_seconds: int, clock: Clock
    ) -> None:
        self._redis = redis
        self._indices = indices
        self._keys = keys
        self._issuer = issuer
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._lists: dict[str, _SignedList] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def make_router(self) -> APIRouter:
        router = new_router("tokens")
        router.add_api_route(
            STATUS_LIST_PATH,
            self.respond,
            operation_id="status-list",
            summary="Which access tokens are revoked (draft-ietf-oauth-status-list)",
            responses={
                200: {"description": "The signed list", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
                304: {"description": "Unchanged since the ETag that If-None-Match contains"},
                404: {"description": "There is no such list.", "content": dict(ERROR_CONTENT)},
                503: ERROR_RESPONSES[503],
            },
        )
        return router

    async def respond(self, request: Request, list_id: str) -> Response:
        """The list. Raises `HTTPException`, `RedisError`, `TemporarilyUnavailable`."""
        if not self._indices.is_genuine(list_id):
            raise HTTPException(status_code=404)
        signed = await self._current(list_id)
        # A cache has to ask again each time: what it adds would be added to the time until a token is refused.
        headers = {"etag": signed.etag, "cache-control": "no-cache"}
        if is_unmodified(request.headers.getlist("if-none-match"), signed.etag):
            return Response(status_code=304, headers=headers)
        return Response(signed.document, media_type=MEDIA_TYPE, headers=headers)

    async def _current(self, list_id: str) -> _SignedList:
        """One request at a time reads a list, so that it is signed once after a change."""
        async with self._locks.setdefault(list_id, asyncio.Lock()):
            return await self._read(list_id)

    async def _read(self, list_id: str) -> _SignedList:
        now = self._clock()
        known = self._lists.get(list_id)
        bits = cast("bytes", await self._redis.get(revoked_key(list_id)) or b"")  # this client decodes nothing
        if known is not None and known.bits == bits and 0 <= now - known.signed_at_seconds < _SIGN_AGAIN_SECONDS:
            return known
        document = (await self._keys.sign(self._claims(list_id, bits, int(now)), token_type=_TOKEN_TYPE)).encode()
        signed = _SignedList(bits, now, document, f'"{hashlib.sha256(document).hexdigest()[:32]}"')
        if len(self._lists) >= _MAX_LISTS:
            self._lists.clear()
            self._locks.clear()
        self._lists[list_id] = signed
        return signed

    def _claims(self, list_id: str, redis_bits: bytes, now: int) -> dict[str, Any]:
        compressed = zlib.compress(_in_list_order(redis_bits), level=9)
        return {
            "iss": self._issuer,
            "sub": status_list_uri(self._issuer, list_id),
            "iat": now,
            "exp": now + _LIFETIME_SECONDS,
            "ttl": self._ttl_seconds,
            "status_list": {"bits": 1, "lst": base64.urlsafe_b64encode(compressed).rstrip(b"=").decode("ascii")},
        }


def _in_list_order(redis_bits: bytes) -> bytes:
    """The bits of the whole list: Redis counts from the highest bit of a byte, a status list from the lowest."""
    return redis_bits.ljust(LIST_BITS // 8, b"\0").translate(_REVERSED)


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
