"""How a provider says that a user is gone or disabled, when it refuses a refresh token.

The OAuth error is `invalid_grant` for that as well as for a session that is over. Only the description differs, so the
texts that the vendors document are recognized. Anything else means that the user has to sign in again, and the provider
then decides.
"""

from collections.abc import Mapping
from types import MappingProxyType

from auth_service.declared_providers import ProviderKind

__all__ = ["says_account_is_gone"]

_MARKS: Mapping[ProviderKind, tuple[str, ...]] = MappingProxyType(
    {
        # Not found, disabled, not assigned to the application.
        ProviderKind.ENTRA: ("aadsts50034", "aadsts50057", "aadsts50105"),
        ProviderKind.GOOGLE: ("account has been deleted", "account has been disabled"),
        ProviderKind.OKTA: ("user is not assigned", "user is not active", "user has been deactivated"),
        ProviderKind.KEYCLOAK: ("user disabled", "user not found", "invalid user", "account disabled"),
        ProviderKind.OIDC: ("account not found", "user not found", "user disabled", "account disabled"),
    }
)


def says_account_is_gone(kind: ProviderKind, description: object) -> bool:
    """Whether this `error_description` says that the user is gone or disabled."""
    text = description[:1000].casefold() if isinstance(description, str) else ""
    return any(mark in text for mark in _MARKS[kind])
