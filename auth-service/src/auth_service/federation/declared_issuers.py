"""Checks that the declared providers are still those at which people were linked: at start, and before a command links.

People are known by the issuer of their provider. If it changed without notice, everyone would get a new account, and a
provider of someone else could take over the old ones.
"""

from collections.abc import Iterable, Mapping

from auth_service.accounts.identities import Identities
from auth_service.declaration import DeclarationInvalid
from auth_service.declared_providers import DeclaredProvider

__all__ = ["check_declared_issuers", "find_changed_issuer"]


async def check_declared_issuers(declared: Iterable[DeclaredProvider], identities: Identities) -> None:
    """Raises `DeclarationInvalid` if an issuer or an id changed. Raises `RedisError` if Redis is unavailable."""
    failure = find_changed_issuer(tuple(declared), await identities.issuers())
    if failure is not None:
        raise failure


def find_changed_issuer(declared: tuple[DeclaredProvider, ...], known: Mapping[str, str]) -> DeclarationInvalid | None:
    """What is wrong, or None. `known` are all issuers at which people were linked, with the ids of their providers."""
    ids = {provider.id for provider in declared}
    for provider in declared:
        accepted = {provider.resolved_issuer, provider.was_issuer}
        for issuer, provider_id in known.items():
            if provider_id == provider.id and issuer not in accepted:
                return DeclarationInvalid(
                    f"identity provider {provider.id}: its issuer was {issuer}, and people are linked there",
                    hint=f"restore it, or write `was_issuer: {issuer}` if people keep their subjects there",
                )
        known_id = known.get(provider.resolved_issuer, provider.id)
        if known_id not in ids:
            return DeclarationInvalid(
                f"identity provider {provider.id} was called {known_id}, and people are linked there",
                hint=f"write `id: {known_id}` as before; `name` is what people see",
            )
    return None
