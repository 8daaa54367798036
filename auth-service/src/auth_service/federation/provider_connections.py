"""The connections to all declared identity providers."""

from collections.abc import Iterator, Mapping

from auth_service.federation.identity_provider import IdentityProvider
from auth_service.federation.provider_connection import ProviderConnection
from auth_service.protocol import Clock

__all__ = ["ProviderConnections"]


class ProviderConnections:
    """The connections by the id of the provider, in the order of the declaration."""

    def __init__(self, providers: Mapping[str, IdentityProvider], *, clock: Clock) -> None:
        self._connections = {each.id: ProviderConnection(each, clock=clock) for each in providers.values()}

    def find(self, provider_id: str) -> ProviderConnection | None:
        return self._connections.get(provider_id)

    def __iter__(self) -> Iterator[ProviderConnection]:
        return iter(self._connections.values())

    def __len__(self) -> int:
        return len(self._connections)

    async def close(self) -> None:
        for connection in self._connections.values():
            await connection.close()
