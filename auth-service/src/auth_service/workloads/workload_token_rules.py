"""The rules for the claims of a workload's token (RFC 7523 section 3), one function for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from auth_service.declared_workloads import DeclaredWorkloadIssuer
from auth_service.federation.foreign_tokens import find_time_problem, lifetime_seconds_of
from security_common.errors import SecurityError

__all__ = ["WORKLOAD_TOKEN_RULES", "WorkloadRefused", "WorkloadToken", "check_workload_token"]

_MAX_SUBJECT_CHARACTERS = 1000
_MAX_ID_CHARACTERS = 256


class WorkloadRefused(SecurityError):
    """The token does not prove which client a workload is. The description is for the log, not for the response."""

    error = "workload_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadToken:
    """A token whose signature is valid, and what it must match. `audiences` are accepted values of `aud`."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any] = field(repr=False)
    issuer: DeclaredWorkloadIssuer
    audiences: frozenset[str]
    now: float


def check_workload_token(token: WorkloadToken) -> None:
    """Raises `WorkloadRefused`."""
    for check in WORKLOAD_TOKEN_RULES:
        check(token)


def check_type(token: WorkloadToken) -> None:
    """Access tokens (`at+jwt`) and other kinds must not be accepted in place of it (RFC 8725 section 3.12)."""
    kind = token.header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise WorkloadRefused("typ of the header is that of another kind of token")


def check_issuer(token: WorkloadToken) -> None:
    if token.claims.get("iss") != token.issuer.resolved_issuer:
        raise WorkloadRefused("iss is another issuer")


def check_audience(token: WorkloadToken) -> None:
    """Exactly one: with several, another service could replay the token here."""
    if _single_audience(token.claims) not in token.audiences:
        expected = " or ".join(sorted(token.audiences))
        raise WorkloadRefused("aud is not this service alone", hint=f"let the workload request the audience {expected}")


def check_times(token: WorkloadToken) -> None:
    problem = find_time_problem(token.claims, token.now)
    if problem:
        raise WorkloadRefused(problem)
    longest = token.issuer.longest_lifetime_seconds
    if lifetime_seconds_of(token.claims) > longest:
        raise WorkloadRefused(
            f"the token is valid for more than {longest} s",
            hint="request a shorter token, or raise max_lifetime_seconds of the workload issuer in auth.yaml",
        )


def check_subject(token: WorkloadToken) -> None:
    if not _is_text(token.claims.get("sub"), _MAX_SUBJECT_CHARACTERS):
        raise WorkloadRefused("sub is missing or not usable")


def check_id(token: WorkloadToken) -> None:
    if token.issuer.accepts_once and not _is_text(token.claims.get("jti"), _MAX_ID_CHARACTERS):
        raise WorkloadRefused(
            "jti is missing or not usable", hint="if the issuer sends none, write `single_use: false` in auth.yaml"
        )


WORKLOAD_TOKEN_RULES: tuple[Callable[[WorkloadToken], None], ...] = (
    check_type,
    check_issuer,
    check_audience,
    check_times,
    check_subject,
    check_id,
)


def _single_audience(claims: Mapping[str, Any]) -> str | None:
    """`aud`, as a text or a list of one text; None for anything else."""
    audience: Any = claims.get("aud")
    if isinstance(audience, list):
        values = cast("list[Any]", audience)
        audience = values[0] if len(values) == 1 else None
    return audience if isinstance(audience, str) else None


def _is_text(value: Any, max_characters: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= max_characters and value.isprintable()
