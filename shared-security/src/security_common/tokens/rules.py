"""What a token must say: one rule is one function, and the tuples are the order in which they are applied.

Every rule reads the profile of the token's issuer (`TrustedIssuer`): RFC 9068 as issuers write it by default, and the
names that Entra ID, Auth0, Okta, Keycloak and others use for the same facts.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from security_common.tokens.claim_values import (
    MAX_NAME_CHARACTERS,
    find_claim,
    find_first,
    read_name,
    read_names,
    read_time,
)
from security_common.tokens.claims import AccessToken
from security_common.tokens.errors import TokenRejected
from security_common.tokens.issuers import OWN_SETTING, TrustedIssuer
from security_common.tokens.signatures import algorithm_of
from security_common.tokens.structure import UnverifiedToken

__all__ = ["CLAIM_RULES", "HEADER_RULES", "LEEWAY_SECONDS", "ClaimRule", "HeaderRule", "read_access_token"]

LEEWAY_SECONDS = 30

# What Keycloak and Cognito write into tokens that are not access tokens.
_OTHER_TOKENS = {"typ": {"ID", "Refresh", "Offline", "Logout"}, "token_use": {"id"}}

HeaderRule = Callable[[UnverifiedToken, TrustedIssuer], None]
ClaimRule = Callable[[UnverifiedToken, TrustedIssuer, float], None]


def require_size(token: UnverifiedToken, issuer: TrustedIssuer) -> None:
    if token.size_bytes > issuer.max_token_bytes:
        raise TokenRejected("too_long", f"the token has more than {issuer.max_token_bytes} bytes")


def require_algorithm(token: UnverifiedToken, issuer: TrustedIssuer) -> None:
    # RFC 8725 section 3.1: the algorithm is the verifier's choice. Symmetric ones and `none` cannot be declared.
    if algorithm_of(token.header) not in issuer.algorithms:
        raise TokenRejected("wrong_algorithm", f"the token is not signed with {' or '.join(issuer.algorithms)}")


def refuse_critical_members(token: UnverifiedToken, _: TrustedIssuer) -> None:
    # RFC 7515 section 4.1.11: an extension that must be understood, and none is.
    if "crit" in token.header or "b64" in token.header:
        raise TokenRejected("unknown_extension", "the token needs an extension this server does not know")


def require_type(token: UnverifiedToken, issuer: TrustedIssuer) -> None:
    # RFC 8725 section 3.11: otherwise an ID token of the same issuer is taken for an access token.
    typ: Any = token.header.get("typ", "")
    if not isinstance(typ, str) or not issuer.accepts_type(typ):
        raise TokenRejected("wrong_type", "the token is not an access token of the expected type")


def require_key_id(token: UnverifiedToken, _: TrustedIssuer) -> None:
    key_id: Any = token.header.get("kid")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_NAME_CHARACTERS:
        raise TokenRejected("no_key_id", "the token does not name its key")


def require_audience(token: UnverifiedToken, issuer: TrustedIssuer, _: float) -> None:
    if not set(issuer.audiences) & set(_audience(token.claims, issuer)):
        expected = " or ".join(issuer.audiences)
        is_own = issuer.setting == OWN_SETTING  # others have other names for the `resource` of RFC 8707
        hint = f"ask for it with resource={expected}" if is_own else f"its {issuer.audience_claim} must be {expected}"
        raise TokenRejected("wrong_audience", "the token is for another audience", hint=hint)


def require_lifetime(token: UnverifiedToken, _: TrustedIssuer, now: float) -> None:
    if now >= read_time(token.claims.get("exp"), "exp") + LEEWAY_SECONDS:
        raise TokenRejected("expired", "the token has expired", hint="get a new one")


def refuse_future(token: UnverifiedToken, _: TrustedIssuer, now: float) -> None:
    for name in ("iat", "nbf"):
        if name in token.claims and read_time(token.claims[name], name) > now + LEEWAY_SECONDS:
            raise TokenRejected("not_yet_valid", "the token is from the future", hint="compare the machines' clocks")


def refuse_sender_constraint(token: UnverifiedToken, _: TrustedIssuer, __: float) -> None:
    # Accepting it as a plain bearer token would undo what its owner asked for (RFC 9449, RFC 8705).
    if "cnf" in token.claims:
        raise TokenRejected("sender_constrained", "sender-constrained tokens cannot be checked here yet")


def refuse_other_tokens(token: UnverifiedToken, issuer: TrustedIssuer, _: float) -> None:
    # Matters where access tokens have the `typ` header that ID and refresh tokens of the same issuer have.
    claims = token.claims
    is_other = any(
        claims[name] in values for name, values in _OTHER_TOKENS.items() if isinstance(claims.get(name), str)
    )
    if is_other or any(name in claims for name in issuer.forbidden_claims):
        raise TokenRejected("wrong_type", "the token is not an access token")


def require_claims(token: UnverifiedToken, issuer: TrustedIssuer, _: float) -> None:
    for required in issuer.required():
        names = (required,) if isinstance(required, str) else required
        if not find_first(token.claims, names)[0]:
            raise TokenRejected("bad_claim", f"the token's {' or '.join(names)} is missing or malformed")


def require_expected_values(token: UnverifiedToken, issuer: TrustedIssuer, _: float) -> None:
    for name, accepted in issuer.expected_claims.items():
        value = find_claim(token.claims, name)
        # In Python `True == 1`: the types are compared as well.
        if not any(type(value) is type(each) and value == each for each in accepted):
            raise TokenRejected("unexpected_value", f"the token's {name} does not have a value this server accepts")


def require_client_as_subject(token: UnverifiedToken, issuer: TrustedIssuer, _: float) -> None:
    if issuer.client_is_subject and find_first(token.claims, issuer.client_claims)[1] != token.claims.get("sub"):
        raise TokenRejected("wrong_type", "the token was not issued to a client that acts for itself")


HEADER_RULES: tuple[HeaderRule, ...] = (
    require_size,
    require_algorithm,
    refuse_critical_members,
    require_type,
    require_key_id,
)

CLAIM_RULES: tuple[ClaimRule, ...] = (
    require_audience,
    require_lifetime,
    refuse_future,
    refuse_sender_constraint,
    refuse_other_tokens,
    require_claims,
    require_expected_values,
    require_client_as_subject,
)


def read_access_token(token: UnverifiedToken, issuer: TrustedIssuer) -> AccessToken:
    """The verified token's typed claims (RFC 9068 section 2.2). Raises `TokenRejected`."""
    claims = token.claims
    return AccessToken(
        issuer=read_name(claims.get("iss"), "iss"),
        subject=read_name(claims.get("sub"), "sub"),
        client_id=_optional_name(claims, issuer.client_claims),
        audience=_audience(claims, issuer),
        scopes=_scopes(claims, issuer),
        expires_at_seconds=read_time(claims.get("exp"), "exp"),
        issued_at_seconds=read_time(claims["iat"], "iat") if "iat" in claims else None,
        token_id=_optional_name(claims, issuer.token_id_claims),
        key_id=token.header["kid"],
        payload=token.payload,
    )


def _optional_name(claims: Mapping[str, Any], names: Iterable[str]) -> str:
    name, value = find_first(claims, names)
    return read_name(value, name) if name else ""


def _audience(claims: Mapping[str, Any], issuer: TrustedIssuer) -> tuple[str, ...]:
    return read_names(find_claim(claims, issuer.audience_claim), issuer.audience_claim)


def _scopes(claims: Mapping[str, Any], issuer: TrustedIssuer) -> frozenset[str]:
    """What the token allows: its scopes, and what its roles and groups are mapped to."""
    name, value = find_first(claims, issuer.scope_claims)
    written = read_names(value, name, separator=" ") if name else ()
    scopes: set[str] = set()
    for each in written:
        scopes.update(issuer.scopes.get(each, (each,)))
    for paths, mapping in ((issuer.role_claims, issuer.roles), (issuer.group_claims, issuer.groups)):
        # A claim that nothing is mapped from is not read, so that a strange one does no harm.
        for path in paths if mapping else ():
            found = find_claim(claims, path)
            for each in () if found is None else read_names(found, path):
                scopes.update(mapping.get(each, ()))
    return frozenset(each for each in scopes if each)
