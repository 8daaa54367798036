"""An identity provider as the service uses it: the declaration with its preset filled in and its secrets read."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from joserfc import jwk
from joserfc.errors import JoseError

from auth_service.accounts.claim_rules import HOSTED_DOMAIN_CLAIM
from auth_service.declaration import DeclarationInvalid
from auth_service.declared_providers import DeclaredProvider, ProviderKind, ScimSubject
from auth_service.paths import BACKCHANNEL_LOGOUT_PATH, PROVIDER_CALLBACK_PATH, SCIM_PATH
from security_common.secret_files import MIN_KEY_CHARACTERS, read_secret_file
from security_common.web_urls import parse_web_url

__all__ = ["IdentityProvider", "Preset", "load_providers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What all customers of one vendor have in common.

    `subject_claim` identifies a person for good. `parameters` are added to the authorization request, so that the
    provider issues a refresh token. `other_issuers` are further values of `iss`. `uses_userinfo`: claims that are not
    in the ID token are read from the userinfo endpoint. `scope_of_groups` is requested if a condition reads `groups`.
    """

    scopes: tuple[str, ...]
    subject_claim: str = "sub"
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    other_issuers: frozenset[str] = frozenset()
    uses_userinfo: bool = True
    scope_of_groups: str | None = None


_OFFLINE_SCOPES = ("openid", "profile", "email", "offline_access")
PRESETS: Mapping[ProviderKind, Preset] = MappingProxyType(
    {
        # `sub` of Entra ID differs between applications of one tenant; `oid` does not. The issuer names the tenant.
        ProviderKind.ENTRA: Preset(scopes=_OFFLINE_SCOPES, subject_claim="oid", uses_userinfo=False),
        # Google has no scope offline_access, and issues a refresh token only with its consent page.
        ProviderKind.GOOGLE: Preset(
            scopes=("openid", "profile", "email"),
            parameters={"access_type": "offline", "prompt": "consent"},
            other_issuers=frozenset({"accounts.google.com"}),
            uses_userinfo=False,
        ),
        ProviderKind.OKTA: Preset(scopes=_OFFLINE_SCOPES, scope_of_groups="groups"),
        ProviderKind.KEYCLOAK: Preset(scopes=_OFFLINE_SCOPES),
        ProviderKind.OIDC: Preset(scopes=_OFFLINE_SCOPES),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityProvider:
    """One provider. Exactly one of `client_secret` and `private_key` is set.

    `redirect_uri`, `backchannel_logout_uri` and `scim_uri` are the addresses of this service for the provider.
    `scim_tokens` are the bearer tokens with which the provider uses SCIM.
    """

    declared: DeclaredProvider
    preset: Preset
    redirect_uri: str
    backchannel_logout_uri: str
    scim_uri: str
    client_secret: str | None = field(default=None, repr=False)
    private_key: jwk.Key | None = field(default=None, repr=False)
    scim_tokens: tuple[str, ...] = field(default=(), repr=False)

    @property
    def id(self) -> str:
        return self.declared.id

    @property
    def issuer(self) -> str:
        return self.declared.resolved_issuer

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of the authorization request; `openid` is always among them."""
        if self.declared.scopes is not None:
            return tuple(dict.fromkeys(("openid", *self.declared.scopes)))
        reads_groups = self.preset.scope_of_groups is not None and "groups" in self.claims_to_keep
        return (*self.preset.scopes, "groups") if reads_groups else self.preset.scopes

    @property
    def accepted_issuers(self) -> frozenset[str]:
        """The values of `iss` in ID tokens."""
        return self.preset.other_issuers | {self.issuer}

    @property
    def claims_to_keep(self) -> tuple[str, ...]:
        """The claims that conditions read."""
        domains = (HOSTED_DOMAIN_CLAIM,) if self.declared.hosted_domains else ()
        return tuple(dict.fromkeys([*(condition.claim for condition in self.declared.conditions), *domains]))

    @property
    def scim_subject(self) -> ScimSubject:
        """The attribute of SCIM with the subject of a person."""
        return self.declared.scim.subject if self.declared.scim is not None else ScimSubject.EXTERNAL_ID

    def name(self, language: str) -> str:
        """The name on pages."""
        declared = self.declared.name
        if declared is None:
            return self.id
        return declared.ko if language == "ko" else declared.en

    def internal_address(self, url: str) -> str:
        """Where this service reaches a URL of the provider: `internal_url` replaces the origin of the issuer."""
        internal = self.declared.internal_url
        origin = parse_web_url(self.issuer).origin
        if internal is None or not f"{url}/".startswith(f"{origin}/"):
            return url
        return internal.rstrip("/") + url.removeprefix(origin)


def load_providers(declared: Iterable[DeclaredProvider], *, issuer: str) -> dict[str, IdentityProvider]:
    """The providers by id. Raises `DeclarationInvalid` if a secret or key file cannot be used."""
    providers = {each.id: _load(each, issuer) for each in declared}
    tokens = [token for provider in providers.values() for token in provider.scim_tokens]
    if len(set(tokens)) != len(tokens):
        hint = "each token belongs to one provider: write another one into the file"
        raise DeclarationInvalid("two token files of scim have the same token", hint=hint)
    return providers


def _load(declared: DeclaredProvider, issuer: str) -> IdentityProvider:
    secret = _read(declared, declared.client_secret_file, "client_secret_file")
    key_text = _read(declared, declared.private_key_file, "private_key_file")
    if declared.ca_file is not None:
        _read(declared, declared.ca_file, "ca_file")
    return IdentityProvider(
        declared=declared,
        preset=PRESETS[declared.kind],
        redirect_uri=f"{issuer}{PROVIDER_CALLBACK_PATH.format(provider=declared.id)}",
        backchannel_logout_uri=f"{issuer}{BACKCHANNEL_LOGOUT_PATH.format(provider=declared.id)}",
        scim_uri=f"{issuer}{SCIM_PATH}",
        client_secret=secret,
        private_key=_read_key(declared, key_text) if key_text is not None else None,
        scim_tokens=tuple(_read_scim_tokens(declared)),
    )


def _read_scim_tokens(declared: DeclaredProvider) -> Iterator[str]:
    scim = declared.scim
    files = {"scim.token_file": scim.token_file, "scim.previous_token_file": scim.previous_token_file} if scim else {}
    for member, path in files.items():
        token = _read(declared, path, member)
        if token is None:
            continue
        if len(token) < MIN_KEY_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
            raise DeclarationInvalid(
                f"identity provider {declared.id}: {member} is not usable as a bearer token",
                hint=f"write at least {MIN_KEY_CHARACTERS} characters without spaces, for example"
                " `openssl rand -hex 32`",
            )
        yield token


def _read(declared: DeclaredProvider, path: Path | None, member: str) -> str | None:
    if path is None:
        return None
    return read_secret_file(
        path,
        setting=f"identity provider {declared.id}: {member}",
        error=DeclarationInvalid,
        hint="correct the path in AUTH_CONFIG, or the file: UTF-8 text, readable by the service",
    )


def _read_key(declared: DeclaredProvider, text: str) -> jwk.Key:
    place = f"identity provider {declared.id}: private_key_file"
    hint = "it must be a private JWK (RFC 7517): RSA with 2048 bits or more, or EC P-256"
    try:
        key = jwk.import_key(json.loads(text))
        usable = key.is_private and key.key_type in {"RSA", "EC"}
    except (ValueError, TypeError, AttributeError, KeyError, JoseError):
        # `from None`, because the cause can quote the key.
        raise DeclarationInvalid(f"{place} is not a JWK", hint=hint) from None
    if not usable:
        raise DeclarationInvalid(f"{place} is not a private RSA or EC key", hint=hint)
    return key
