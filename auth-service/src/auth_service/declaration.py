"""The declaration (auth.yaml): the resources, the clients, and who may register further clients.

It is read completely at start; an error in it ends the start and names the place. Without a file the built-in one is
used (`declaration_default.yaml`). Demo mode adds `declaration_demo.yaml`.
"""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlsplit

import structlog
import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator
from redis.asyncio import Redis
from redis.exceptions import RedisError

from auth_service.audit_recorder import AuditRecorder
from auth_service.protocol import AuthMethod, GrantType
from auth_service.scopes import IDENTITY_SCOPES, Scope
from auth_service.settings import AuthSettings
from security_common.audit import Action, EventType
from security_common.errors import SecurityError
from security_common.service import parse_yaml
from security_common.web_urls import is_loopback_url

__all__ = [
    "APPLIED_KEY",
    "BUILT_IN_FILES",
    "Declaration",
    "DeclarationInvalid",
    "DeclaredClient",
    "DeclaredResource",
    "DeclaredScope",
    "Openness",
    "RegistrationPolicy",
    "load_declaration",
    "note_applied",
]

_AUDIT_PAGE = "audit-page"
# The Redis key with the fingerprint of the declaration that was applied last.
APPLIED_KEY = "auth:declaration"
# The folder with the built-in declarations and the public secret of the demo client.
BUILT_IN_FILES = Path(__file__).parent

log = structlog.get_logger(__name__)

# The hosts of the published metadata documents that MCP clients use.
_KNOWN_CLIENT_HOSTS = ("claude.ai", "vscode.dev", "chatgpt.com")


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


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeclaredScope(_Declared):
    """What a scope allows, as the consent page describes it."""

    ko: str = Field(description="Korean text for the consent page.")
    en: str = Field(description="English text for the consent page.")


class DeclaredResource(_Declared):
    """A protected resource (RFC 8707)."""

    url: str = Field(description="Its identifier, as in its own metadata (RFC 9728).")
    name: str = Field(default="MCP server", description="The name that pages show.")
    default: bool = Field(default=False, description="Whether it is the resource of requests that name none.")
    scopes: Mapping[str, DeclaredScope] = Field(description="Its scopes and what they allow.")


class DeclaredClient(_Declared):
    """A client that the operator declares."""

    client_id: str = Field(pattern=r"^[\x21-\x7e]{1,200}$", description="Its id; u_ is only for users.")
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
    scopes: tuple[str, ...] = Field(default=(Scope.MCP_ACCESS,), description="The scopes it may ask for.")
    default_scopes: tuple[str, ...] | None = Field(
        default=None, description="Granted if a request names no scope; left out: the first of scopes."
    )
    resources: tuple[str, ...] = Field(default=(), description="Resources it may ask for; left out: all.")
    extra_audiences: tuple[str, ...] = Field(
        default=(), description="Added to aud beside the resource, for gateways that require a name of their own."
    )
    redirect_uris: tuple[str, ...] = Field(default=(), description="Where a browser may be redirected after sign-in.")
    post_logout_redirect_uris: tuple[str, ...] = Field(
        default=(), description="Where a browser may be redirected after logout."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.client_id.startswith("u_"):
            raise ValueError("client_id must not start with u_, because users' ids do")
        if GrantType.AUTHORIZATION_CODE in self.grant_types and not self.redirect_uris:
            raise ValueError("authorization_code needs redirect_uris")
        if GrantType.CLIENT_CREDENTIALS in self.grant_types and not (
            self.secret_file or self.jwks_file or self.jwks_uri
        ):
            raise ValueError("client_credentials needs secret_file, jwks_file or jwks_uri")
        return self


class RegistrationPolicy(_Declared):
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
    hosts: tuple[str, ...] = Field(
        default=_KNOWN_CLIENT_HOSTS, description="Hosts whose metadata documents are accepted."
    )
    pinned_directory: Path | None = Field(
        default=None, description="Folder with copies of metadata documents, for networks that cannot fetch them."
    )
    scopes: tuple[str, ...] = Field(
        default=(*sorted(IDENTITY_SCOPES), Scope.MCP_ACCESS, Scope.MCP_DECRYPT, Scope.MCP_AUDIT),
        description="The scopes of clients that register themselves. Only an auditor can grant mcp.audit.",
    )

    # Set by `resolve_auto`.
    _advertised_once_reachable: bool = PrivateAttr(default=False)

    def resolve_auto(self, issuer: str) -> Self:
        """The policy with each `auto` replaced by its value for this issuer."""
        automatic = Openness.OPEN if is_loopback_url(issuer) else Openness.LISTED
        unset = [name for name in ("dynamic", "metadata_documents") if getattr(self, name) is Openness.AUTO]
        resolved = self.model_copy(update=dict.fromkeys(unset, automatic))
        is_optional = "metadata_documents" in unset and self.pinned_directory is None
        resolved._advertised_once_reachable = is_optional and resolved.dynamic is Openness.OPEN  # noqa: SLF001 - same class
        return resolved

    @property
    def advertised_once_reachable(self) -> bool:
        """Whether the server metadata advertises documents only after one was fetched.

        This applies if the setting is `auto`, no documents are pinned, and clients can register instead.
        """
        return self._advertised_once_reachable

    @property
    def registers(self) -> bool:
        """Whether RFC 7591 is available. A listed registration without an initial access token is not."""
        with_token = self.dynamic is Openness.LISTED and self.initial_access_token_file is not None
        return self.dynamic is Openness.OPEN or with_token


class Declaration(_Declared):
    """auth.yaml as a whole."""

    resources: tuple[DeclaredResource, ...] = Field(default=(), description="The protected resources.")
    clients: tuple[DeclaredClient, ...] = Field(default=(), description="The clients.")
    registration: RegistrationPolicy = Field(default_factory=RegistrationPolicy, description="Who may register.")

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
        return self

    @property
    def known_scopes(self) -> frozenset[str]:
        """The scopes that a client may have: those of the resources and those of OpenID Connect."""
        return IDENTITY_SCOPES.union(*(resource.scopes for resource in self.resources))

    @property
    def fingerprint(self) -> str:
        """Equal for equal declarations; replicas compare it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


def load_declaration(settings: AuthSettings) -> Declaration:
    """The file that AUTH_CONFIG names, with the built-in resource if it has none, and the demo client in demo mode.

    Raises `DeclarationInvalid`.
    """
    declared = _read(settings.config) if settings.config else {}
    if not declared.get("resources"):
        default = _read(BUILT_IN_FILES / "declaration_default.yaml")["resources"]
        declared["resources"] = [{"url": settings.resource, **resource} for resource in default]
    if settings.demo:
        clients = declared.get("clients", [])
        declared_ids = {client["client_id"] for client in clients}
        for client in _read(BUILT_IN_FILES / "declaration_demo.yaml")["clients"]:
            if client["client_id"] not in declared_ids:
                clients = [*clients, client]
        declared["clients"] = clients
    try:
        declaration = Declaration.model_validate(declared)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise DeclarationInvalid(
            f"{place}: {first['msg']}", hint=f"correct {settings.config} and start again"
        ) from None
    audit_page = _audit_page(settings.audit_page_public_key_file, declaration)
    registration = declaration.registration.resolve_auto(settings.issuer)
    return declaration.model_copy(update={"clients": (*declaration.clients, *audit_page), "registration": registration})


def _audit_page(key_file: Path | None, declaration: Declaration) -> tuple[DeclaredClient, ...]:
    """The audit page: a client at the origin of the default resource. Empty if its key is not set or it is declared."""
    if key_file is None or any(client.client_id == _AUDIT_PAGE for client in declaration.clients):
        return ()
    defaults = [resource for resource in declaration.resources if resource.default]
    resource = (defaults or declaration.resources)[0]
    parts = urlsplit(resource.url)
    address = f"{parts.scheme}://{parts.netloc}/audit"
    page = DeclaredClient(
        client_id=_AUDIT_PAGE,
        name="Audit page · 감사 기록",
        jwks_file=key_file,
        grant_types=frozenset({GrantType.AUTHORIZATION_CODE}),
        scopes=(Scope.OPENID, Scope.MCP_ACCESS, Scope.MCP_AUDIT),
        resources=(resource.url,),
        redirect_uris=(f"{address}/callback",),
        post_logout_redirect_uris=(f"{address}/signed-out?language=en", f"{address}/signed-out?language=ko"),
    )
    return (page,)


async def note_applied(declaration: Declaration, redis: Redis, record: AuditRecorder) -> None:
    """Stores the fingerprint of the applied declaration for `auth-service doctor`, and records a change of it."""
    fingerprint = declaration.fingerprint
    try:
        before = await redis.set(APPLIED_KEY, fingerprint, get=True)
    except (RedisError, OSError):
        log.warning("declaration_fingerprint_not_stored", cause="redis_unavailable")
        return
    if before != fingerprint:
        await record(None, event_type=EventType.DECLARATION_APPLIED, action=Action.APPLIED, reason=fingerprint)


def _read(path: Path) -> dict[str, Any]:
    """The file as a mapping. Paths in it are relative to its folder. Raises `DeclarationInvalid`."""
    try:
        content: Any = parse_yaml(path.read_text(encoding="utf-8-sig")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        hint = "check that AUTH_CONFIG names a readable YAML file"
        raise DeclarationInvalid(f"{path} cannot be read: {type(error).__name__}", hint=hint) from error
    if not isinstance(content, dict):
        raise DeclarationInvalid(f"{path} must be a mapping", hint="start with `resources:` and `clients:`")
    return _resolve_paths(cast("dict[str, Any]", content), path.parent)


def _resolve_paths(members: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The members with every path in them relative to `folder`."""
    return {key: _resolve_member(key, value, folder) for key, value in members.items()}


def _resolve_member(key: str, value: Any, folder: Path) -> Any:
    if isinstance(value, str) and key.endswith(("_file", "_directory")):
        return str(folder / value)
    if isinstance(value, dict):
        return _resolve_paths(cast("dict[str, Any]", value), folder)
    if isinstance(value, list):
        return [_resolve_member("", item, folder) for item in cast("list[Any]", value)]
    return value
