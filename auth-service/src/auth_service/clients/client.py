"""A client: one model for clients of every origin (`ClientOrigin`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from auth_service.protocol import AuthMethod, GrantType

__all__ = ["UNNAMED_CLIENT", "Client", "ClientOrigin", "ExchangeRule", "StoredSecret"]

# The name of a client that registered without one. Pages show a translation of it.
UNNAMED_CLIENT = "Unnamed client"


class ClientOrigin(StrEnum):
    """Where a client's metadata comes from, and so who is responsible for it."""

    DECLARED = "declared"  # the operator, in auth.yaml
    OPERATOR = "operator"  # the operator, with `auth-service client create`
    REGISTERED = "registered"  # unverified: the client registered itself (RFC 7591)
    METADATA_DOCUMENT = "metadata_document"  # the owner of the host in the client_id
    OWN = "own"  # a page of this server, which signs users in as other clients do


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSecret:
    """A client secret as it is stored: its HMAC under the pepper, in hex (`clients.client_secrets`)."""

    scheme: str
    digest: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRule:
    """Which access tokens a client may exchange for one to another resource (RFC 8693).

    The token is for one of the resources `sources`, and the new one is for `target`. `scopes` has for each scope of the
    token those that it gives at the target. The new token is valid for `lifetime_seconds` at most.
    """

    sources: tuple[str, ...]
    target: str
    scopes: Mapping[str, tuple[str, ...]]
    lifetime_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client's metadata (RFC 7591 section 2), already validated. Times are seconds since the epoch.

    `resources` are the resource identifiers (RFC 8707) that the client may request tokens for; the first one is its
    default. If it is empty, the client may use every declared resource, and the declared default is its default.
    `default_scopes` are granted if a request has no `scope`. `extra_audiences` are added to `aud` in addition to the
    resource. `exchange_rules` are the tokens that it may exchange. `signing_keys` is a JWK Set for private_key_jwt;
    `signing_keys_uri` is the address at which one is published.
    """

    client_id: str
    name: str
    origin: ClientOrigin
    auth_methods: frozenset[AuthMethod]
    grant_types: frozenset[GrantType]
    scopes: frozenset[str] = frozenset()
    default_scopes: tuple[str, ...] = ()
    secret: StoredSecret | None = None
    secret_expires_at_seconds: float | None = None
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    extra_audiences: tuple[str, ...] = ()
    exchange_rules: tuple[ExchangeRule, ...] = ()
    signing_keys: Mapping[str, Any] | None = None
    signing_keys_uri: str | None = None
    application_type: str = "web"
    client_uri: str | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    created_at_seconds: float = 0.0

    @property
    def is_from_operator(self) -> bool:
        """Whether the operator of this server has set up the client. If not, the client has described itself."""
        return self.origin in {ClientOrigin.DECLARED, ClientOrigin.OPERATOR, ClientOrigin.OWN}

    @property
    def is_public(self) -> bool:
        """True for a public client: it has no credentials (RFC 6749 section 2.1)."""
        return self.auth_methods == frozenset({AuthMethod.NONE})

    @property
    def host(self) -> str | None:
        """The host of the client's metadata document, for the consent page; None for every other client."""
        return urlsplit(self.client_id).hostname if self.origin is ClientOrigin.METADATA_DOCUMENT else None
