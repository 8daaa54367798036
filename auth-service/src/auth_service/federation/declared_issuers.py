"""Checks at start that the declared providers are still those at which people were linked.

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
    """What is wrong, or None. `known` are the issuers by provider id at which people were linked."""
    ids = {provider.id for provider in declared}
    for provider in declared:
        known_issuer = known.get(provider.id)
        if known_issuer not in {None, provider.resolved_issuer, provider.was_issuer}:
            return DeclarationInvalid(
                f"identity provider {provider.id}: its issuer was {known_issuer}, and people are linked there",
                hint=f"restore it, or write `was_issuer: {known_issuer}` if people keep their subjects there",
            )
        renamed = [each for each, issuer in known.items() if issuer == provider.resolved_issuer and each not in ids]
        if known_issuer is None and renamed:
            return DeclarationInvalid(
                f"identity provider {provider.id} was called {renamed[0]}, and people are linked there",
                hint=f"write `id: {renamed[0]}` as before; `name` is what people see",
            )
    return None
