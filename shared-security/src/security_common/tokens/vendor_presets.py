"""Token profiles of known vendors: default values for a `TrustedIssuer`, each of which a declaration may replace.

They follow the documentation of the vendors. docs/trusted-issuers.md describes what to configure at each vendor.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from security_common.web_urls import parse_web_url

__all__ = ["PRESETS", "Preset", "PresetMismatch"]

# Returns the default values for an issuer with these audiences. Raises PresetMismatch.
Preset = Callable[[str, tuple[str, ...]], Mapping[str, Any]]


class PresetMismatch(ValueError):
    """The vendor has no such issuer or no such audience; `member` is the member of the declaration to change."""

    def __init__(self, member: str, problem: str) -> None:
        super().__init__(problem)
        self.member = member


_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ENTRA_HOSTS = ("login.microsoftonline.com", "login.microsoftonline.us", "sts.windows.net")
_ENTRA_TEMPLATES = {"common", "organizations", "consumers", "%7btenantid%7d"}


def _entra(issuer: str, _: tuple[str, ...]) -> Mapping[str, Any]:
    """Microsoft Entra ID, v1.0 and v2.0 access tokens, delegated and app-only.

    ID tokens have the same `typ`, may have `roles`, and never `azp` or `appid`.
    """
    url = parse_web_url(issuer)
    tenant = url.path.strip("/").partition("/")[0]
    if tenant.lower() in _ENTRA_TEMPLATES or (url.host in _ENTRA_HOSTS and not _GUID.fullmatch(tenant)):
        raise PresetMismatch("issuer", "must contain the tenant's id (a GUID), as `iss` in the tokens does")
    return {
        "token_types": ("JWT",),
        "client_claims": ("azp", "appid"),
        "scope_claims": ("scp", "scope"),
        "token_id_claims": ("uti", "jti"),
        "required_claims": (("azp", "appid"),),
        "expected_claims": {"tid": (tenant.lower(),)} if _GUID.fullmatch(tenant) else {},
    }


def _auth0(_: str, __: tuple[str, ...]) -> Mapping[str, Any]:
    """Auth0, its own token profile (no `jti`, client in `azp`) and its RFC 9068 profile."""
    return {"token_types": ("JWT", "at+jwt"), "client_claims": ("client_id", "azp"), "scope_claims": ("scope",)}


def _okta(_: str, __: tuple[str, ...]) -> Mapping[str, Any]:
    """Okta, custom authorization servers. ID tokens have the same header, and `idp`."""
    return {
        "token_types": ("", "JWT", "at+jwt"),
        "client_claims": ("cid", "client_id", "azp"),
        "scope_claims": ("scp", "scope"),
        "forbidden_claims": ("nonce", "at_hash", "c_hash", "events", "idp"),
    }


def _keycloak(_: str, __: tuple[str, ...]) -> Mapping[str, Any]:
    """Keycloak. The `typ` claim distinguishes access tokens (Bearer) from ID and refresh tokens.

    Before version 24 access tokens had a `nonce` as well.
    """
    return {
        "token_types": ("JWT", "at+jwt"),
        "client_claims": ("azp", "client_id"),
        "scope_claims": ("scope",),
        "role_claims": ("realm_access.roles",),
        "expected_claims": {"typ": ("Bearer",)},
        "forbidden_claims": ("at_hash", "c_hash", "events"),
    }


def _cognito(_: str, __: tuple[str, ...]) -> Mapping[str, Any]:
    """Amazon Cognito. Access tokens have no `aud`; the audience is the id of the app client."""
    return {
        "token_types": ("", "JWT"),
        "audience_claim": "client_id",
        "client_claims": ("client_id",),
        "scope_claims": ("scope",),
        "group_claims": ("cognito:groups",),
        "expected_claims": {"token_use": ("access",)},
    }


def _google(_: str, audiences: tuple[str, ...]) -> Mapping[str, Any]:
    """Google, identity tokens that service accounts request for an audience of their choice.

    Google's access tokens are opaque. ID tokens of people, whose audience is always an OAuth client, identify the
    person and grant nothing to an application. A service account's token has no scopes; `roles` maps its unique id.
    """
    if any(each.endswith(".apps.googleusercontent.com") for each in audiences):
        problem = "is an OAuth client id, whose tokens are ID tokens of people: use a URL of your own"
        raise PresetMismatch("audience", problem)
    return {
        "token_types": ("JWT",),
        "client_claims": ("azp",),
        "scope_claims": (),
        "role_claims": ("sub",),
        "required_claims": ("azp",),
        "client_is_subject": True,
    }


PRESETS: Final[Mapping[str, Preset]] = {
    "auth0": _auth0,
    "cognito": _cognito,
    "entra": _entra,
    "google": _google,
    "keycloak": _keycloak,
    "okta": _okta,
}
