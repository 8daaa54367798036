"""The directory: every client by its id, whichever way it became known."""

from collections import OrderedDict
from collections.abc import Iterable

from auth_service.clients.documents import MetadataDocuments
from auth_service.clients.model import Client, ClientOrigin
from auth_service.clients.store import ClientStore
from auth_service.vocabulary import Clock

__all__ = ["Directory"]

# A deleted client may go on for this long at the other replicas; a token request then costs no Redis read.
_FRESH_SECONDS = 5.0
_CACHED_CLIENTS = 1_000
_LONGEST_ID = 2048


class Directory:
    """Declared clients win over stored ones with the same id. Implements `ClientDirectory`."""

    def __init__(
        self, *, declared: Iterable[Client], store: ClientStore, documents: MetadataDocuments | None, clock: Clock
    ) -> None:
        self._declared = {client.client_id: client for client in declared}
        self._store = store
        self._documents = documents
        self._clock = clock
        self._cached: OrderedDict[str, tuple[float, Client]] = OrderedDict()

    @property
    def finds_documents(self) -> bool:
        """Whether a client id may be the address of a metadata document."""
        return self._documents is not None

    async def find(self, client_id: str) -> Client | None:
        declared = self._declared.get(client_id)
        if declared is not None:
            return declared
        if not client_id.isprintable() or len(client_id) > _LONGEST_ID:
            return None
        if "://" not in client_id:
            return await self._find_stored(client_id)
        return await self._documents.find(client_id) if self._documents is not None else None

    async def mark_used(self, client: Client) -> None:
        if client.origin is ClientOrigin.REGISTERED:
            await self._store.keep(client.client_id)

    async def _find_stored(self, client_id: str) -> Client | None:
        now = self._clock()
        fresh_until, cached = self._cached.get(client_id, (0.0, None))
        if cached is not None and now < fresh_until:
            return cached
        found = await self._store.find(client_id)
        self._cached.pop(client_id, None)
        if found is not None:
            self._cached[client_id] = (now + _FRESH_SECONDS, found)
            while len(self._cached) > _CACHED_CLIENTS:
                self._cached.popitem(last=False)
        return found
