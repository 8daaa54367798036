"""Which interaction a request needs before it can be answered: pure rules for sign-in and consent."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from auth_service.accounts.account import Account
from auth_service.authorize.authorization_request import AuthorizationRequest, Prompt
from auth_service.clients.client import Client, ClientOrigin
from auth_service.clients.loopback_redirects import is_loopback_redirect
from auth_service.web.sessions import Session

__all__ = [
    "CONSENT_RULES",
    "SIGN_IN_RULES",
    "ConsentState",
    "SignInState",
    "SignedIn",
    "Step",
    "needs_consent",
    "needs_sign_in",
]


class Step(StrEnum):
    """The next page, by its path below /oauth2."""

    SIGN_IN = "sign-in"
    CONSENT = "consent"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user who does not need to sign in for the request: the account, and the session of the browser."""

    account: Account
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInState:
    """A request and the session of its browser. The request began at `started_at_seconds` (since the epoch).

    `interaction_id` is None before the request waits for its user.
    """

    request: AuthorizationRequest
    session: Session
    started_at_seconds: float
    now: float
    interaction_id: str | None = None


def requests_sign_in(state: SignInState) -> bool:
    return bool(state.request.prompts & {Prompt.LOGIN, Prompt.SELECT_ACCOUNT})


def is_signed_in_too_long(state: SignInState) -> bool:
    """OpenID Connect Core section 3.1.2.1, max_age."""
    max_age_seconds = state.request.max_age_seconds
    if max_age_seconds is None:
        return False
    authenticated_at_seconds = state.session.last_authenticated_at_seconds
    return authenticated_at_seconds is None or state.now - authenticated_at_seconds > max_age_seconds


def is_another_user(state: SignInState) -> bool:
    """OpenID Connect Core section 3.1.2.1, id_token_hint."""
    return state.request.subject not in {None, state.session.subject}


SIGN_IN_RULES: tuple[Callable[[SignInState], bool], ...] = (requests_sign_in, is_signed_in_too_long, is_another_user)


def needs_sign_in(state: SignInState) -> bool:
    """A sign-in for this request satisfies all rules."""
    return not _is_for_request(state) and any(rule(state) for rule in SIGN_IN_RULES)


def _is_for_request(state: SignInState) -> bool:
    """Whether the user signed in at a provider for this request, or proved who they are after it began.

    A sign-in at a provider for another request is not enough: the provider may not have asked the user.
    """
    session = state.session
    if state.interaction_id is not None and session.interaction_id == state.interaction_id:
        return True
    authenticated_at_seconds = session.last_authenticated_at_seconds
    return authenticated_at_seconds is not None and authenticated_at_seconds >= state.started_at_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentState:
    """`scopes` are those that would be granted, `allowed` those that this user has consented to before."""

    request: AuthorizationRequest
    client: Client
    scopes: tuple[str, ...]
    allowed: frozenset[str]


def requests_consent(state: ConsentState) -> bool:
    return Prompt.CONSENT in state.request.prompts


def requests_more_scopes(state: ConsentState) -> bool:
    return not state.allowed.issuperset(state.scopes)


def could_be_another_program(state: ConsentState) -> bool:
    """Always ask for a loopback redirect of a public client with a client id metadata document.

    Its client_id is public, so any program on the user's computer can send it and listen on a port (RFC 8252 section
    8.6).
    """
    has_public_id = state.client.origin is ClientOrigin.METADATA_DOCUMENT and state.client.is_public
    return has_public_id and is_loopback_redirect(state.request.redirect_uri)


CONSENT_RULES: tuple[Callable[[ConsentState], bool], ...] = (
    requests_consent,
    requests_more_scopes,
    could_be_another_program,
)


def needs_consent(state: ConsentState) -> bool:
    """Never for the pages of this server, which get no token."""
    return state.client.origin is not ClientOrigin.OWN and any(rule(state) for rule in CONSENT_RULES)
