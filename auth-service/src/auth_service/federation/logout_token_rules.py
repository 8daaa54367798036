"""The rules for the claims of a logout token (OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6).

The signature, the issuer and the audience are checked as those of an ID token.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from auth_service.federation.foreign_tokens import CLOCK_TOLERANCE_SECONDS, find_time_problem
from auth_service.federation.id_token_rules import IdTokenContext, check_audience, check_issuer
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem

__all__ = ["LOGOUT_EVENT", "LOGOUT_TOKEN_LIFETIME_SECONDS", "LOGOUT_TOKEN_RULES", "bad_logout_token", "session_id_of"]

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"

_MAX_AGE_SECONDS = 300

LOGOUT_TOKEN_LIFETIME_SECONDS = _MAX_AGE_SECONDS + 2 * CLOCK_TOLERANCE_SECONDS
"""How long a logout token can be valid: the age that is accepted, and the tolerance for clocks at both ends."""

_MAX_ID_CHARACTERS = 255
# Providers that are older than the type `logout+jwt` sign these tokens without a type, or as `JWT`.
_TYPES = frozenset({"jwt", "logout+jwt", "application/logout+jwt"})
_ID_TOKEN_CLAIMS = ("nonce", "at_hash", "c_hash")


def check_type(context: IdTokenContext) -> None:
    kind = context.header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise bad_logout_token("typ of the header is that of another kind of token")


def check_times(context: IdTokenContext) -> None:
    problem = find_time_problem(context.claims, context.now, max_age_seconds=_MAX_AGE_SECONDS)
    if problem:
        raise bad_logout_token(problem)


def check_event(context: IdTokenContext) -> None:
    events: Any = context.claims.get("events")
    if not isinstance(events, dict) or not isinstance(cast("dict[str, Any]", events).get(LOGOUT_EVENT), dict):
        raise bad_logout_token("events does not have the event of a logout")


def check_no_id_token_claims(context: IdTokenContext) -> None:
    """An ID token must not be accepted in place of a logout token."""
    found = [name for name in _ID_TOKEN_CLAIMS if name in context.claims]
    if found:
        raise bad_logout_token(f"{found[0]} must not be in a logout token")


def check_ids(context: IdTokenContext) -> None:
    if not _is_id(context.claims.get("jti")):
        raise bad_logout_token("jti is missing or not usable")
    for name in ("sub", "sid"):
        if name in context.claims and not _is_id(context.claims[name]):
            raise bad_logout_token(f"{name} is not usable")
    if not {"sub", "sid"} & context.claims.keys():
        raise bad_logout_token("sub and sid are both missing")


LOGOUT_TOKEN_RULES: tuple[Callable[[IdTokenContext], None], ...] = (
    check_type,
    check_issuer,
    check_audience,
    check_times,
    check_event,
    check_no_id_token_claims,
    check_ids,
)


def session_id_of(claims: Mapping[str, Any]) -> str | None:
    """`sid` of an ID token or a logout token: the session at the provider; None if it is absent or not usable."""
    value = claims.get("sid")
    return value if _is_id(value) else None


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_ID_CHARACTERS and value.isprintable()


def bad_logout_token(description: str) -> ProviderFailure:
    """The failure of a logout token that is refused for this reason."""
    return ProviderFailure(ProviderProblem.BAD_ID_TOKEN, f"logout token: {description}")
