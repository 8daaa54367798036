"""`identity_providers` and `sign_in` of the declaration (auth.yaml): where users sign in, and what they may allow apps.

A preset (`kind`) fills in what all customers of one vendor have in common; `docs/connect-*.md` describe each vendor.
"""

import re
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from auth_service.scopes import IDENTITY_SCOPES, SCOPE_TOKEN, Role, Scope
from security_common.web_urls import is_loopback_url, parse_web_url

__all__ = [
    "GUID",
    "AccountPolicy",
    "ClaimCondition",
    "ClaimRule",
    "Declared",
    "DeclaredEnterpriseManaged",
    "DeclaredName",
    "DeclaredProvider",
    "DeclaredScim",
    "DeclaredSignIn",
    "Everyone",
    "LocalSignIn",
    "OnLogout",
    "ProviderKind",
    "ScimSubject",
    "check_identity_providers",
    "check_provider_id",
    "check_provider_url",
]

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DOMAIN = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")


class ProviderKind(StrEnum):
    """The presets. OIDC: any OpenID Connect provider, without assumptions."""

    ENTRA = "entra"
    GOOGLE = "google"
    OKTA = "okta"
    KEYCLOAK = "keycloak"
    OIDC = "oidc"


class AccountPolicy(StrEnum):
    """CREATE: an account is made at the first sign-in. LINKED: only users whom an operator linked can sign in."""

    CREATE = "create"
    LINKED = "linked"


class LocalSignIn(StrEnum):
    """Who may sign in with a password: all local accounts, those with the role `operator`, or none."""

    EVERYONE = "everyone"
    OPERATORS = "operators"
    OFF = "off"


class ScimSubject(StrEnum):
    """The attribute of SCIM that has the subject with which the person signs in."""

    EXTERNAL_ID = "externalId"
    USER_NAME = "userName"


class OnLogout(StrEnum):
    """What ends when the provider reports a sign-out.

    KEEP_OFFLINE_ACCESS: sessions, and grants without the scope `offline_access`. EVERYTHING: all grants as well.
    """

    KEEP_OFFLINE_ACCESS = "keep_offline_access"
    EVERYTHING = "everything"


class Declared(BaseModel):
    """A part of the declaration: unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DeclaredName(Declared):
    """The name of a provider or a resource on the pages."""

    ko: str = Field(min_length=1, max_length=60, description="Korean name.")
    en: str = Field(min_length=1, max_length=60, description="English name.")


class ClaimCondition(Declared):
    """True if the claim has the value, or is a list that contains it. Values are compared exactly."""

    claim: str = Field(
        min_length=1,
        max_length=200,
        description="The claim; a path such as realm_access.roles reads a member of an object.",
    )
    has: str = Field(min_length=1, max_length=400, description="The value, exactly as the provider writes it.")

    @field_validator("has")
    @classmethod
    def _refuse_wildcard(cls, value: str) -> str:
        if value.strip() == "*":
            raise ValueError('"*" is not a wildcard; to include all users of the provider write `everyone: true`')
        return value


class Everyone(Declared):
    """All users of the provider."""

    everyone: Literal[True] = Field(description="Must be true.")


class ClaimRule(Declared):
    """What users for whom the condition is true may allow apps. A user has what all matching rules give together."""

    when: ClaimCondition | None = Field(default=None, description="The condition.")
    everyone: Literal[True] | None = Field(default=None, description="In place of `when`: for all users.")
    scopes: tuple[str, ...] = Field(default=(), description="Scopes that these users may allow an app.")
    roles: frozenset[Role] = Field(
        default=frozenset(), description="Roles of these users; an auditor may also allow mcp.audit."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.when is None) == (self.everyone is None):
            raise ValueError("a rule needs either `when` or `everyone: true`")
        if not self.scopes and not self.roles:
            raise ValueError("a rule needs `scopes` or `roles`")
        if Scope.MCP_AUDIT in self.scopes:
            raise ValueError("mcp.audit is given by `roles: [auditor]`, not by `scopes`")
        if Role.OPERATOR in self.roles:
            raise ValueError("the role operator is for local accounts and is not given by a rule")
        if IDENTITY_SCOPES & set(self.scopes):
            raise ValueError(f"{', '.join(sorted(IDENTITY_SCOPES))} need no rule: leave them out of `scopes`")
        return self


class DeclaredSignIn(Declared):
    """Which ways of signing in the sign-in page offers."""

    local: LocalSignIn = Field(
        default=LocalSignIn.EVERYONE,
        description="Who may sign in with a password: everyone, operators (accounts with that role), or off. With off"
        " and one identity provider, the sign-in page is left out.",
    )


class DeclaredScim(Declared):
    """The provider adds, changes and deactivates its users over SCIM 2.0."""

    token_file: Path = Field(description="File with the bearer token of the provider, of at least 32 characters.")
    previous_token_file: Path | None = Field(
        default=None, description="File with the token before, which is accepted as well while it is replaced."
    )
    subject: ScimSubject = Field(
        default=ScimSubject.EXTERNAL_ID,
        description="The attribute with the subject that ID tokens have (at Entra ID oid): externalId or userName.",
    )


class DeclaredEnterpriseManaged(Declared):
    """The provider issues assertions (ID-JAG) with which MCP clients get tokens for its users, without a page here."""

    public_clients: tuple[str, ...] = Field(
        default=(),
        description="The client_ids of public clients, and of clients with a metadata document, that may use them."
        " Left out: only declared clients that authenticate and have the grant jwt-bearer.",
    )


class DeclaredProvider(Declared):
    """An OpenID Connect provider at which users sign in."""

    id: str = Field(description="Its short name in the callback URL: lower-case letters, digits and hyphens.")
    kind: ProviderKind = Field(
        default=ProviderKind.OIDC, description="The preset: entra, google, okta, keycloak or oidc."
    )
    name: DeclaredName | None = Field(default=None, description="The name on the sign-in page; left out: the id.")
    issuer: str | None = Field(
        default=None, description="Its issuer, exactly as in its metadata. Google and `tenant` need none."
    )
    was_issuer: str | None = Field(
        default=None, description="The issuer that this provider had before; needed as long as people are linked there."
    )
    tenant: str | None = Field(default=None, description="Entra ID: the tenant id (a GUID).")
    client_id: str = Field(min_length=1, max_length=300, description="The client id of auth-service there.")
    client_secret_file: Path | None = Field(default=None, description="File with the client secret there.")
    private_key_file: Path | None = Field(
        default=None, description="File with a private JWK, for private_key_jwt in place of a secret."
    )
    accounts: AccountPolicy = Field(
        default=AccountPolicy.CREATE,
        description="create: an account is made at the first sign-in. linked: only users whom an operator linked.",
    )
    allow: tuple[ClaimCondition, ...] | Everyone = Field(
        description="Who may sign in: conditions of which one must be true, or everyone: true."
    )
    hosted_domains: tuple[str, ...] = Field(
        default=(), description="Google: the Workspace domains (claim hd) whose users may sign in."
    )
    require: tuple[ClaimCondition, ...] = Field(
        default=(), description="Conditions that must all be true for the sign-in, for example amr with mfa."
    )
    acr_values: str | None = Field(
        default=None, max_length=300, description="Sent to the provider as acr_values, for example for MFA."
    )
    rules: tuple[ClaimRule, ...] = Field(
        default=(), description="What users may allow apps. Without a matching rule: nothing."
    )
    scopes: tuple[str, ...] | None = Field(
        default=None, description="Scopes that are requested from the provider; left out: those of the preset."
    )
    recheck_seconds: int = Field(
        default=3600,
        ge=60,
        le=86400,
        description="How often the provider is asked whether the user still has the account, in seconds.",
    )
    max_age_seconds: int = Field(
        default=86400,
        ge=300,
        le=30 * 86400,
        description="When users have to sign in again if the provider issues no refresh token, in seconds.",
    )
    on_logout: OnLogout = Field(
        default=OnLogout.KEEP_OFFLINE_ACCESS,
        description="What ends when the provider reports that a user has signed out there: sessions and grants without"
        " offline_access (keep_offline_access), or everything.",
    )
    enterprise_managed: DeclaredEnterpriseManaged | None = Field(
        default=None, description="Accepts the assertions (ID-JAG) that the provider issues to MCP clients."
    )
    scim: DeclaredScim | None = Field(default=None, description="Lets the provider manage its users over SCIM 2.0.")
    ca_file: Path | None = Field(default=None, description="File with the CA certificates of the provider (PEM).")
    internal_url: str | None = Field(
        default=None,
        description="Scheme, host and port at which this service reaches the provider, if they differ from the issuer.",
    )

    @field_validator("id")
    @classmethod
    def _check_id(cls, value: str) -> str:
        return check_provider_id(value)

    @field_validator("tenant")
    @classmethod
    def _check_tenant(cls, value: str | None) -> str | None:
        if value is not None and not GUID.fullmatch(value.lower()):
            raise ValueError("tenant must be the tenant id (a GUID): common and organizations are not supported")
        return value.lower() if value is not None else None

    @field_validator("issuer")
    @classmethod
    def _check_issuer(cls, value: str | None) -> str | None:
        if value is not None:
            check_provider_url(value)
        return value

    @field_validator("internal_url")
    @classmethod
    def _check_internal_url(cls, value: str | None) -> str | None:
        if value is not None and (parse_web_url(value).path not in {"", "/"} or parse_web_url(value).query):
            raise ValueError("internal_url is scheme, host and port only, for example http://keycloak:8080")
        return value

    @field_validator("hosted_domains")
    @classmethod
    def _check_domains(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_DOMAIN.fullmatch(domain) for domain in value):
            raise ValueError("write each domain in lower case, for example example.com")
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.client_secret_file is None) == (self.private_key_file is None):
            raise ValueError("write either client_secret_file or private_key_file")
        if isinstance(self.allow, tuple) and not self.allow:
            raise ValueError("allow is empty: write conditions, or `everyone: true`")
        if not all(SCOPE_TOKEN.fullmatch(scope) for scope in self.scopes or ()):
            raise ValueError("scopes contains a value that is not a scope (RFC 6749 section 3.3)")
        if self.tenant is not None and self.kind is not ProviderKind.ENTRA:
            raise ValueError("tenant is for kind entra")
        if self.hosted_domains and self.kind is not ProviderKind.GOOGLE:
            raise ValueError("hosted_domains is for kind google")
        _KIND_RULES[self.kind](self)
        return self

    @property
    def resolved_issuer(self) -> str:
        """The issuer that ID tokens name."""
        if self.kind is ProviderKind.GOOGLE:
            return _GOOGLE_ISSUER
        if self.issuer is None:
            return f"https://login.microsoftonline.com/{self.tenant}/v2.0"
        return self.issuer

    @property
    def conditions(self) -> tuple[ClaimCondition, ...]:
        """The conditions on stored claims: those of `allow` and of the rules."""
        allow = self.allow if isinstance(self.allow, tuple) else ()
        return (*allow, *(rule.when for rule in self.rules if rule.when is not None))

    @property
    def requirements(self) -> frozenset[str]:
        """The conditions of `require` as texts, to store which of them a sign-in satisfied."""
        return frozenset(f"{condition.claim}={condition.has}" for condition in self.require)

    def normalize_subject(self, subject: str) -> str:
        """The subject as ID tokens have it: the object ids of Entra ID are in lower case there."""
        return subject.lower() if self.kind is ProviderKind.ENTRA else subject


_GOOGLE_ISSUER = "https://accounts.google.com"


def check_provider_id(value: str) -> str:
    """The id of a provider or workload issuer, which addresses and messages contain. Raises ValueError."""
    if not _ID.fullmatch(value):
        raise ValueError("an id has 1 to 32 lower-case letters, digits and hyphens")
    return value


def check_provider_url(url: str) -> None:
    """Raises ValueError unless the URL can be an issuer: https, or http on loopback, without query and fragment."""
    parts = parse_web_url(url)
    if parts.query or "#" in url:
        raise ValueError("an issuer has no query and no fragment")
    if parts.scheme != "https" and not is_loopback_url(url):
        raise ValueError("an issuer must be https, except on loopback")


def _check_entra(provider: DeclaredProvider) -> None:
    if provider.tenant is None:
        raise ValueError("kind entra needs tenant, the tenant id of the directory")
    if provider.issuer is not None and provider.tenant not in provider.issuer:
        raise ValueError("the issuer of an Entra tenant contains its tenant id: correct issuer or tenant")


def _check_google(provider: DeclaredProvider) -> None:
    if provider.issuer not in {None, _GOOGLE_ISSUER}:
        raise ValueError(f"the issuer of Google is {_GOOGLE_ISSUER}: leave issuer out")
    if isinstance(provider.allow, Everyone) and not provider.hosted_domains:
        raise ValueError("everyone would be all Google accounts of the world: write hosted_domains as well")


def _check_other(provider: DeclaredProvider) -> None:
    if provider.issuer is None:
        raise ValueError(f"kind {provider.kind} needs issuer")


_KIND_RULES = MappingProxyType(
    {
        ProviderKind.ENTRA: _check_entra,
        ProviderKind.GOOGLE: _check_google,
        ProviderKind.OKTA: _check_other,
        ProviderKind.KEYCLOAK: _check_other,
        ProviderKind.OIDC: _check_other,
    }
)


def check_identity_providers(providers: tuple[DeclaredProvider, ...], known_scopes: frozenset[str]) -> None:
    """Raises ValueError if an id or an issuer appears twice, or a rule gives a scope that no resource declares."""
    ids = [provider.id for provider in providers]
    issuers = [provider.resolved_issuer for provider in providers]
    if len(set(ids)) != len(ids):
        raise ValueError("an identity provider's id appears twice")
    if len(set(issuers)) != len(issuers):
        raise ValueError("two identity providers have the same issuer")
    if set(issuers) & {provider.was_issuer for provider in providers}:
        raise ValueError("was_issuer is the issuer of a declared identity provider: remove it")
    for provider in providers:
        given = {scope for rule in provider.rules for scope in rule.scopes}
        if not given <= known_scopes:
            unknown = ", ".join(sorted(given - known_scopes))
            raise ValueError(f"identity provider {provider.id}: no resource declares the scopes {unknown}")
