"""What a sign-in with given claims would lead to, for `provider try --claims`: nothing is stored."""

from collections.abc import Mapping
from typing import Any

from auth_service.accounts.claim_rules import ClaimTooLarge, GroupsLeftOut, apply_rules, claim_values
from auth_service.declared_providers import ClaimCondition, ClaimRule
from auth_service.federation.id_token_rules import subject_of
from auth_service.federation.identity_provider import IdentityProvider
from auth_service.federation.people import PersonRefused, check_person, label_of
from auth_service.federation.provider_errors import ProviderFailure
from auth_service.scopes import Role, format_scope
from security_common.audit import Reason
from security_common.service.doctor import CheckResult

__all__ = ["preview_claims"]

_PLACE = "claims"
_MAX_SHOWN_VALUES = 20


def preview_claims(provider: IdentityProvider, claims: Mapping[str, Any]) -> list[CheckResult]:
    """Who would sign in, whether it would be allowed, and which scopes and roles each rule would give."""
    return [
        *_check_token(provider, claims),
        _check_subject(provider, claims),
        _check_person(provider, claims),
        *_describe_rules(provider, claims),
    ]


def _check_token(provider: IdentityProvider, claims: Mapping[str, Any]) -> list[CheckResult]:
    """`iss` and `aud`, if the file has them: often it is from another application or tenant."""
    results: list[CheckResult] = []
    if "iss" in claims and claims["iss"] not in provider.accepted_issuers:
        what = f"{_PLACE}: iss is {claims['iss']!r}, not {provider.issuer!r}"
        results.append(CheckResult(what, ok=False, hint="correct issuer or tenant in auth.yaml, or use another token"))
    audience: Any = claims.get("aud", provider.declared.client_id)
    if provider.declared.client_id not in (audience if isinstance(audience, list) else [audience]):
        what = f"{_PLACE}: aud is {audience!r}, not {provider.declared.client_id!r}"
        hint = "correct client_id in auth.yaml, or use an ID token of this application"
        results.append(CheckResult(what, ok=False, hint=hint))
    return results


def _check_subject(provider: IdentityProvider, claims: Mapping[str, Any]) -> CheckResult:
    try:
        subject = subject_of(claims, provider)
    except ProviderFailure as failure:
        hint = "request the scopes with which the provider sends it, see docs/connect-*.md"
        return CheckResult(f"{_PLACE}: {failure.description}", ok=False, hint=hint)
    return CheckResult(f"{_PLACE}: the person is {subject!r}, shown as {label_of(claims)!r}", ok=True)


def _check_person(provider: IdentityProvider, claims: Mapping[str, Any]) -> CheckResult:
    try:
        check_person(provider, claims)
    except PersonRefused as refusal:
        hint = refusal.hint or _hint_of(provider, claims, refusal.reason)
        return CheckResult(f"{_PLACE}: the sign-in is refused: {refusal.description}", ok=False, hint=hint)
    return CheckResult(f"{_PLACE}: the person may sign in", ok=True)


def _hint_of(provider: IdentityProvider, claims: Mapping[str, Any], reason: Reason) -> str:
    """What would have to be true, and what the claims have."""
    declared = provider.declared
    if reason is Reason.REQUIREMENT_NOT_MET:
        needed = [_describe(condition, claims) for condition in declared.require]
        return f"require needs all of: {'; '.join(needed)}"
    needed = [_describe(condition, claims) for condition in declared.allow] if isinstance(declared.allow, tuple) else []
    if declared.hosted_domains:
        needed.append(f"hd one of {', '.join(declared.hosted_domains)} ({_values(claims, 'hd')})")
    return f"allow needs one of: {'; '.join(needed)}" if needed else "see the log of the sign-in"


def _describe_rules(provider: IdentityProvider, claims: Mapping[str, Any]) -> list[CheckResult]:
    results = [_describe_rule(rule, number, claims) for number, rule in enumerate(provider.declared.rules, start=1)]
    try:
        grants = apply_rules(claims, provider.declared.rules)
    except (ClaimTooLarge, GroupsLeftOut):
        return results  # the sign-in is refused for this reason
    what = f"{_PLACE}: the person may allow apps {format_scope(grants.scopes) or 'nothing'}{_roles(grants.roles)}"
    hint = "" if grants.scopes else "no rule is true for these claims: correct the rules, or assign the person there"
    return [*results, CheckResult(what, ok=True, hint=hint, warning=not grants.scopes)]


def _describe_rule(rule: ClaimRule, number: int, claims: Mapping[str, Any]) -> CheckResult:
    condition = "everyone" if rule.when is None else _describe(rule.when, claims)
    try:
        grants = apply_rules(claims, [rule])
        is_true = bool(grants.scopes or grants.roles)
    except (ClaimTooLarge, GroupsLeftOut):
        is_true = False
    given = " ".join([*rule.scopes, *(f"role {role}" for role in sorted(rule.roles))])
    verb = "gives" if is_true else "does not give"
    return CheckResult(f"{_PLACE}: rule {number}, {condition}, {verb} {given}", ok=True)


def _describe(condition: ClaimCondition, claims: Mapping[str, Any]) -> str:
    return f"{condition.claim} has {condition.has!r} ({_values(claims, condition.claim)})"


def _values(claims: Mapping[str, Any], path: str) -> str:
    try:
        values = claim_values(claims, path)
    except (ClaimTooLarge, GroupsLeftOut) as error:
        return str(error)
    if not values:
        return "the claims have no value"
    shown = ", ".join(repr(value) for value in values[:_MAX_SHOWN_VALUES])
    more = len(values) - _MAX_SHOWN_VALUES
    return f"the claims have {shown}" + (f" and {more} more" if more > 0 else "")


def _roles(roles: frozenset[Role]) -> str:
    return f", with the roles {', '.join(sorted(roles))}" if roles else ""
