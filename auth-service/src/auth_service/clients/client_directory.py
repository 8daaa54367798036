"""Finds every client by its id: declared, stored, or described by a metadata document."""

from collections.abc import Iterable
from dataclasses import replace

from auth_service.clients.client import Client, ClientOrigin
from auth_service.clients.client_id_metadata import ClientIdMetadataFinder
from auth_service.clients.store import ClientStore
from auth_service.protocol import Clock, GrantType
from security_common.bounded_cache import BoundedCache
from security_common.edge import UNKNOWN_ADDRESS

__all__ = ["ClientDirectory"]

# Saves a Redis read for each token request. As a consequence, other replicas accept a deleted client for this long.
_CACHED_FOR_SECONDS = 5.0
_CACHED_CLIENTS = 1_000
_CACHED_BYTES = 8 * 1024 * 1024
# Memory that a client takes in addition to its texts.
_ENTRY_BYTES = 2000
_MAX_ID_LENGTH = 2048


class ClientDirectory:
    """Looks clients up. A declared client takes precedence over a stored one with the same id."""

    def __init__(
        self,
        *,
        declared: Iterable[Client],
        store: ClientStore,
        documents: ClientIdMetadataFinder | None,
        clock: Clock,
        self_described_scopes: Iterable[str],
        assertion_clients: Iterable[str] = (),
    ) -> None:
        """`self_described_scopes` are the scopes of clients that registered themselves or have a metadata document.

        `assertion_clients` are the ids of those that also have the grant jwt-bearer: the operator has listed them.
        """
        self._self_described_scopes = frozenset(self_described_scopes)
        self._assertion_clients = frozenset(assertion_clients)
        self._declared = {client.client_id: client for client in declared}
        self._store = store
        self._documents = documents
        self._cached = BoundedCache[str, Client](clock=clock, max_entries=_CACHED_CLIENTS, max_bytes=_CACHED_BYTES)

    @property
    def finds_documents(self) -> bool:
        """Whether a client_id may be the URL of a metadata document."""
        return self._documents is not None

    async def find(self, client_id: str, *, source_address: str = UNKNOWN_ADDRESS) -> Client | None:
        """The client with exactly this id, or None.

        A metadata document may have to be fetched. The fetch counts towards the limit of `source_address`, the address
        that the request came from. Raises `InvalidClient` if the document cannot be fetched or is not valid; the
        description is for the developer of the client.
        """
        declared = self._declared.get(client_id)
        if declared is not None:
            return declared
        if not client_id.isprintable() or len(client_id) > _MAX_ID_LENGTH:
            return None
        if "://" not in client_id:
            return await self._find_stored(client_id)
        if self._documents is None:
            return None
        return self._with_current_permissions(await self._documents.find(client_id, source_address=source_address))

    async def find_known(self, client_id: str) -> Client | None:
        """The client, if it is declared or stored: a metadata document is not fetched."""
        return self._declared.get(client_id) or await self._store.find(client_id)

    async def mark_visited(self, client: Client) -> None:
        """A browser opened the sign-in page for this client: an unused registration starts its lifetime again."""
        if client.origin is ClientOrigin.REGISTERED:
            await self._store.restart_unused_lifetime(client.client_id)

    async def mark_used(self, client: Client) -> None:
        """A user consented to this client: a registration no longer expires, and a metadata document is stored."""
        if client.origin is ClientOrigin.REGISTERED:
            await self._store.remove_expiry(client.client_id)
        elif client.origin is ClientOrigin.METADATA_DOCUMENT and self._documents is not None:
            await self._documents.store_copy(client)

    async def _find_stored(self, client_id: str) -> Client | None:
        cached = self._cached.get(client_id)
        if cached is not None:
            return cached
        found = await self._store.find_with_size(client_id)
        if found is None:
            return None
        stored, document_bytes = found
        client = self._with_current_permissions(stored)
        size_bytes = _ENTRY_BYTES + 2 * document_bytes
        self._cached.put(client_id, client, size_bytes=size_bytes, lifetime_seconds=_CACHED_FOR_SECONDS)
        return client

    def _with_current_permissions(self, client: Client) -> Client:
        """The scopes of a self-described client come from the current declaration, not from its registration.

        The same is true of the grant jwt-bearer.
        """
        if client.is_from_operator:
            return client
        grant_types = client.grant_types - {GrantType.JWT_BEARER}
        if client.client_id in self._assertion_clients:
            grant_types |= {GrantType.JWT_BEARER}
        if client.scopes == self._self_described_scopes and client.grant_types == grant_types:
            return client
        return replace(client, scopes=self._self_described_scopes, grant_types=grant_types)
