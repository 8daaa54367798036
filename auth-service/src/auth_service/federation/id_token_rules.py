"""The rules for the claims of an ID token (OpenID Connect Core sections 3.1.3.7 and 3.1.3.8), one function for each.

Stricter than most libraries: the issuer is compared exactly, the clocks may differ by 30 seconds, an ID token is at
most ten minutes old, and a nonce is always required.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from authlib.oidc.core.util import create_half_hash

from auth_service.federation.foreign_tokens import find_time_problem
from auth_service.federation.identity_provider import IdentityProvider
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem

__all__ = ["ID_TOKEN_RULES", "REFRESHED_ID_TOKEN_RULES", "IdTokenContext", "check_id_token", "is_subject", "subject_of"]

_MAX_AGE_SECONDS = 600
_MAX_SUBJECT_CHARACTERS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class IdTokenContext:
    """An ID token whose signature is valid, and what it must match. `nonce` is None after a refresh."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    provider: IdentityProvider
    now: float
    nonce: str | None = None
    access_token: str | None = field(default=None, repr=False)


def check_id_token(context: IdTokenContext, rules: tuple[Callable[[IdTokenContext], None], ...]) -> None:
    """Raises `ProviderFailure` with `BAD_ID_TOKEN`."""
    for check in rules:
        check(context)


def check_issuer(context: IdTokenContext) -> None:
    if context.claims.get("iss") not in context.provider.accepted_issuers:
        raise _bad("iss is another issuer")


def check_audience(context: IdTokenContext) -> None:
    client_id = context.provider.declared.client_id
    audience: Any = context.claims.get("aud")
    audiences = cast("list[Any]", audience) if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        raise _bad("aud does not name this client")
    authorized_party = context.claims.get("azp")
    if authorized_party is None and len(audiences) > 1:
        raise _bad("aud has several values, and azp does not name this client")
    if authorized_party not in {None, client_id}:
        raise _bad("azp is another client")


def check_times(context: IdTokenContext) -> None:
    problem = find_time_problem(context.claims, context.now, max_age_seconds=_MAX_AGE_SECONDS)
    if problem:
        raise _bad(problem)


def check_nonce(context: IdTokenContext) -> None:
    nonce = context.claims.get("nonce")
    if context.nonce is None or not isinstance(nonce, str):
        raise _bad("nonce is missing")
    if not hmac.compare_digest(nonce.encode(), context.nonce.encode()):
        raise _bad("nonce is that of another sign-in")


def check_access_token_hash(context: IdTokenContext) -> None:
    """OpenID Connect Core section 3.1.3.8: optional in the code flow, but correct if present."""
    half_hash = context.claims.get("at_hash")
    if half_hash is None or context.access_token is None:
        return
    expected = create_half_hash(context.access_token, str(context.header.get("alg")))
    expected_text = expected.decode() if isinstance(expected, bytes) else str(expected)
    if not isinstance(half_hash, str) or not hmac.compare_digest(half_hash.encode(), expected_text.encode()):
        raise _bad("at_hash does not belong to the access token")


def check_subject(context: IdTokenContext) -> None:
    subject_of(context.claims, context.provider)


def check_tenant(context: IdTokenContext) -> None:
    tenant = context.provider.declared.tenant
    if tenant is not None and context.claims.get("tid") != tenant:
        raise _bad("tid is another tenant, or missing")


REFRESHED_ID_TOKEN_RULES: tuple[Callable[[IdTokenContext], None], ...] = (
    check_issuer,
    check_audience,
    check_times,
    check_access_token_hash,
    check_subject,
    check_tenant,
)
"""An ID token of a refresh response need not have a nonce (OpenID Connect Core section 12.2)."""

ID_TOKEN_RULES: tuple[Callable[[IdTokenContext], None], ...] = (*REFRESHED_ID_TOKEN_RULES, check_nonce)


def subject_of(claims: Mapping[str, Any], provider: IdentityProvider) -> str:
    """The stable subject of the person. Raises `ProviderFailure`."""
    for name in dict.fromkeys(("sub", provider.preset.subject_claim)):
        value = claims.get(name)
        if not isinstance(value, str) or not is_subject(value):
            raise _bad(f"{name} is missing, or not a text of at most {_MAX_SUBJECT_CHARACTERS} characters")
    return str(claims[provider.preset.subject_claim])


def is_subject(text: str) -> bool:
    """Whether the text can be a subject (OpenID Connect Core section 2)."""
    return 0 < len(text) <= _MAX_SUBJECT_CHARACTERS and text.isprintable()


def _bad(description: str) -> ProviderFailure:
    return ProviderFailure(ProviderProblem.BAD_ID_TOKEN, f"token of the provider: {description}")
