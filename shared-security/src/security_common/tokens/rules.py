"""What a token must say: one rule, one function; the tuples are the pipeline.

A token typed `at+jwt` must keep RFC 9068. Issuers declared for another type (Entra ID, Keycloak) are read by the names
they use for the same facts: `azp` or `appid` for the client, `scp` for the scopes, `uti` for the id.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from security_common.tokens.claims import AccessToken
from security_common.tokens.errors import TokenRejected
from security_common.tokens.issuers import ACCESS_TOKEN_TYPES, TrustedIssuer
from security_common.tokens.structure import UnverifiedToken

__all__ = ["CLAIM_RULES", "HEADER_RULES", "LEEWAY_SECONDS", "ClaimRule", "HeaderRule", "read_access_token"]

LEEWAY_SECONDS = 30
MAX_NAME_CHARACTERS = 512
LATEST_SECONDS = 2**53

HeaderRule = Callable[[UnverifiedToken, TrustedIssuer], None]
ClaimRule = Callable[[UnverifiedToken, TrustedIssuer, float], None]


def require_rs256(token: UnverifiedToken, _: TrustedIssuer) -> None:
    if token.header.get("alg") != "RS256":
        raise TokenRejected("wrong_algorithm", "the token is not signed with RS256")


def refuse_critical_members(token: UnverifiedToken, _: TrustedIssuer) -> None:
    # RFC 7515 section 4.1.11: an extension that must be understood and is not.
    if "crit" in token.header or "b64" in token.header:
        raise TokenRejected("unknown_extension", "the token needs an extension this server does not know")


def require_type(token: UnverifiedToken, issuer: TrustedIssuer) -> None:
    # RFC 8725 section 3.11: else an ID token of the same issuer passes for an access token.
    if _type_of(token) not in {each.lower() for each in issuer.token_types}:
        raise TokenRejected("wrong_type", "the token is not an access token of the expected type")


def require_key_id(token: UnverifiedToken, _: TrustedIssuer) -> None:
    key_id: Any = token.header.get("kid")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_NAME_CHARACTERS:
        raise TokenRejected("no_key_id", "the token does not name its key")


def require_audience(token: UnverifiedToken, issuer: TrustedIssuer, _: float) -> None:
    if issuer.audience not in _audience(token.claims):
        raise TokenRejected(
            "wrong_audience", "the token is for another audience", hint=f"ask for it with resource={issuer.audience}"
        )


def require_lifetime(token: UnverifiedToken, _: TrustedIssuer, now: float) -> None:
    if now >= _time(token.claims, "exp") + LEEWAY_SECONDS:
        raise TokenRejected("expired", "the token has expired", hint="get a new one")


def refuse_future(token: UnverifiedToken, _: TrustedIssuer, now: float) -> None:
    for name in ("iat", "nbf") if "nbf" in token.claims else ("iat",):
        if _time(token.claims, name) > now + LEEWAY_SECONDS:
            raise TokenRejected("not_yet_valid", "the token is from the future", hint="compare the machines' clocks")


def refuse_sender_constraint(token: UnverifiedToken, _: TrustedIssuer, __: float) -> None:
    # Accepting it as a plain bearer token would undo what its owner asked for (RFC 9449, RFC 8705).
    if "cnf" in token.claims:
        raise TokenRejected("sender_constrained", "sender-constrained tokens cannot be checked here yet")


def refuse_id_token(token: UnverifiedToken, _: TrustedIssuer, __: float) -> None:
    # Matters for issuers whose access tokens are typed plain JWT, as their ID and refresh tokens are.
    if {"at_hash", "c_hash"} & token.claims.keys() or token.claims.get("typ") in {"ID", "Refresh", "Logout"}:
        raise TokenRejected("wrong_type", "the token is not an access token")


HEADER_RULES: tuple[HeaderRule, ...] = (require_rs256, refuse_critical_members, require_type, require_key_id)

CLAIM_RULES: tuple[ClaimRule, ...] = (
    require_audience,
    require_lifetime,
    refuse_future,
    refuse_sender_constraint,
    refuse_id_token,
)


def read_access_token(token: UnverifiedToken) -> AccessToken:
    """The verified token's typed claims (RFC 9068 section 2.2). Raises `TokenRejected`."""
    claims = token.claims
    strict = _type_of(token) in ACCESS_TOKEN_TYPES
    return AccessToken(
        issuer=_name(claims, "iss"),
        subject=_name(claims, "sub"),
        client_id=_name(claims, *(("client_id",) if strict else ("client_id", "azp", "appid"))),
        audience=_audience(claims),
        scopes=_scopes(claims.get("scope") if strict else claims.get("scope", claims.get("scp"))),
        expires_at_seconds=_time(claims, "exp"),
        issued_at_seconds=_time(claims, "iat"),
        token_id=_name(claims, *(("jti",) if strict else ("jti", "uti"))),
        key_id=token.header["kid"],
        claims=claims,
    )


def _type_of(token: UnverifiedToken) -> str:
    value: Any = token.header.get("typ")
    return value.lower() if isinstance(value, str) else ""


def _name(claims: Mapping[str, Any], *names: str) -> str:
    """A non-empty printable string from the first member that is there."""
    name = next((each for each in names if each in claims), names[0])
    value: Any = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARACTERS or not value.isprintable():
        raise TokenRejected("bad_claim", f"the token's {name} is missing or malformed")
    return value


def _time(claims: Mapping[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519 section 2), in seconds; a bool is no number here."""
    value: Any = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST_SECONDS:
        raise TokenRejected("bad_claim", f"the token's {name} is missing or malformed")
    return float(value)


def _audience(claims: Mapping[str, Any]) -> tuple[str, ...]:
    value: Any = claims.get("aud")
    audience = (value,) if isinstance(value, str) else _strings(value)
    if not audience:
        raise TokenRejected("bad_claim", "the token's aud is missing or malformed")
    return audience


def _scopes(value: Any) -> frozenset[str]:
    """No scope at all when absent; a space-separated string, or a list as some issuers write it."""
    if value is None:
        return frozenset()
    scopes = value.split(" ") if isinstance(value, str) else _strings(value)
    if scopes is None:
        raise TokenRejected("bad_claim", "the token's scope is malformed")
    return frozenset(each for each in scopes if each)


def _strings(value: Any) -> tuple[str, ...] | None:
    """A list that holds nothing but strings; None for anything else."""
    if not isinstance(value, list):
        return None
    members = cast("list[Any]", value)
    return tuple(members) if all(isinstance(each, str) for each in members) else None
