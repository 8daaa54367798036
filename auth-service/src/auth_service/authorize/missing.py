"""What a request still lacks before it can be answered: pure rules over what is known."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from auth_service.authorize.request import AuthorizationRequest, Prompt
from auth_service.clients.client import Client, ClientOrigin
from auth_service.clients.loopback_redirects import is_loopback_redirect
from auth_service.web.sessions import Session

__all__ = ["CONSENT_RULES", "SIGN_IN_RULES", "Consenting", "SigningIn", "Step", "lacks_consent", "lacks_sign_in"]


class Step(StrEnum):
    """The page that comes next, by its address below /oauth2."""

    SIGN_IN = "sign-in"
    CONSENT = "consent"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningIn:
    """Times are seconds since the epoch; the request began at `started_at_seconds`."""

    request: AuthorizationRequest
    session: Session
    started_at_seconds: float
    now: float


def wants_a_sign_in(state: SigningIn) -> bool:
    return bool(state.request.prompts & {Prompt.LOGIN, Prompt.SELECT_ACCOUNT})


def is_signed_in_too_long(state: SigningIn) -> bool:
    """OpenID Connect Core section 3.1.2.1, max_age."""
    longest = state.request.max_age_seconds
    return longest is not None and state.now - state.session.signed_in_at_seconds > longest


def is_somebody_else(state: SigningIn) -> bool:
    """OpenID Connect Core section 3.1.2.1, id_token_hint."""
    return state.request.subject not in {None, state.session.subject}


SIGN_IN_RULES: tuple[Callable[[SigningIn], bool], ...] = (wants_a_sign_in, is_signed_in_too_long, is_somebody_else)


def lacks_sign_in(state: SigningIn) -> bool:
    """A sign-in made for this very request satisfies whatever it asks."""
    made_for_it = state.session.signed_in_at_seconds >= state.started_at_seconds
    return not made_for_it and any(rule(state) for rule in SIGN_IN_RULES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consenting:
    """`scopes` are those that would be granted, `allowed` those that this person allowed before."""

    request: AuthorizationRequest
    client: Client
    scopes: tuple[str, ...]
    allowed: frozenset[str]


def wants_a_consent(state: Consenting) -> bool:
    return Prompt.CONSENT in state.request.prompts


def asks_for_more(state: Consenting) -> bool:
    return not state.allowed.issuperset(state.scopes)


def could_be_anyone(state: Consenting) -> bool:
    """The id in a metadata document's address is public: any program on this computer can present it and listen on
    a port, so for a loopback redirect a person is always asked (RFC 8252 section 8.6).
    """
    published = state.client.origin is ClientOrigin.METADATA_DOCUMENT
    return published and state.client.is_public and is_loopback_redirect(state.request.redirect_uri)


CONSENT_RULES: tuple[Callable[[Consenting], bool], ...] = (wants_a_consent, asks_for_more, could_be_anyone)


def lacks_consent(state: Consenting) -> bool:
    return any(rule(state) for rule in CONSENT_RULES)
