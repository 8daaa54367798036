"""A client as every room sees it, whichever way it became known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from auth_service.protocol import AuthMethod, GrantType

__all__ = ["UNNAMED_CLIENT", "Client", "ClientOrigin", "StoredSecret"]

# The name of a client that registered without one; pages say it in their own language.
UNNAMED_CLIENT = "Unnamed client"


class ClientOrigin(StrEnum):
    """Who vouches for a client's metadata."""

    DECLARED = "declared"  # the operator, in auth.yaml
    OPERATOR = "operator"  # the operator, by command
    REGISTERED = "registered"  # nobody: RFC 7591
    METADATA_DOCUMENT = "metadata_document"  # whoever holds the host in the client_id


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSecret:
    """A client secret as it is kept: its HMAC under the pepper, in hex (`clients.secrets`)."""

    scheme: str
    digest: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """RFC 7591 section 2, parsed once. Times are seconds since the epoch.

    `resources` are the RFC 8707 identifiers it may ask tokens for, the first one when it names none; empty means every
    declared resource and the declared default. `default_scopes` are granted when `scope` is left out.
    `extra_audiences` stand in `aud` beside the resource. `signing_keys` is a JWK Set for private_key_jwt,
    `signing_keys_uri` where it is published.
    """

    client_id: str
    name: str
    origin: ClientOrigin
    auth_methods: frozenset[AuthMethod]
    grant_types: frozenset[GrantType]
    scopes: frozenset[str] = frozenset()
    default_scopes: tuple[str, ...] = ()
    secret: StoredSecret | None = None
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    extra_audiences: tuple[str, ...] = ()
    signing_keys: Mapping[str, Any] | None = None
    signing_keys_uri: str | None = None
    application_type: str = "web"
    client_uri: str | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    created_at_seconds: float = 0.0

    @property
    def is_public(self) -> bool:
        """True when it can keep no secret (RFC 6749 section 2.1)."""
        return self.auth_methods == frozenset({AuthMethod.NONE})

    @property
    def host(self) -> str | None:
        """The host that vouches for it, for the consent page; None unless its id is a URL."""
        return urlsplit(self.client_id).hostname if self.origin is ClientOrigin.METADATA_DOCUMENT else None
