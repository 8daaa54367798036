"""The metadata of an identity provider (OpenID Connect Discovery 1.0) and the rules that it must satisfy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auth_service.federation.identity_provider import IdentityProvider
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from security_common.web_urls import is_loopback_url, parse_web_url

__all__ = ["ProviderMetadata", "discovery_url", "read_metadata"]

_MAX_EXCERPT_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderMetadata:
    """What this service uses of the metadata.

    The addresses for the back channel are those at which this service reaches the provider. `sends_iss`: the
    authorization response names the issuer (RFC 9207). `posts_secret`: the secret is sent in the body.
    `reports_logouts`: the provider supports back-channel logout.
    """

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    sends_iss: bool
    posts_secret: bool
    reports_logouts: bool


def discovery_url(provider: IdentityProvider) -> str:
    """OpenID Connect Discovery section 4.1: the path is appended to the issuer without its slash at the end."""
    return provider.internal_address(f"{provider.issuer.removesuffix('/')}/.well-known/openid-configuration")


def read_metadata(document: Mapping[str, Any], provider: IdentityProvider) -> ProviderMetadata:
    """The metadata in the document. Raises `ProviderFailure` with `MISCONFIGURED`, naming what differs."""
    named = document.get("issuer")
    if named != provider.issuer:
        raise ProviderFailure(
            ProviderProblem.MISCONFIGURED,
            f"the metadata at {discovery_url(provider)} names the issuer {_excerpt(named)}, not {provider.issuer!r}",
            hint="write `issuer` in auth.yaml exactly as the metadata does, with or without a slash at the end",
        )
    methods = document.get("token_endpoint_auth_methods_supported")
    supports_basic = not isinstance(methods, list) or "client_secret_basic" in methods
    has_userinfo = document.get("userinfo_endpoint") is not None
    userinfo = _endpoint(document, "userinfo_endpoint", provider) if has_userinfo else None
    return ProviderMetadata(
        authorization_endpoint=_endpoint(document, "authorization_endpoint", provider),
        token_endpoint=provider.internal_address(_endpoint(document, "token_endpoint", provider)),
        jwks_uri=provider.internal_address(_endpoint(document, "jwks_uri", provider)),
        userinfo_endpoint=provider.internal_address(userinfo) if userinfo is not None else None,
        sends_iss=document.get("authorization_response_iss_parameter_supported") is True,
        posts_secret=not supports_basic,
        reports_logouts=document.get("backchannel_logout_supported") is True,
    )


def _endpoint(document: Mapping[str, Any], member: str, provider: IdentityProvider) -> str:
    """An address of the metadata: https, or on this machine if the issuer is there.

    Otherwise a provider could make this service send its secret to another program of the same machine.
    """
    value = document.get(member)
    try:
        parts = parse_web_url(value if isinstance(value, str) else "")
    except ValueError as error:
        raise ProviderFailure(
            ProviderProblem.MISCONFIGURED, f"the metadata has no valid {member}: {_excerpt(value)}"
        ) from error
    is_here = is_loopback_url(str(value))
    if is_here and not is_loopback_url(provider.issuer):
        raise ProviderFailure(
            ProviderProblem.MISCONFIGURED, f"{member} of the metadata is on this machine, and the issuer is not"
        )
    if parts.scheme != "https" and not is_here:
        raise ProviderFailure(
            ProviderProblem.MISCONFIGURED, f"{member} of the metadata is not https: {_excerpt(value)}"
        )
    return str(value)


def _excerpt(value: Any) -> str:
    """A value of another server, shortened for a message."""
    text = repr(value)
    return text if len(text) <= _MAX_EXCERPT_CHARACTERS else f"{text[:_MAX_EXCERPT_CHARACTERS]}..."
