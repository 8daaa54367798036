"""A client's public keys: given with the client, or published at its `jwks_uri` and cached for a while."""

import json
from collections.abc import Mapping
from typing import Any, cast

from auth_service.clients.fetching import DocumentFetcher, FetchFailed, FetchRefused
from auth_service.clients.model import Client
from auth_service.vocabulary import Clock

__all__ = ["ClientKeys"]

_FRESH_SECONDS = 300
_REFETCH_AFTER_SECONDS = 30
_CACHED_SETS = 500


class ClientKeys:
    """Finds key sets. An unknown key costs at most one fetch in half a minute for each client."""

    def __init__(self, *, fetcher: DocumentFetcher, clock: Clock) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._cached: dict[str, tuple[float, Mapping[str, Any] | None]] = {}

    async def find(self, client: Client, *, renew: bool = False) -> Mapping[str, Any] | None:
        """The JWK Set, or None; `renew` asks for a newer one than was found before, and gets None without it."""
        uri = client.signing_keys_uri
        if client.signing_keys is not None or uri is None:
            return None if renew else client.signing_keys
        fetched_at, known = self._cached.get(uri, (-_FRESH_SECONDS, None))
        age_seconds = self._clock() - fetched_at
        if age_seconds < (_REFETCH_AFTER_SECONDS if renew else _FRESH_SECONDS):
            return None if renew else known
        if len(self._cached) >= _CACHED_SETS:
            self._cached.clear()
        found = await self._fetch(uri)
        self._cached[uri] = (self._clock(), found or known)
        return found or (None if renew else known)

    async def _fetch(self, uri: str) -> Mapping[str, Any] | None:
        try:
            document = json.loads((await self._fetcher.fetch(uri)).body)
        except (FetchFailed, FetchRefused, ValueError, RecursionError):
            return None
        return cast("dict[str, Any]", document) if isinstance(document, dict) and "keys" in document else None
