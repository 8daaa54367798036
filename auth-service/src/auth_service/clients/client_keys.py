"""The public keys of a client: part of its metadata, or published at its `jwks_uri` and cached."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from auth_service.clients.client import Client
from auth_service.clients.client_metadata import parse_members
from auth_service.clients.outgoing_fetches import OutgoingFetches, SharedFetches
from auth_service.clients.ssrf_safe_fetch import FetchError
from auth_service.protocol import Clock
from security_common.bounded_cache import BoundedCache
from security_common.edge import UNKNOWN_ADDRESS

__all__ = ["ClientKeys"]

_FRESH_SECONDS = 300
_RENEW_AFTER_SECONDS = 30
# A key set is kept longer than it is fresh: if the client's host is unavailable, the known keys stay in use.
_KEPT_SECONDS = 24 * 3600
_CACHED_SETS = 500
_CACHED_BYTES = 2 * 1024 * 1024
_ENTRY_BYTES = 500  # memory that an entry takes in addition to its texts

_KeySet: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _CachedKeySet:
    """The newest key set as published; None if none was ever fetched.

    `attempted_at_seconds` (since the epoch) is when the last fetch was attempted, whether or not it succeeded.
    """

    attempted_at_seconds: float
    document: bytes | None


class ClientKeys:
    """Finds the key set of a client. Unknown keys cause at most one fetch per client in half a minute."""

    def __init__(self, *, outgoing: OutgoingFetches, clock: Clock) -> None:
        self._outgoing = outgoing
        self._clock = clock
        self._cached = BoundedCache[str, _CachedKeySet](clock=clock, max_entries=_CACHED_SETS, max_bytes=_CACHED_BYTES)
        self._fetches = SharedFetches[bytes | None]()

    async def find(
        self, client: Client, *, source_address: str = UNKNOWN_ADDRESS, renew: bool = False
    ) -> _KeySet | None:
        """The JWK Set, or None. With `renew`, only a set that is newer than the one found before, or None.

        A fetch counts towards the limit of `source_address`, the address that the request came from. A limit per client
        would not help: anyone can register any number of clients.
        """
        uri = client.signing_keys_uri
        if client.signing_keys is not None or uri is None:
            return None if renew else client.signing_keys
        cached = self._cached.get(uri)
        if cached is not None:
            age_seconds = self._clock() - cached.attempted_at_seconds
            if renew and age_seconds < _RENEW_AFTER_SECONDS:
                return None
            if not renew and age_seconds < _FRESH_SECONDS:
                return _parse(cached.document)
        earlier = cached.document if cached is not None else None
        fetched = await self._fetches.fetch(uri, partial(self._fetch, uri, client, source_address))
        self._cache(uri, fetched or earlier)
        if fetched is not None:
            return _parse(fetched)
        return None if renew else _parse(earlier)

    async def _fetch(self, uri: str, client: Client, source_address: str) -> bytes | None:
        """A valid key set as published, or None. The operator's own clients have no limit."""
        try:
            if not client.is_from_operator:
                await self._outgoing.limits.count(uri, source_address=source_address)
            body = (await self._outgoing.fetcher.fetch(uri)).body
        except FetchError:
            return None
        return body if _parse(body) is not None else None

    def _cache(self, uri: str, document: bytes | None) -> None:
        entry = _CachedKeySet(self._clock(), document)
        size_bytes = _ENTRY_BYTES + len(uri) + len(document or b"")
        self._cached.put(uri, entry, size_bytes=size_bytes, lifetime_seconds=_KEPT_SECONDS)


def _parse(document: bytes | None) -> _KeySet | None:
    if document is None:
        return None
    try:
        members = parse_members(document)
    except ValueError:
        return None
    return members if "keys" in members else None
