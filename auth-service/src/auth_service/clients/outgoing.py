"""What this service fetches for clients: one fetcher, one resolver and one budget for documents and key sets."""

from dataclasses import dataclass

from auth_service.clients.document_reach import KNOWN_DOCUMENTS, DocumentReach
from auth_service.clients.fetch_budget import FetchBudget
from auth_service.clients.fetching import DocumentFetcher, is_public_address
from auth_service.clients.resolving import SystemResolver
from auth_service.declaration import RegistrationPolicy

__all__ = ["Outgoing"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Made once, shared by everything that fetches."""

    fetcher: DocumentFetcher
    budget: FetchBudget
    resolver: SystemResolver
    reach: DocumentReach

    @classmethod
    def of(cls, policy: RegistrationPolicy, fetcher: DocumentFetcher | None) -> "Outgoing":
        """As the declaration wants it; with a `fetcher` of the caller's, if there is one."""
        resolver = SystemResolver(reserved_hosts=policy.hosts)
        fetcher = fetcher or DocumentFetcher(resolve=resolver, is_allowed=is_public_address)
        budget = FetchBudget(listed_hosts=policy.hosts)
        return cls(fetcher=fetcher, budget=budget, resolver=resolver, reach=DocumentReach(fetcher, KNOWN_DOCUMENTS))

    async def close(self) -> None:
        await self.reach.stop()
        self.resolver.close()
