"""Reads the claims of a token into typed values; raises `TokenRejected` for a claim that is malformed."""

from collections.abc import Iterable, Mapping
from sys import intern
from typing import Any, cast

from security_common.tokens.access_token import AccessToken, TokenStatus
from security_common.tokens.compact_jws import UnverifiedToken
from security_common.tokens.errors import TokenRejected
from security_common.tokens.trusted_issuer import TrustedIssuer

__all__ = [
    "MAX_TEXT_CHARACTERS",
    "find_claim",
    "find_first_claim",
    "read_access_token",
    "read_audience",
    "read_status",
    "read_text",
    "read_texts",
    "read_time",
]

MAX_TEXT_CHARACTERS = 512
MAX_TIME_SECONDS = 2**53
MAX_STATUS_INDEX = 2**31


def read_access_token(token: UnverifiedToken, issuer: TrustedIssuer) -> AccessToken:
    """The typed claims of a token (RFC 9068 section 2.2) that the caller has verified. Raises `TokenRejected`."""
    claims = token.claims
    return AccessToken(
        issuer=read_text(claims.get("iss"), "iss"),
        subject=read_text(claims.get("sub"), "sub"),
        client_id=_read_optional_text(claims, issuer.client_claims),
        audience=read_audience(claims, issuer),
        scopes=_read_scopes(claims, issuer),
        expires_at_seconds=read_time(claims.get("exp"), "exp"),
        issued_at_seconds=read_time(claims["iat"], "iat") if "iat" in claims else None,
        token_id=_read_optional_text(claims, issuer.token_id_claims),
        key_id=token.header["kid"],
        payload=token.payload,
        status=read_status(claims, issuer),
    )


def read_status(claims: Mapping[str, Any], issuer: TrustedIssuer) -> TokenStatus | None:
    """The status of the token (draft-ietf-oauth-status-list); None if it has none.

    The list must be at an address of the issuer itself: a token must not make this server fetch another one.
    """
    if "status" not in claims:
        return None
    members = _read_members(claims["status"], "status")
    status_list = _read_members(members.get("status_list"), "status.status_list")
    index: Any = status_list.get("idx")
    uri = read_text(status_list.get("uri"), "status.status_list.uri")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index <= MAX_STATUS_INDEX:
        raise _malformed("status.status_list.idx")
    if not uri.startswith(f"{issuer.issuer.removesuffix('/')}/"):
        raise TokenRejected("bad_claim", "the token's status list is not at an address of its issuer")
    return TokenStatus(intern(uri), index)


def find_claim(claims: Mapping[str, Any], path: str) -> Any:
    """The claim with this name, or the member at a path such as `realm_access.roles`; None if there is none.

    A claim whose own name contains dots, such as `https://example.com/roles`, is found first. Paths come from settings.
    """
    if path in claims:
        return claims[path]
    parts = path.split(".")
    for length in range(1, len(parts)):
        member = claims.get(".".join(parts[:length]))
        if isinstance(member, dict):
            found = find_claim(cast("dict[str, Any]", member), ".".join(parts[length:]))
            if found is not None:
                return found
    return None


def find_first_claim(claims: Mapping[str, Any], paths: Iterable[str]) -> tuple[str, Any]:
    """The name and the value of the first of these claims that is present; an empty name and None if none is."""
    for path in paths:
        value = find_claim(claims, path)
        if value is not None:
            return path, value
    return "", None


def read_text(value: Any, claim: str) -> str:
    """A printable string of 1 to 512 characters."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT_CHARACTERS or not value.isprintable():
        raise _malformed(claim)
    return value


def read_texts(value: Any, claim: str, *, separator: str | None = None) -> tuple[str, ...]:
    """Several strings: from a list of strings, or from one string, which is split at `separator` if that is given."""
    if isinstance(value, str):
        if separator is None:
            return (value,)
        return tuple(part for part in value.split(separator) if part)
    members = cast("list[Any]", value) if isinstance(value, list) else None
    if members is None or not all(isinstance(member, str) for member in members):
        raise _malformed(claim)
    return tuple(members)


def read_time(value: Any, claim: str) -> float:
    """A NumericDate in seconds since the epoch (RFC 7519 section 2)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_TIME_SECONDS:
        raise _malformed(claim)
    return float(value)


def read_audience(claims: Mapping[str, Any], issuer: TrustedIssuer) -> tuple[str, ...]:
    """The audiences of the token, from the claim that the issuer's profile names."""
    return read_texts(find_claim(claims, issuer.audience_claim), issuer.audience_claim)


def _read_optional_text(claims: Mapping[str, Any], paths: Iterable[str]) -> str:
    name, value = find_first_claim(claims, paths)
    return read_text(value, name) if name else ""


def _read_scopes(claims: Mapping[str, Any], issuer: TrustedIssuer) -> frozenset[str]:
    """The scopes of the token, and those that its roles and groups are mapped to."""
    name, value = find_first_claim(claims, issuer.scope_claims)
    token_scopes = read_texts(value, name, separator=" ") if name else ()
    scopes: set[str] = set()
    for scope in token_scopes:
        scopes.update(issuer.scopes.get(scope, (scope,)))
    scopes |= _read_mapped_scopes(claims, issuer.role_claims, issuer.roles)
    scopes |= _read_mapped_scopes(claims, issuer.group_claims, issuer.groups)
    scopes.discard("")  # a list of scopes may contain an empty text
    return frozenset(scopes)


def _read_mapped_scopes(
    claims: Mapping[str, Any], paths: Iterable[str], mapping: Mapping[str, tuple[str, ...]]
) -> set[str]:
    scopes: set[str] = set()
    if not mapping:
        return scopes  # a claim that is not needed must not be able to reject the token
    for path in paths:
        value = find_claim(claims, path)
        if value is not None:
            for name in read_texts(value, path):
                scopes.update(mapping.get(name, ()))
    return scopes


def _read_members(value: Any, claim: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(claim)
    return cast("dict[str, Any]", value)


def _malformed(claim: str) -> TokenRejected:
    return TokenRejected("bad_claim", f"the token's {claim} is missing or malformed")
