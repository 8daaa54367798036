"""The authorization request: its parameters, the rules it must satisfy, and its value once it is accepted.

Until the redirect URI is known to be the client's, an error is a page: it must not be redirected to an address that
anyone can choose (RFC 9700 section 4.11). After that it is redirected to the client.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from auth_service.authorize.page_errors import RedirectRefused
from auth_service.clients.client import Client
from auth_service.clients.loopback_redirects import matches_registered
from auth_service.errors import (
    InvalidRequest,
    InvalidScope,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseMode,
    UnsupportedResponseType,
)
from auth_service.http import forms
from auth_service.http.forms import Form
from auth_service.http.parameters import Parameter, ParameterTable
from auth_service.protocol import GrantType
from auth_service.scopes import IDENTITY_SCOPES, parse_scope
from auth_service.tokens.resources import Resource, Resources

__all__ = [
    "AUTHORIZATION_PARAMETERS",
    "REDIRECT_RULES",
    "REQUEST_RULES",
    "AuthorizationRequest",
    "Prompt",
    "SentRequest",
    "find_redirect_uri",
    "make_request",
    "parse_prompts",
]

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_MAX_AGE = re.compile(r"[0-9]{1,9}")


class Prompt(StrEnum):
    """OpenID Connect Core section 3.1.2.1."""

    NONE = "none"
    LOGIN = "login"
    CONSENT = "consent"
    SELECT_ACCOUNT = "select_account"


AUTHORIZATION_PARAMETERS = ParameterTable(
    Parameter("client_id", "The client: a registered id, or the URL of a client id metadata document.", required=True),
    Parameter("redirect_uri", "One of the client's redirect URIs; always required.", required=True),
    Parameter("response_type", "The value is code.", required=True),
    Parameter("code_challenge", "The S256 code challenge, 43 characters (RFC 7636).", required=True),
    Parameter("code_challenge_method", "The value is S256.", required=True),
    Parameter("scope", "Space-separated scopes. Default: the client's default scopes."),
    Parameter("resource", "The resource that the token is for (RFC 8707).", repeatable=True),
    Parameter("state", "Returned unchanged in the redirect."),
    Parameter("nonce", "Copied into the ID token."),
    Parameter("prompt", f"Space-separated: {', '.join(Prompt)}. The value none cannot be combined with another value."),
    Parameter("max_age", "The longest time since the user signed in, in seconds."),
    Parameter("login_hint", "The username to show on the sign-in page."),
    Parameter("id_token_hint", "An ID token of the user that the request is about."),
    Parameter("ui_locales", "Preferred languages of the pages, for example: ko en."),
    Parameter("response_mode", "The value is query."),
    Parameter("request", "Not supported: answered with request_not_supported."),
    Parameter("request_uri", "Not supported: answered with request_uri_not_supported."),
    Parameter("registration", "Not supported: answered with registration_not_supported."),
)
"""RFC 6749 section 4.1.1, RFC 7636 section 4.3, RFC 8707 section 2.1, OpenID Connect Core section 3.1.2.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A request that all rules accepted. `resource` is the URL of a declared resource, `redirect_uri` is as sent.

    `scopes` are the requested scopes that this client can have; `accounts.consents.grantable_scopes` decides which of
    them a user may grant. `dropped` are the requested scopes that are not in `scopes`. `subject` is the user that the
    client expects (`id_token_hint`).
    """

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    resource: str
    code_challenge: str
    dropped: tuple[str, ...] = ()
    state: str | None = None
    nonce: str | None = None
    prompts: frozenset[Prompt] = frozenset()
    max_age_seconds: int | None = None
    subject: str | None = None
    login_hint: str | None = None
    ui_locales: str | None = None


@dataclass(frozen=True, slots=True)
class SentRequest:
    """The parameters of a request whose client is known."""

    form: Form
    client: Client


def make_request(
    form: Form, client: Client, redirect_uri: str, resources: Resources, subject: str | None
) -> AuthorizationRequest:
    """The request as a value. Raises `InvalidTarget` or `InvalidScope`; the rules have checked everything else."""
    resource = resources.resolve(form.all("resource"), client)
    requested, scopes = _narrow_scopes(form.get("scope"), client, resource)
    max_age = form.get("max_age")
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        scopes=scopes,
        dropped=tuple(scope for scope in requested if scope not in scopes),
        resource=resource.url,
        code_challenge=form.require("code_challenge"),
        state=form.get("state"),
        nonce=form.get("nonce"),
        prompts=parse_prompts(form.get("prompt")),
        max_age_seconds=int(max_age) if max_age is not None else None,
        subject=subject,
        login_hint=form.get("login_hint"),
        ui_locales=form.get("ui_locales"),
    )


def parse_prompts(text: str | None) -> frozenset[Prompt]:
    """Raises `InvalidRequest` for an unknown value."""
    try:
        return frozenset(Prompt(part) for part in (text or "").split())
    except ValueError as error:
        raise InvalidRequest(f"prompt has an unknown value; known are: {', '.join(Prompt)}") from error


def _narrow_scopes(text: str | None, client: Client, resource: Resource) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The requested scopes, and those of them that are known and allowed for the client.

    The token response says which scopes were granted (RFC 6749 section 3.3). Raises `InvalidScope` if none is left.
    """
    requested = parse_scope(text) or client.default_scopes
    offered = client.scopes & (resource.scopes.keys() | IDENTITY_SCOPES)
    scopes = tuple(scope for scope in requested if scope in offered)
    if not scopes:
        raise InvalidScope("none of the scopes is known here and allowed for the client")
    return requested, scopes


def find_redirect_uri(sent: SentRequest) -> str:
    """The address of the response. Raises `RedirectRefused`, a page."""
    for check in REDIRECT_RULES:
        check(sent)
    return sent.form.require("redirect_uri")


def require_one_redirect(sent: SentRequest) -> None:
    """Always required, even if the client registered only one (OAuth 2.1 section 4.1.1)."""
    if sent.form.get("redirect_uri") is None or "redirect_uri" in sent.form.repeated:
        raise RedirectRefused("redirect_uri is missing or repeated")


def require_registered_redirect(sent: SentRequest) -> None:
    if not matches_registered(sent.form.get("redirect_uri") or "", sent.client.redirect_uris):
        raise RedirectRefused("redirect_uri is not one that the client registered")


REDIRECT_RULES: tuple[Callable[[SentRequest], None], ...] = (require_one_redirect, require_registered_redirect)


def refuse_repeated_parameters(sent: SentRequest) -> None:
    forms.refuse_repeated_parameters(sent.form)


def refuse_request_objects(sent: SentRequest) -> None:
    if "request" in sent.form:
        raise RequestNotSupported("request objects are not supported")


def refuse_request_uris(sent: SentRequest) -> None:
    if "request_uri" in sent.form:
        raise RequestUriNotSupported("the parameter request_uri is not supported")


def refuse_registration(sent: SentRequest) -> None:
    if "registration" in sent.form:
        raise RegistrationNotSupported("clients register at the registration endpoint")


def require_code_response(sent: SentRequest) -> None:
    if sent.form.require("response_type") != "code":
        raise UnsupportedResponseType("response_type must be code")


def require_query_mode(sent: SentRequest) -> None:
    if sent.form.get("response_mode") not in {None, "query"}:
        raise UnsupportedResponseMode("response_mode must be query")


def require_code_grant(sent: SentRequest) -> None:
    if GrantType.AUTHORIZATION_CODE not in sent.client.grant_types:
        raise UnauthorizedClient("the client is not allowed to use authorization_code")


def require_pkce(sent: SentRequest) -> None:
    """Required of every client, not only of public ones (RFC 9700 section 2.1.1)."""
    if not _CHALLENGE.fullmatch(sent.form.get("code_challenge") or ""):
        raise InvalidRequest("code_challenge must be the 43 characters of an S256 challenge (RFC 7636)")


def require_s256(sent: SentRequest) -> None:
    """A challenge without a method means plain (RFC 7636 section 4.3), which is refused."""
    if sent.form.get("code_challenge_method") != "S256":
        raise InvalidRequest("code_challenge_method must be S256 (RFC 7636)")


def check_prompt(sent: SentRequest) -> None:
    prompts = parse_prompts(sent.form.get("prompt"))
    if Prompt.NONE in prompts and len(prompts) > 1:
        raise InvalidRequest("prompt=none cannot be combined with another value")


def check_max_age(sent: SentRequest) -> None:
    if not _MAX_AGE.fullmatch(sent.form.get("max_age") or "0"):
        raise InvalidRequest("max_age must be a number of seconds")


REQUEST_RULES: tuple[Callable[[SentRequest], None], ...] = (
    refuse_repeated_parameters,
    refuse_request_objects,
    refuse_request_uris,
    refuse_registration,
    require_code_response,
    require_query_mode,
    require_code_grant,
    require_pkce,
    require_s256,
    check_prompt,
    check_max_age,
)
