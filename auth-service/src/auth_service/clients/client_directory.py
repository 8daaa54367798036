"""The directory: every client by its id, whichever way it became known."""

from collections.abc import Iterable
from dataclasses import replace

from auth_service.clients.client import Client, ClientOrigin
from auth_service.clients.client_id_metadata import ClientIdMetadataDocuments
from auth_service.clients.store import ClientStore
from auth_service.protocol import Clock
from security_common.bounded_cache import BoundedCache
from security_common.edge import UNKNOWN_ADDRESS

__all__ = ["ClientDirectory"]

# A deleted client may go on for this long at the other replicas; a token request then costs no Redis read.
_FRESH_SECONDS = 5.0
_CACHED_CLIENTS = 1_000
_CACHED_BYTES = 8 * 1024 * 1024
# What a client takes in memory beside the texts in it.
_ENTRY_BYTES = 2000
_LONGEST_ID = 2048


class ClientDirectory:
    """Declared clients win over stored ones with the same id."""

    def __init__(
        self,
        *,
        declared: Iterable[Client],
        store: ClientStore,
        documents: ClientIdMetadataDocuments | None,
        clock: Clock,
        self_described_scopes: Iterable[str],
    ) -> None:
        """`self_described_scopes` are what a client may ask for that registered itself or has a metadata document."""
        self._self_described_scopes = frozenset(self_described_scopes)
        self._declared = {client.client_id: client for client in declared}
        self._store = store
        self._documents = documents
        self._cached = BoundedCache[str, Client](clock=clock, max_entries=_CACHED_CLIENTS, max_bytes=_CACHED_BYTES)

    @property
    def finds_documents(self) -> bool:
        """Whether a client id may be the address of a metadata document."""
        return self._documents is not None

    async def find(self, client_id: str, *, source_address: str = UNKNOWN_ADDRESS) -> Client | None:
        declared = self._declared.get(client_id)
        if declared is not None:
            return declared
        if not client_id.isprintable() or len(client_id) > _LONGEST_ID:
            return None
        if "://" not in client_id:
            return await self._find_stored(client_id)
        if self._documents is None:
            return None
        return self._with_current_scopes(await self._documents.find(client_id, source_address=source_address))

    async def mark_visited(self, client: Client) -> None:
        if client.origin is ClientOrigin.REGISTERED:
            await self._store.extend_unused(client.client_id)

    async def mark_used(self, client: Client) -> None:
        if client.origin is ClientOrigin.REGISTERED:
            await self._store.keep(client.client_id)
        elif client.origin is ClientOrigin.METADATA_DOCUMENT and self._documents is not None:
            await self._documents.keep(client)

    async def _find_stored(self, client_id: str) -> Client | None:
        cached = self._cached.get(client_id)
        if cached is not None:
            return cached
        found = await self._store.read(client_id)
        if found is None:
            return None
        client, size_bytes = self._with_current_scopes(found[0]), found[1]
        self._cached.put(client_id, client, size_bytes=_ENTRY_BYTES + 2 * size_bytes, lifetime_seconds=_FRESH_SECONDS)
        return client

    def _with_current_scopes(self, client: Client) -> Client:
        """What such a client may ask for is today's declaration to say, not that of the day on which it was stored."""
        is_self_described = client.origin in {ClientOrigin.REGISTERED, ClientOrigin.METADATA_DOCUMENT}
        if not is_self_described or client.scopes == self._self_described_scopes:
            return client
        return replace(client, scopes=self._self_described_scopes)
