"""The authorization request to an identity provider, and the rules for its response.

OpenID Connect Core section 3.1.2, RFC 7636, RFC 9207. The client's resource, scopes and state are never passed on.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from auth_service.authorize.authorization_request import AuthorizationRequest, Prompt
from auth_service.authorize.page_errors import ProviderResponseRefused
from auth_service.federation.identity_provider import IdentityProvider
from auth_service.federation.pending_sign_ins import PendingSignIn
from auth_service.federation.people import authenticated_at
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from auth_service.federation.provider_metadata import ProviderMetadata
from auth_service.http.forms import Form
from auth_service.http.parameters import Parameter, ParameterTable
from auth_service.protocol import base64url

__all__ = [
    "CALLBACK_PARAMETERS",
    "authorization_parameters",
    "check_issuer",
    "check_no_error",
    "is_recent_enough",
    "read_code",
]

CALLBACK_PARAMETERS = ParameterTable(
    Parameter("state", "The value of the request, as this service sent it.", required=True),
    Parameter("code", "The authorization code of the provider."),
    Parameter("iss", "The issuer of the provider (RFC 9207)."),
    Parameter("error", "The error code of the provider."),
    Parameter("error_description", "Not used."),
)

_CODE = re.compile(r"[\x20-\x7e]{1,4096}")
_ERROR_CODE = re.compile(r"[a-z_]{1,64}")
# How much earlier the user may have authenticated at the provider than the time limit says, because clocks differ.
_CLOCK_TOLERANCE_SECONDS = 30
# Errors of the authorization response that mean that the user or the provider said no.
_DENIALS = frozenset({"access_denied", "consent_required", "interaction_required", "login_required"})


def authorization_parameters(
    provider: IdentityProvider, request: AuthorizationRequest, pending: PendingSignIn, state: str, other_account: bool
) -> dict[str, str]:
    """The parameters of the request to the provider. The client's resource and scopes are not passed on."""
    prompts = set(provider.preset.parameters.get("prompt", "").split())
    prompts |= {each.value for each in request.prompts & {Prompt.LOGIN, Prompt.SELECT_ACCOUNT}}
    if other_account:
        prompts.add(Prompt.SELECT_ACCOUNT.value)  # a client's `login` stays: the choice does not replace it
    optional = {
        "prompt": " ".join(sorted(prompts)) or None,
        "max_age": str(request.max_age_seconds) if request.max_age_seconds is not None else None,
        "login_hint": None if other_account else request.login_hint,
        "ui_locales": request.ui_locales,
        "acr_values": provider.declared.acr_values,
        "hd": provider.declared.hosted_domains[0] if len(provider.declared.hosted_domains) == 1 else None,
    }
    return {
        "response_type": "code",
        "response_mode": "query",
        "client_id": provider.declared.client_id,
        "redirect_uri": provider.redirect_uri,
        "scope": " ".join(provider.scopes),
        "state": state,
        "nonce": pending.nonce,
        "code_challenge": base64url(hashlib.sha256(pending.code_verifier.encode()).digest()),
        "code_challenge_method": "S256",
        **{name: value for name, value in provider.preset.parameters.items() if name != "prompt"},
        **{name: value for name, value in optional.items() if value is not None},
    }


def check_issuer(form: Form, provider: IdentityProvider, metadata: ProviderMetadata) -> None:
    """RFC 9207 section 2.4. Raises `ProviderResponseRefused`."""
    iss = form.get("iss")
    if iss is None and metadata.sends_iss:
        raise ProviderResponseRefused("the response does not name its issuer")
    if iss is not None and iss not in provider.accepted_issuers:
        raise ProviderResponseRefused("the response names another issuer")


def check_no_error(form: Form) -> None:
    """Raises `ProviderFailure` if the provider answered with an error. Its description is not used."""
    error = form.get("error")
    if error is None:
        return
    code = error if _ERROR_CODE.fullmatch(error) else "invalid"
    problem = ProviderProblem.DENIED if code in _DENIALS else ProviderProblem.ERROR
    raise ProviderFailure(problem, f"the provider answered with {code}", upstream_error=code)


def read_code(form: Form) -> str:
    """The authorization code. Raises `ProviderResponseRefused`."""
    code = form.get("code") or ""
    if not _CODE.fullmatch(code):
        raise ProviderResponseRefused("code is missing or malformed")
    return code


def is_recent_enough(
    request: AuthorizationRequest, pending: PendingSignIn, claims: Mapping[str, Any], now: float
) -> bool:
    """Whether the user authenticated at the provider as recently as the client asked, with `max_age` or prompt=login.

    With `max_age`, `auth_time` is required (OpenID Connect Core section 3.1.2.1).
    """
    authenticated = authenticated_at(claims)
    if pending.max_age_seconds is not None:
        limit = now - pending.max_age_seconds - _CLOCK_TOLERANCE_SECONDS
        return authenticated is not None and authenticated >= limit
    if Prompt.LOGIN in request.prompts and authenticated is not None:
        return authenticated >= pending.started_at_seconds - _CLOCK_TOLERANCE_SECONDS
    return True
