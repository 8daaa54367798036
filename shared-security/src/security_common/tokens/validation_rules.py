"""The rules that the header and the claims of a token must satisfy: one function per rule, in two ordered tuples.

The rules get the profile of the token's issuer (`TrustedIssuer`), since Entra ID, Auth0, Okta, Keycloak and others
use other claim names than RFC 9068. Each rule raises `TokenRejected`.
"""

from collections.abc import Callable
from typing import Any

from security_common.tokens.claims import MAX_TEXT_CHARACTERS, find_claim, find_first_claim, read_audience, read_time
from security_common.tokens.compact_jws import UnverifiedToken
from security_common.tokens.errors import TokenRejected
from security_common.tokens.trusted_issuer import TrustedIssuer
from security_common.tokens.verification_keys import algorithm_of

__all__ = ["CLAIM_RULES", "HEADER_RULES", "LEEWAY_SECONDS", "ClaimRule", "HeaderRule"]

LEEWAY_SECONDS = 30

# Values that Keycloak and Cognito write into tokens that are not access tokens.
_OTHER_TOKEN_VALUES = {"typ": {"ID", "Refresh", "Offline", "Logout"}, "token_use": {"id"}}

HeaderRule = Callable[[UnverifiedToken, TrustedIssuer], None]
# The third argument is the present time in seconds since the epoch.
ClaimRule = Callable[[UnverifiedToken, TrustedIssuer, float], None]


def require_size(token: UnverifiedToken, issuer: TrustedIssuer) -> None:
    if token.size_bytes > issuer.max_token_bytes:
        raise TokenRejected("too_long", f"the token has more than {issuer.max_token_bytes} bytes")


def require_algorithm(token: UnverifiedToken, issuer: TrustedIssuer) -> None:
    # RFC 8725 section 3.1: the verifier decides which algorithms are accepted, by default RS256 only.
    if algorithm_of(token.header) not in issuer.algorithms:
        raise TokenRejected("wrong_algorithm", f"the token is not signed with {' or '.join(issuer.algorithms)}")


def reject_critical_extensions(token: UnverifiedToken, _: TrustedIssuer) -> None:
    # RFC 7515 section 4.1.11: a token with a critical extension that is not supported must be rejected.
    if "crit" in token.header or "b64" in token.header:
        raise TokenRejected("unknown_extension", "the token needs an extension that this server does not support")


def require_type(token: UnverifiedToken, issuer: TrustedIssuer) -> None:
    # RFC 8725 section 3.11: otherwise an ID token of the same issuer would pass as an access token.
    typ: Any = token.header.get("typ", "")
    if not isinstance(typ, str) or not issuer.accepts_type(typ):
        raise TokenRejected("wrong_type", "the token is not an access token of the expected type")


def require_key_id(token: UnverifiedToken, _: TrustedIssuer) -> None:
    key_id: Any = token.header.get("kid")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_TEXT_CHARACTERS:
        raise TokenRejected("no_key_id", "the token does not name its key")


def require_audience(token: UnverifiedToken, issuer: TrustedIssuer, _: float) -> None:
    if not set(issuer.audiences) & set(read_audience(token.claims, issuer)):
        expected = " or ".join(issuer.audiences)
        # Issuers other than our own have other parameters than the `resource` of RFC 8707.
        hint = (
            f"request it with resource={expected}"
            if issuer.is_own
            else f"its {issuer.audience_claim} must be {expected}"
        )
        raise TokenRejected("wrong_audience", "the token is for another audience", hint=hint)


def require_unexpired(token: UnverifiedToken, _: TrustedIssuer, now: float) -> None:
    if now >= read_time(token.claims.get("exp"), "exp") + LEEWAY_SECONDS:
        raise TokenRejected("expired", "the token has expired", hint="get a new one")


def reject_future_times(token: UnverifiedToken, _: TrustedIssuer, now: float) -> None:
    for name in ("iat", "nbf"):
        if name in token.claims and read_time(token.claims[name], name) > now + LEEWAY_SECONDS:
            hint = "the clocks of its issuer and of this server differ: ask the operator of this server to compare them"
            raise TokenRejected("not_yet_valid", "the token is not valid yet", hint=hint)


def reject_sender_constraint(token: UnverifiedToken, _: TrustedIssuer, __: float) -> None:
    # RFC 9449, RFC 8705: to accept such a token as a bearer token would remove the protection its client requested.
    if "cnf" in token.claims:
        raise TokenRejected("sender_constrained", "sender-constrained tokens are not supported yet")


def reject_other_token_types(token: UnverifiedToken, issuer: TrustedIssuer, _: float) -> None:
    # For issuers whose ID and refresh tokens have the same `typ` header as their access tokens.
    claims = token.claims
    is_other = any(
        claims[name] in values for name, values in _OTHER_TOKEN_VALUES.items() if isinstance(claims.get(name), str)
    )
    if is_other or any(name in claims for name in issuer.forbidden_claims):
        raise TokenRejected("wrong_type", "the token is not an access token")


def require_claims(token: UnverifiedToken, issuer: TrustedIssuer, _: float) -> None:
    for required in issuer.all_required_claims:
        names = (required,) if isinstance(required, str) else required
        found_name, _value = find_first_claim(token.claims, names)
        if not found_name:
            raise TokenRejected("bad_claim", f"the token's {' or '.join(names)} is missing or malformed")


def require_expected_values(token: UnverifiedToken, issuer: TrustedIssuer, _: float) -> None:
    for name, accepted in issuer.expected_claims.items():
        value = find_claim(token.claims, name)
        # The types are compared as well, because `True == 1` in Python.
        if not any(type(value) is type(each) and value == each for each in accepted):
            raise TokenRejected("unexpected_value", f"the token's {name} does not have a value this server accepts")


def require_client_as_subject(token: UnverifiedToken, issuer: TrustedIssuer, _: float) -> None:
    if not issuer.client_is_subject:
        return
    _name, client = find_first_claim(token.claims, issuer.client_claims)
    if client != token.claims.get("sub"):
        raise TokenRejected("wrong_type", "the token was not issued to a client that acts on its own behalf")


HEADER_RULES: tuple[HeaderRule, ...] = (
    require_size,
    require_algorithm,
    reject_critical_extensions,
    require_type,
    require_key_id,
)

CLAIM_RULES: tuple[ClaimRule, ...] = (
    require_audience,
    require_unexpired,
    reject_future_times,
    reject_sender_constraint,
    reject_other_token_types,
    require_claims,
    require_expected_values,
    require_client_as_subject,
)
