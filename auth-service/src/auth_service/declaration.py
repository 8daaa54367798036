"""The declaration (auth.yaml) as a model: resources, clients, providers, workloads, and who may register clients."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self, cast
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BeforeValidator, Field, model_validator

from auth_service.declared_providers import (
    Declared,
    DeclaredName,
    DeclaredProvider,
    DeclaredSignIn,
    LocalSignIn,
    check_identity_providers,
)
from auth_service.declared_workloads import DeclaredWorkload, DeclaredWorkloadIssuer, check_workloads
from auth_service.protocol import USER_ID_PREFIX, AuthMethod, GrantType
from auth_service.scopes import IDENTITY_SCOPES, Scope
from security_common.errors import SecurityError
from security_common.web_urls import is_loopback_url

__all__ = [
    "KNOWN_DOCUMENTS",
    "MAX_CLIENT_ID_LENGTH",
    "Declaration",
    "DeclarationInvalid",
    "DeclaredClient",
    "DeclaredExchange",
    "DeclaredResource",
    "DeclaredScope",
    "Openness",
    "RegistrationPolicy",
    "ResolvedRegistrationPolicy",
    "check_client_id",
]

# The published metadata documents of Claude Code, VS Code and Codex.
KNOWN_DOCUMENTS = (
    "https://claude.ai/oauth/claude-code-client-metadata",
    "https://vscode.dev/oauth/client-metadata.json",
    "https://chatgpt.com/oauth/codex/client.json",
)
_KNOWN_HOSTS = tuple(urlsplit(url).netloc for url in KNOWN_DOCUMENTS)

MAX_CLIENT_ID_LENGTH = 200
_CLIENT_ID = re.compile(r"[\x21-\x7e]+")
# The grants with which a workload gets tokens for its client.
_WORKLOAD_GRANTS = frozenset({GrantType.CLIENT_CREDENTIALS, GrantType.JWT_BEARER})


class DeclarationInvalid(SecurityError):
    """auth.yaml cannot be read or is not valid."""

    error = "declaration_invalid"


class Openness(StrEnum):
    """Which clients may register (`dynamic`), or use a metadata document (`metadata_documents`).

    OPEN: all. LISTED: for `dynamic`, those that send the initial access token; for `metadata_documents`, those whose
    document is on one of the listed `hosts`. OFF: none. AUTO: OPEN on a loopback issuer, else LISTED.
    """

    AUTO = "auto"
    OPEN = "open"
    LISTED = "listed"
    OFF = "off"


def check_client_id(client_id: str) -> None:
    """The rule for ids that an operator chooses, in auth.yaml or with a command. Raises ValueError."""
    if not _CLIENT_ID.fullmatch(client_id) or len(client_id) > MAX_CLIENT_ID_LENGTH:
        raise ValueError(f"a client id has 1 to {MAX_CLIENT_ID_LENGTH} printable ASCII characters and no space")
    if client_id.startswith(USER_ID_PREFIX):
        raise ValueError(f"a client id must not start with {USER_ID_PREFIX}, because users' ids do")


class DeclaredScope(Declared):
    """What a scope allows, as the consent page describes it."""

    ko: str = Field(description="Korean text for the consent page.")
    en: str = Field(description="English text for the consent page.")


class DeclaredResource(Declared):
    """A protected resource (RFC 8707)."""

    url: str = Field(description="Its identifier, as in its own metadata (RFC 9728).")
    name: str | DeclaredName = Field(
        default=DeclaredName(ko="MCP 서버", en="MCP server"),
        description="The name that pages show: one for both languages, or `ko` and `en`.",
    )
    default: bool = Field(default=False, description="Whether it is the resource of requests that name none.")
    scopes: Mapping[str, DeclaredScope] = Field(description="Its scopes and what they allow.")


def _split_scopes(value: object) -> object:
    """YAML may have the scopes as one text, as in a request."""
    return tuple(value.split()) if isinstance(value, str) else value


class DeclaredExchange(Declared):
    """The access tokens that a client may exchange for tokens to another resource (RFC 8693)."""

    sources: tuple[str, ...] = Field(
        alias="from", min_length=1, description="The resources of this client, which the exchanged tokens are for."
    )
    target: str = Field(alias="to", description="The resource that the new tokens are for.")
    scopes: Mapping[str, Annotated[tuple[str, ...], BeforeValidator(_split_scopes)]] = Field(
        min_length=1,
        description="For each scope of the exchanged token, the scopes that it gives at the target. Others give none.",
    )
    lifetime_seconds: int = Field(
        default=300,
        ge=120,
        le=300,
        description="How long a new token is valid, in seconds; never longer than the exchanged one.",
    )


class DeclaredClient(Declared):
    """A client that the operator declares."""

    client_id: str = Field(description="Its id; u_ is only for users.")
    name: str | None = Field(default=None, description="The name that pages show; left out: the id.")
    secret_file: Path | None = Field(default=None, description="File with its secret.")
    secret_expires_at: AwareDatetime | None = Field(
        default=None, description="When the secret expires (RFC 3339): after that it is refused. Unset: never."
    )
    jwks_file: Path | None = Field(
        default=None, description="File with its public JWK or JWK Set, for private_key_jwt."
    )
    jwks_uri: str | None = Field(default=None, description="URL of its public JWK Set, for private_key_jwt.")
    auth_methods: frozenset[AuthMethod] = Field(
        default=frozenset(), description="How it authenticates; left out: what it has credentials for."
    )
    grant_types: frozenset[GrantType] = Field(
        default=frozenset({GrantType.CLIENT_CREDENTIALS}), description="The grants it may use."
    )
    scopes: tuple[str, ...] = Field(default=(Scope.MCP_ACCESS,), description="The scopes it may request.")
    default_scopes: tuple[str, ...] | None = Field(
        default=None, description="Granted if a request names no scope; left out: the first of scopes."
    )
    resources: tuple[str, ...] = Field(default=(), description="Resources it may request; left out: all.")
    extra_audiences: tuple[str, ...] = Field(
        default=(),
        description="Added to aud in addition to the resource, for gateways that require a name of their own.",
    )
    may_exchange: tuple[DeclaredExchange, ...] = Field(
        default=(), description="The tokens of its own callers that it may exchange, with the grant token-exchange."
    )
    workloads: tuple[DeclaredWorkload, ...] = Field(
        default=(), description="CI jobs and pods that act as this client with a token of their platform."
    )
    redirect_uris: tuple[str, ...] = Field(default=(), description="Where a browser may be redirected after sign-in.")
    post_logout_redirect_uris: tuple[str, ...] = Field(
        default=(), description="Where a browser may be redirected after logout."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_client_id(self.client_id)
        if GrantType.AUTHORIZATION_CODE in self.grant_types and not self.redirect_uris:
            raise ValueError("authorization_code needs redirect_uris")
        for grant in (GrantType.CLIENT_CREDENTIALS, GrantType.TOKEN_EXCHANGE):
            if grant in self.grant_types and not self._has_credentials:
                raise ValueError(f"{grant} needs secret_file, jwks_file, jwks_uri or workloads")
        if (GrantType.TOKEN_EXCHANGE in self.grant_types) != bool(self.may_exchange):
            raise ValueError(f"may_exchange and the grant type {GrantType.TOKEN_EXCHANGE} need each other")
        if self.workloads and not _WORKLOAD_GRANTS & self.grant_types:
            raise ValueError(f"workloads need one of the grants {', '.join(sorted(_WORKLOAD_GRANTS))}")
        if self.workloads and AuthMethod.NONE in self.auth_methods:
            raise ValueError("a client with workloads cannot be public: remove none from auth_methods")
        return self

    @property
    def _has_credentials(self) -> bool:
        """Whether the client can authenticate: with a secret, with keys, or with the tokens of its workloads."""
        return bool(self.secret_file or self.jwks_file or self.jwks_uri or self.workloads)


class RegistrationPolicy(Declared):
    """Which clients may register, or use a metadata document."""

    dynamic: Openness = Field(
        default=Openness.AUTO, description="RFC 7591: open, listed (with the initial access token), off, or auto."
    )
    initial_access_token_file: Path | None = Field(
        default=None, description="File with the token that dynamic registration requires."
    )
    metadata_documents: Openness = Field(
        default=Openness.AUTO,
        description="Client ID Metadata Documents: open, listed (hosts), off, or auto. With auto, if clients can"
        " register as well, they are advertised once this machine has fetched a published document.",
    )
    hosts: tuple[str, ...] = Field(default=_KNOWN_HOSTS, description="Hosts whose metadata documents are accepted.")
    pinned_directory: Path | None = Field(
        default=None, description="Folder with copies of metadata documents, for networks that cannot fetch them."
    )
    scopes: tuple[str, ...] = Field(
        default=(*sorted(IDENTITY_SCOPES), Scope.MCP_ACCESS, Scope.MCP_DECRYPT, Scope.MCP_AUDIT),
        description="The scopes of clients that register themselves. Only an auditor can grant mcp.audit.",
    )

    def resolve_auto(self, issuer: str) -> "ResolvedRegistrationPolicy":
        """The policy with each `auto` replaced by its value for this issuer."""
        automatic = Openness.OPEN if is_loopback_url(issuer) else Openness.LISTED
        dynamic = automatic if self.dynamic is Openness.AUTO else self.dynamic
        documents_are_auto = self.metadata_documents is Openness.AUTO
        return ResolvedRegistrationPolicy(
            dynamic=dynamic,
            initial_access_token_file=self.initial_access_token_file,
            metadata_documents=automatic if documents_are_auto else self.metadata_documents,
            hosts=frozenset(self.hosts),
            pinned_directory=self.pinned_directory,
            scopes=self.scopes,
            advertised_once_reachable=(
                documents_are_auto and self.pinned_directory is None and dynamic is Openness.OPEN
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRegistrationPolicy:
    """The registration policy of one issuer, without `auto`.

    If `advertised_once_reachable`, the server metadata advertises metadata documents only after one was fetched: their
    setting is `auto`, no documents are pinned, and clients can register instead.
    """

    dynamic: Openness
    initial_access_token_file: Path | None
    metadata_documents: Openness
    hosts: frozenset[str]
    pinned_directory: Path | None
    scopes: tuple[str, ...]
    advertised_once_reachable: bool

    @property
    def registers(self) -> bool:
        """Whether RFC 7591 is available. A listed registration without an initial access token is not."""
        is_open_with_token = self.dynamic is Openness.LISTED and self.initial_access_token_file is not None
        return self.dynamic is Openness.OPEN or is_open_with_token


class Declaration(Declared):
    """auth.yaml as a whole."""

    resources: tuple[DeclaredResource, ...] = Field(default=(), description="The protected resources.")
    clients: tuple[DeclaredClient, ...] = Field(default=(), description="The clients.")
    registration: RegistrationPolicy = Field(default_factory=RegistrationPolicy, description="Who may register.")
    sign_in: DeclaredSignIn = Field(default_factory=DeclaredSignIn, description="How users sign in here.")
    identity_providers: tuple[DeclaredProvider, ...] = Field(
        default=(), description="The OpenID Connect providers at which users sign in."
    )
    workload_issuers: tuple[DeclaredWorkloadIssuer, ...] = Field(
        default=(), description="The platforms whose workloads can be clients."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        ids = [client.client_id for client in self.clients]
        if len(set(ids)) != len(ids):
            raise ValueError("a client_id appears twice")
        if sum(resource.default for resource in self.resources) > 1:
            raise ValueError("only one resource can be the default")
        known = self.known_scopes
        for client in self.clients:
            if self.resources and not set(client.scopes) <= known:
                raise ValueError(f"client {client.client_id} has a scope that no resource declares")
        check_identity_providers(self.identity_providers, known)
        check_workloads(self.workload_issuers, {client.client_id: client.workloads for client in self.clients})
        if self.sign_in.local is LocalSignIn.OFF and not self.identity_providers:
            raise ValueError("sign_in.local is off and there is no identity provider, so no user could sign in")
        return self

    @property
    def known_scopes(self) -> frozenset[str]:
        """The scopes that a client may have: those of the resources and those of OpenID Connect."""
        return IDENTITY_SCOPES.union(*(resource.scopes for resource in self.resources))

    @property
    def fingerprint(self) -> str:
        """Equal for equal declarations; replicas compare it."""
        document = json.dumps(self.model_dump(), default=_as_json)
        return hashlib.sha256(document.encode()).hexdigest()[:16]


def _as_json(value: object) -> object:
    """A value that JSON does not have. The order of a set differs from process to process, so sets are sorted."""
    if isinstance(value, frozenset):
        return sorted(map(str, cast("frozenset[object]", value)))
    return str(value)
