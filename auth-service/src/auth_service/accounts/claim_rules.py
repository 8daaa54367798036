"""What the claims of an identity provider give a user: whether the user may sign in, scopes and roles. Pure functions.

A claim that is absent, or a path through a value that is not an object, makes a condition false. A text counts as one
value and is not split. Values are compared exactly.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from auth_service.declared_providers import ClaimCondition, ClaimRule, DeclaredProvider, Everyone
from auth_service.scopes import IDENTITY_SCOPES, Role, Scope

__all__ = [
    "HOSTED_DOMAIN_CLAIM",
    "MAX_CLAIM_VALUES",
    "ClaimGrants",
    "ClaimTooLarge",
    "GroupsLeftOut",
    "apply_rules",
    "claim_values",
    "has_claim",
    "may_sign_in",
    "meets_all",
    "select_claims",
]

MAX_CLAIM_VALUES = 1000
# Google: the Workspace domain of the account. The request parameter of that name is only a hint.
HOSTED_DOMAIN_CLAIM = "hd"
_GROUPS = "groups"


class ClaimTooLarge(ValueError):
    """A claim has more than 1,000 values."""


class GroupsLeftOut(ValueError):
    """Entra ID left out the groups because there are too many, and a condition reads them."""


@dataclass(frozen=True, slots=True)
class ClaimGrants:
    """What all matching rules give together. `scopes` is empty, or includes the scopes of OpenID Connect."""

    scopes: frozenset[str]
    roles: frozenset[Role]


def claim_values(claims: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """The values of the claim as texts. A claim whose name contains the dots of `path` takes precedence.

    Raises `ClaimTooLarge`, and `GroupsLeftOut` for the claim `groups`.
    """
    value = _find(claims, path)
    if value is None and path == _GROUPS and _groups_were_left_out(claims):
        raise GroupsLeftOut("the provider left out the groups, because the user is in too many")
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        return ()
    items = cast("list[Any]", value)
    if len(items) > MAX_CLAIM_VALUES:
        raise ClaimTooLarge(f"the claim {path} has more than {MAX_CLAIM_VALUES} values")
    return tuple(item for item in items if isinstance(item, str))


def has_claim(claims: Mapping[str, Any], path: str) -> bool:
    """Whether the claim is there, with any value, also an empty list."""
    return _find(claims, path) is not None


def may_sign_in(claims: Mapping[str, Any], provider: DeclaredProvider) -> bool:
    """Whether `allow` and `hosted_domains` let the user sign in. Raises the errors of `claim_values`."""
    domains = provider.hosted_domains
    if domains and not set(claim_values(claims, HOSTED_DOMAIN_CLAIM)) & set(domains):
        return False
    allow = provider.allow
    return isinstance(allow, Everyone) or any(_meets(claims, condition) for condition in allow)


def meets_all(claims: Mapping[str, Any], conditions: Iterable[ClaimCondition]) -> bool:
    """Whether every condition is true. Raises the errors of `claim_values`."""
    return all(_meets(claims, condition) for condition in conditions)


def apply_rules(claims: Mapping[str, Any], rules: Iterable[ClaimRule]) -> ClaimGrants:
    """What the rules give. Raises the errors of `claim_values`."""
    matching = [rule for rule in rules if rule.when is None or _meets(claims, rule.when)]
    roles = frozenset[Role]().union(*(rule.roles for rule in matching))
    scopes = frozenset[str]().union(*(rule.scopes for rule in matching))
    if Role.AUDITOR in roles:
        scopes |= {Scope.MCP_AUDIT}
    return ClaimGrants(scopes | IDENTITY_SCOPES if scopes else scopes, roles)


def select_claims(claims: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """The claims that conditions read: only these are stored with the account. Raises the errors of `claim_values`."""
    selected: dict[str, Any] = {}
    for path in dict.fromkeys(paths):
        values = claim_values(claims, path)
        if values:
            selected[path] = list(values)
    return selected


def _meets(claims: Mapping[str, Any], condition: ClaimCondition) -> bool:
    return condition.has in claim_values(claims, condition.claim)


def _find(claims: Mapping[str, Any], path: str) -> Any:
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = cast("Mapping[str, Any]", value).get(part)
    return value


def _groups_were_left_out(claims: Mapping[str, Any]) -> bool:
    """The overage markers of Entra ID: `hasgroups`, or `groups` as a distributed claim (OpenID Connect Core 5.6.2)."""
    names: Any = claims.get("_claim_names")
    is_distributed = isinstance(names, dict) and _GROUPS in cast("dict[str, Any]", names)
    return is_distributed or claims.get("hasgroups") in (True, "true")
