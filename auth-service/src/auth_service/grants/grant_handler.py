"""The interface between the token endpoint and its grants: `GrantHandler`, its request and its response."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from auth_service.clients.client import Client
from auth_service.http.forms import Form
from auth_service.http.parameters import Parameter
from auth_service.protocol import GrantType
from security_common.edge import RequestContext

__all__ = ["ClientFinder", "GrantHandler", "TokenRequest", "TokenResponse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A token request whose client is authenticated and may use the grant.

    `scopes` is None if the request has no `scope`. `resources` are the normalized values of `resource`
    (RFC 8707); `tokens.resources.Resources.resolve` finds the declared resource. `parameters` are those that
    `GrantHandler.parameters` names, each at most once; a handler never reads the raw form.
    """

    client: Client
    scopes: tuple[str, ...] | None
    resources: tuple[str, ...]
    parameters: Mapping[str, str] = field(repr=False)
    source_address: str
    trace_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """A successful response (RFC 6749 section 5.1), and what the audit event says about it.

    `actor` is the `sub` of who acts for the user, if an assertion names one. `issued_token_type` and `exchanged_for`
    are those of a token exchange (RFC 8693 section 2.2.1): the URI of the kind of token, and the resource that it is
    for.
    """

    access_token: str = field(repr=False)
    expires_in_seconds: int
    scopes: tuple[str, ...]
    subject: str
    actor: str | None = None
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    issued_token_type: str | None = None
    exchanged_for: str | None = None


class GrantHandler(Protocol):
    """One grant of the token endpoint.

    `parameters` are the names it reads in addition to client authentication, `grant_type`, `scope` and `resource`,
    which the endpoint reads for every grant.
    """

    @property
    def grant_type(self) -> GrantType: ...

    @property
    def parameters(self) -> tuple[Parameter, ...]: ...

    async def exchange(self, request: TokenRequest) -> TokenResponse:
        """The tokens for this request. Raises an `OAuthError`. Single use and rotation are atomic."""
        ...


class ClientFinder(GrantHandler, Protocol):
    """A grant whose parameters can prove the client, which then need not authenticate (RFC 7523 section 3.1)."""

    async def find_client(self, form: Form, source: RequestContext) -> Client | None:
        """The client; None if it has to authenticate. Raises an `OAuthError`; an `InvalidClient` is recorded."""
        ...
