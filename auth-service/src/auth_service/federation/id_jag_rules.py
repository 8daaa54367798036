"""The rules for an identity assertion of a provider, an ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant-04).

MCP's extension for enterprise-managed authorization is stricter than the draft: each assertion is accepted once. The
signature is checked as that of an ID token. Assertions that are bound to a key or have `authorization_details` are
refused: the access token would lose what they demand. `act` is kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from auth_service.federation.foreign_tokens import find_time_problem, lifetime_seconds_of
from auth_service.federation.id_token_rules import IdTokenContext, check_issuer, check_subject, check_tenant, is_subject
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from auth_service.tokens.issued_tokens import ACTOR_CLAIM, MAX_ACTORS

__all__ = [
    "ID_JAG_PROFILE",
    "ID_JAG_RULES",
    "ID_JAG_TYPE",
    "IdJagContext",
    "actor_of",
    "bad_id_jag",
    "check_id_jag",
    "is_id_jag_type",
    "texts_of",
]

ID_JAG_TYPE = "oauth-id-jag+jwt"
ID_JAG_PROFILE = "urn:ietf:params:oauth:grant-profile:id-jag"

_MAX_LIFETIME_SECONDS = 600
_MAX_ID_CHARACTERS = 256
_MAX_RESOURCES = 16
# What an access token of this server cannot express, so that it would allow more than the assertion.
_UNSUPPORTED_CLAIMS = ("cnf", "authorization_details")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdJagContext(IdTokenContext):
    """An assertion whose signature is valid. `issuer` is that of this server, `client_id` the client that sent it."""

    issuer: str
    client_id: str


def is_id_jag_type(kind: Any) -> bool:
    """Whether this `typ` of a header is that of an ID-JAG."""
    return isinstance(kind, str) and kind.lower() in {ID_JAG_TYPE, f"application/{ID_JAG_TYPE}"}


def check_id_jag(context: IdJagContext) -> None:
    """Raises `ProviderFailure` with `BAD_ID_TOKEN`."""
    for check in ID_JAG_RULES:
        check(context)


def check_type(context: IdJagContext) -> None:
    """An ID token or an access token must not be accepted in place of it (RFC 8725 section 3.12)."""
    if not is_id_jag_type(context.header.get("typ")):
        raise bad_id_jag("typ of the header is that of another kind of token")


def check_audience(context: IdJagContext) -> None:
    """The issuer of this server, exactly and alone."""
    if texts_of(context.claims, "aud") != (context.issuer,):
        raise bad_id_jag(f"aud is not {context.issuer} alone")


def check_client(context: IdJagContext) -> None:
    if context.claims.get("client_id") != context.client_id:
        raise bad_id_jag("client_id is another client than the one that sent it")


def check_times(context: IdJagContext) -> None:
    problem = find_time_problem(context.claims, context.now)
    if problem:
        raise bad_id_jag(problem)
    if lifetime_seconds_of(context.claims) > _MAX_LIFETIME_SECONDS:
        raise bad_id_jag("it is valid for more than ten minutes")


def check_id(context: IdJagContext) -> None:
    value = context.claims.get("jti")
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_ID_CHARACTERS or not value.isprintable():
        raise bad_id_jag("jti is missing or not usable")


def check_supported(context: IdJagContext) -> None:
    found = [name for name in _UNSUPPORTED_CLAIMS if name in context.claims]
    if found:
        raise bad_id_jag(f"{found[0]} is not supported")


def check_actor(context: IdJagContext) -> None:
    actor_of(context.claims)


ID_JAG_RULES: tuple[Callable[[IdJagContext], None], ...] = (
    check_type,
    check_issuer,
    check_audience,
    check_client,
    check_times,
    check_id,
    check_supported,
    check_actor,
    check_subject,
    check_tenant,
)


def texts_of(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A claim that is a text or a list of texts; empty if it is absent. Raises `ProviderFailure` for other values."""
    value: Any = claims.get(name)
    if value is None:
        return ()
    values = cast("list[Any]", value) if isinstance(value, list) else [value]
    if len(values) > _MAX_RESOURCES or not all(isinstance(each, str) for each in values):
        raise bad_id_jag(f"{name} is not a text or a short list of texts")
    return tuple(cast("list[str]", values))


def actor_of(claims: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Who acts for the user (RFC 8693 section 4.1), None if the assertion names no one. Raises `ProviderFailure`.

    Only the members that identify an actor are kept. An actor without `iss` is one of the provider: with it, its `sub`
    cannot be mistaken for a client of this server.
    """
    if ACTOR_CLAIM not in claims:
        return None
    return _read_actor(claims[ACTOR_CLAIM], issuer=claims["iss"], depth=1)


def _read_actor(value: Any, *, issuer: str, depth: int) -> dict[str, Any]:
    if depth > MAX_ACTORS:
        raise bad_id_jag(f"act is deeper than {MAX_ACTORS}")
    actor = cast("dict[str, Any]", value) if isinstance(value, dict) else dict[str, Any]()
    kept: dict[str, Any] = {"iss": actor.get("iss", issuer), "sub": actor.get("sub")}
    if not all(isinstance(each, str) and is_subject(each) for each in kept.values()):
        raise bad_id_jag("act is not an object with sub, or a member of it is not usable")
    if ACTOR_CLAIM in actor:
        kept[ACTOR_CLAIM] = _read_actor(actor[ACTOR_CLAIM], issuer=issuer, depth=depth + 1)
    return kept


def bad_id_jag(description: str) -> ProviderFailure:
    """The failure of an assertion that is refused for this reason."""
    return ProviderFailure(ProviderProblem.BAD_ID_TOKEN, f"ID-JAG: {description}")
