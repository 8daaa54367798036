"""The declaration, auth.yaml: which resources and clients there are, and who may register more.

Read whole at start, so a mistake in it stops the start with its place named. Without a file the built-in declaration
stands (`declaration_default.yaml`); demo mode adds `declaration_demo.yaml`.
"""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlsplit

import structlog
import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator
from redis.asyncio import Redis
from redis.exceptions import RedisError

from auth_service.audit_recorder import AuditRecorder
from auth_service.protocol import AuthMethod, GrantType
from auth_service.scopes import IDENTITY_SCOPES, Scope
from auth_service.settings import AuthSettings
from security_common.audit import Action, EventType
from security_common.errors import SecurityError
from security_common.service import is_loopback_url, parse_yaml

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
# Where a replica that starts leaves the fingerprint of what it applied.
APPLIED_KEY = "auth:declaration"
# The folder of the default resource, and of the demo client with its published secret.
BUILT_IN_FILES = Path(__file__).parent

log = structlog.get_logger(__name__)

# The hosts of the published metadata documents that MCP clients use.
_KNOWN_CLIENT_HOSTS = ("claude.ai", "vscode.dev", "chatgpt.com")


class DeclarationInvalid(SecurityError):
    """auth.yaml cannot be read, or says something that cannot be."""

    error = "declaration_invalid"


class Openness(StrEnum):
    """How far a way of registration is open: to all, to those named, to nobody. AUTO: open on a loopback issuer."""

    AUTO = "auto"
    OPEN = "open"
    LISTED = "listed"
    OFF = "off"


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeclaredScope(_Declared):
    """What a scope allows, in the words of the consent page."""

    ko: str = Field(description="Korean text for the consent page.")
    en: str = Field(description="English text for the consent page.")


class DeclaredResource(_Declared):
    """A protected resource (RFC 8707)."""

    url: str = Field(description="Its identifier, as in its own metadata.")
    name: str = Field(default="MCP server", description="What people call it.")
    default: bool = Field(default=False, description="Meant when a request names no resource.")
    scopes: Mapping[str, DeclaredScope] = Field(description="Its scopes and what they allow.")


class DeclaredClient(_Declared):
    """A client the operator vouches for."""

    client_id: str = Field(pattern=r"^[\x21-\x7e]{1,200}$", description="Its id; ids that begin with u_ are users'.")
    name: str | None = Field(default=None, description="What people call it; the id when left out.")
    secret_file: Path | None = Field(default=None, description="File with its secret.")
    jwks_file: Path | None = Field(
        default=None, description="JWK or JWK Set with its public keys, for private_key_jwt."
    )
    jwks_uri: str | None = Field(default=None, description="Where its public keys are published.")
    auth_methods: frozenset[AuthMethod] = Field(
        default=frozenset(), description="How it authenticates; left out: what its secret or keys allow, else none."
    )
    grant_types: frozenset[GrantType] = Field(
        default=frozenset({GrantType.CLIENT_CREDENTIALS}), description="The grants it may use."
    )
    scopes: tuple[str, ...] = Field(default=(Scope.MCP_ACCESS,), description="The scopes it may ask for.")
    default_scopes: tuple[str, ...] | None = Field(
        default=None, description="Granted when a request names none; left out: the first of scopes."
    )
    resources: tuple[str, ...] = Field(default=(), description="Resources it may ask for; left out: all.")
    extra_audiences: tuple[str, ...] = Field(
        default=(), description="Stand in aud beside the resource, for gateways that check for a name of their own."
    )
    redirect_uris: tuple[str, ...] = Field(default=(), description="Where a browser may be sent back to.")
    post_logout_redirect_uris: tuple[str, ...] = Field(default=(), description="Where a browser may go after logout.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.client_id.startswith("u_"):
            raise ValueError("client ids must not begin with u_, as users' ids do")
        if GrantType.AUTHORIZATION_CODE in self.grant_types and not self.redirect_uris:
            raise ValueError("authorization_code needs redirect_uris")
        if GrantType.CLIENT_CREDENTIALS in self.grant_types and not (
            self.secret_file or self.jwks_file or self.jwks_uri
        ):
            raise ValueError("client_credentials needs secret_file, jwks_file or jwks_uri")
        return self


class RegistrationPolicy(_Declared):
    """Who may add clients at run time."""

    dynamic: Openness = Field(
        default=Openness.AUTO, description="RFC 7591: open, listed (needs the initial access token), off, or auto."
    )
    initial_access_token_file: Path | None = Field(
        default=None, description="File with the token that dynamic registration asks for."
    )
    metadata_documents: Openness = Field(
        default=Openness.AUTO,
        description="Client ID Metadata Documents: open, listed (hosts), off, or auto. With auto, where clients can"
        " register as well, they are advertised once a published document could be fetched from this machine.",
    )
    hosts: tuple[str, ...] = Field(
        default=_KNOWN_CLIENT_HOSTS, description="Hosts whose metadata documents are accepted."
    )
    pinned_directory: Path | None = Field(
        default=None, description="Folder with copies of metadata documents, for networks that cannot fetch them."
    )
    scopes: tuple[str, ...] = Field(
        default=(*sorted(IDENTITY_SCOPES), Scope.MCP_ACCESS, Scope.MCP_DECRYPT, Scope.MCP_AUDIT),
        description="The most a client that registered itself may ask a user for; mcp.audit is an auditor's to grant.",
    )

    # Set when the declaration is loaded: documents are a way that clients need not take.
    _advertised_once_reachable: bool = PrivateAttr(default=False)

    def settle(self, issuer: str) -> Self:
        """The policy with each `auto` replaced by what it means for this issuer."""
        automatic = Openness.OPEN if is_loopback_url(issuer) else Openness.LISTED
        left_open = [name for name in ("dynamic", "metadata_documents") if getattr(self, name) is Openness.AUTO]
        settled = self.model_copy(update=dict.fromkeys(left_open, automatic))
        chosen_by_us = "metadata_documents" in left_open and self.pinned_directory is None
        settled._advertised_once_reachable = chosen_by_us and settled.dynamic is Openness.OPEN  # noqa: SLF001 - our own
        return settled

    @property
    def advertised_once_reachable(self) -> bool:
        """Whether the metadata advertises documents only after one could be fetched.

        So it is where the operator left the choice to us (auto), nothing is pinned, and clients can register instead.
        """
        return self._advertised_once_reachable

    @property
    def registers(self) -> bool:
        """Whether anybody can register by RFC 7591: a listed registration nobody has the token for is none."""
        with_token = self.dynamic is Openness.LISTED and self.initial_access_token_file is not None
        return self.dynamic is Openness.OPEN or with_token


class Declaration(_Declared):
    """auth.yaml as a whole."""

    resources: tuple[DeclaredResource, ...] = Field(default=(), description="The protected resources.")
    clients: tuple[DeclaredClient, ...] = Field(default=(), description="The clients.")
    registration: RegistrationPolicy = Field(default_factory=RegistrationPolicy, description="Who may add clients.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        ids = [client.client_id for client in self.clients]
        if len(set(ids)) != len(ids):
            raise ValueError("a client_id stands twice")
        if sum(resource.default for resource in self.resources) > 1:
            raise ValueError("only one resource can be the default")
        known = self.known_scopes
        for client in self.clients:
            if self.resources and not set(client.scopes) <= known:
                raise ValueError(f"client {client.client_id}: a scope that no resource declares")
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
    """What the file says, completed by the built-in resource and, in demo mode, the demo's client.

    Raises `DeclarationInvalid`.
    """
    declared = _read(settings.config) if settings.config else {}
    if not declared.get("resources"):
        default = _read(BUILT_IN_FILES / "declaration_default.yaml")["resources"]
        declared["resources"] = [{"url": settings.resource, **resource} for resource in default]
    if settings.demo:
        own = {client["client_id"] for client in declared.get("clients", ())}
        demo = _read(BUILT_IN_FILES / "declaration_demo.yaml")["clients"]
        declared["clients"] = [*declared.get("clients", ()), *(c for c in demo if c["client_id"] not in own)]
    try:
        declaration = Declaration.model_validate(declared)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise DeclarationInvalid(
            f"{place}: {first['msg']}", hint=f"correct {settings.config} and start again"
        ) from None
    clients = (*declaration.clients, *_audit_page(settings.audit_page_public_key_file, declaration))
    registration = declaration.registration.settle(settings.issuer)
    return declaration.model_copy(update={"clients": clients, "registration": registration})


def _audit_page(key_file: Path | None, declaration: Declaration) -> tuple[DeclaredClient, ...]:
    """The audit page, a client of ours beside the default resource; unless the file declares one of this name."""
    if key_file is None or any(client.client_id == _AUDIT_PAGE for client in declaration.clients):
        return ()
    resource = next((each for each in declaration.resources if each.default), declaration.resources[0])
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
    """Leaves word of the declaration that this replica started with, for `auth-service doctor` and the record."""
    fingerprint = declaration.fingerprint
    try:
        before = await redis.set(APPLIED_KEY, fingerprint, get=True)
    except (RedisError, OSError):
        log.warning("the applied declaration is not noted: Redis is away")
        return
    if before != fingerprint:
        await record(None, event_type=EventType.DECLARATION_APPLIED, action=Action.APPLIED, reason=fingerprint)


def _read(path: Path) -> dict[str, Any]:
    """The file as a mapping; file names in it count from its own folder. Raises `DeclarationInvalid`."""
    try:
        content: Any = parse_yaml(path.read_text(encoding="utf-8-sig")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        hint = "check AUTH_CONFIG and that the file is readable YAML"
        raise DeclarationInvalid(f"{path} cannot be read: {type(error).__name__}", hint=hint) from error
    if not isinstance(content, dict):
        raise DeclarationInvalid(f"{path} must be a mapping", hint="start with `resources:` and `clients:`")
    return cast("dict[str, Any]", _anchor(content, path.parent))


def _anchor(node: Any, folder: Path) -> Any:
    if isinstance(node, dict):
        items = cast("dict[str, Any]", node).items()
        return {
            key: str(folder / value) if _names_a_file(key, value) else _anchor(value, folder) for key, value in items
        }
    return [_anchor(item, folder) for item in cast("list[Any]", node)] if isinstance(node, list) else node


def _names_a_file(key: str, value: Any) -> bool:
    return isinstance(value, str) and key.endswith(("_file", "_directory"))
