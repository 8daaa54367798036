"""A client's public keys: given with the client, or published at its `jwks_uri` and cached for a while."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from auth_service.clients.client import Client, ClientOrigin
from auth_service.clients.client_metadata import parse_members
from auth_service.clients.outgoing_fetches import OutgoingFetches
from auth_service.clients.ssrf_safe_fetch import FetchError
from auth_service.protocol import Clock
from security_common.bounded_cache import BoundedCache
from security_common.edge import UNKNOWN_ADDRESS

__all__ = ["ClientKeys"]

_FRESH_SECONDS = 300
_REFETCH_AFTER_SECONDS = 30
_CACHED_SETS = 500
_CACHED_BYTES = 2 * 1024 * 1024
_ENTRY_BYTES = 500

_KeySet: TypeAlias = Mapping[str, Any]
_OF_THE_OPERATOR = frozenset({ClientOrigin.DECLARED, ClientOrigin.OPERATOR})


@dataclass(frozen=True, slots=True)
class _Known:
    """The newest key set as it was published, None when there never was one; times in seconds since the epoch."""

    fetched_at_seconds: float
    document: bytes | None


class ClientKeys:
    """Finds key sets. An unknown key costs at most one fetch in half a minute for each client."""

    def __init__(self, *, outgoing: OutgoingFetches, clock: Clock) -> None:
        self._outgoing = outgoing
        self._clock = clock
        self._cached = BoundedCache[str, _Known](clock=clock, max_entries=_CACHED_SETS, max_bytes=_CACHED_BYTES)
        self._fetching: dict[str, asyncio.Task[bytes | None]] = {}

    async def find(
        self, client: Client, *, source_address: str = UNKNOWN_ADDRESS, renew: bool = False
    ) -> _KeySet | None:
        """The JWK Set, or None; `renew` asks for a newer one than was found before, and gets None without it.

        A fetch is taken from the budget of `source_address`, where the request came from. It is not the client's:
        anybody can register so many clients that they use up what all may fetch.
        """
        uri = client.signing_keys_uri
        if client.signing_keys is not None or uri is None:
            return None if renew else client.signing_keys
        known = self._cached.get(uri)
        if known is not None:
            age_seconds = self._clock() - known.fetched_at_seconds
            if age_seconds < (_REFETCH_AFTER_SECONDS if renew else _FRESH_SECONDS):
                return None if renew else _parse(known.document)
        earlier = known.document if known is not None else None
        fetched = await self._fetch_once(uri, client, source_address)
        self._remember(uri, fetched or earlier)
        return _parse(fetched or (None if renew else earlier))

    async def _fetch_once(self, uri: str, client: Client, source_address: str) -> bytes | None:
        """Requests of the same moment share one fetch, which goes on when one of them leaves."""
        task = self._fetching.get(uri)
        if task is None:
            task = self._fetching[uri] = asyncio.create_task(self._fetch(uri, client, source_address))
            task.add_done_callback(lambda _done: self._fetching.pop(uri, None))
        return await asyncio.shield(task)

    async def _fetch(self, uri: str, client: Client, source_address: str) -> bytes | None:
        try:
            if client.origin not in _OF_THE_OPERATOR:
                await self._outgoing.budget.spend(uri, asked_by=source_address)
            body = (await self._outgoing.fetcher.fetch(uri)).body
        except FetchError:
            return None
        return body if _parse(body) is not None else None

    def _remember(self, uri: str, document: bytes | None) -> None:
        size_bytes = _ENTRY_BYTES + len(uri) + len(document or b"")
        # Kept beyond its freshness: while the client's host is away, the keys that are known are better than none.
        self._cached.put(uri, _Known(self._clock(), document), size_bytes=size_bytes, lifetime_seconds=24 * 3600)


def _parse(document: bytes | None) -> _KeySet | None:
    try:
        members = parse_members(document or b"")
    except ValueError:
        return None
    return members if "keys" in members else None
