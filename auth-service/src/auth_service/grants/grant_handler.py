"""What a grant is given, what it gives back, and the one method it fills in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from auth_service.clients.client import Client
from auth_service.protocol import GrantType

__all__ = ["GrantHandler", "TokenRequest", "TokenResponse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A token request whose client is authenticated and may use the grant.

    `scopes` is None when the parameter was left out. `resources` are the RFC 8707 values as sent, syntactically
    absolute URIs; `tokens.resources.Resources.resolve` makes one declared resource of them. `parameters` holds those of
    the form that the grant names in `GrantHandler.parameters`, each at most once; a grant never sees the raw form.
    """

    client: Client
    scopes: tuple[str, ...] | None
    resources: tuple[str, ...]
    parameters: Mapping[str, str] = field(repr=False)
    source_address: str
    trace_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """RFC 6749 section 5.1, and what the audit event needs. `expires_in_seconds` counts from now."""

    access_token: str = field(repr=False)
    expires_in_seconds: int
    scopes: tuple[str, ...]
    subject: str
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)


class GrantHandler(Protocol):
    """One grant of the token endpoint. `parameters` are the names it reads beside client authentication,
    `grant_type`, `scope` and `resource`, which the shared phases read for it.
    """

    @property
    def grant_type(self) -> GrantType: ...

    @property
    def parameters(self) -> frozenset[str]: ...

    async def exchange(self, request: TokenRequest) -> TokenResponse:
        """Tokens for this request; raises an `OAuthError`. Whatever must happen once happens atomically in here."""
        ...
