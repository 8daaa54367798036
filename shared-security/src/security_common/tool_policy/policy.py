"""The policy, as pure functions: what happens to a leaf of data, and how the call is named in the record.

| policy    | personal data in arguments | in the result   | in messages and errors | audit action               |
|-----------|----------------------------|-----------------|------------------------|----------------------------|
| `encrypt` | leaf is ciphertext         | leaf ciphertext | masked                 | `executed_with_encryption` |
| `mask`    | masked                     | masked          | masked                 | `executed_with_masking`    |
| `reject`  | call refused               | result withheld | masked                 | `rejected`                 |
| `observe` | unchanged                  | unchanged       | unchanged              | `executed_observed`        |

A leaf without personal data stays as it is, and `executed` is the action when there was none at all. With
`requires_encryption`, `encrypt` takes every string leaf of the arguments. The file of a team
(`security_common.pii.configuration`) may name another operator for a kind of data, for all tools or for one.
"""

from collections.abc import Set as AbstractSet
from enum import StrEnum

from security_common.pii import Operator

__all__ = ["PIIPolicy", "Treatment", "name_action", "operator_of", "policy_for_messages", "treat_leaf"]


class PIIPolicy(StrEnum):
    """What a tool does about personal data."""

    ENCRYPT = "encrypt"
    MASK = "mask"
    REJECT = "reject"
    OBSERVE = "observe"


class Treatment(StrEnum):
    """What is done to one leaf."""

    KEEP = "keep"
    OBSERVE = "observe"
    MASK = "mask"
    ENCRYPT = "encrypt"
    REFUSE = "refuse"


_OPERATORS = {PIIPolicy.MASK: Operator.MASK, PIIPolicy.REJECT: Operator.REJECT, PIIPolicy.OBSERVE: Operator.KEEP}

_ACTIONS = (
    (Treatment.REFUSE, "rejected"),
    (Treatment.ENCRYPT, "executed_with_encryption"),
    (Treatment.MASK, "executed_with_masking"),
    (Treatment.OBSERVE, "executed_observed"),
)


def operator_of(policy: PIIPolicy) -> Operator | None:
    """What the policy does to a finding; None under `encrypt`, which takes the leaf as a whole."""
    return _OPERATORS.get(policy)


def treat_leaf(operators: AbstractSet[Operator | None], *, encrypt_all: bool = False) -> Treatment:
    """What happens to a leaf, given the operators of what was found in it: the strongest wins."""
    if Operator.REJECT in operators:
        return Treatment.REFUSE
    if encrypt_all or None in operators:
        return Treatment.ENCRYPT
    if operators <= {Operator.KEEP}:
        return Treatment.OBSERVE if operators else Treatment.KEEP
    return Treatment.MASK


def policy_for_messages(policy: PIIPolicy) -> PIIPolicy:
    """Progress, log lines, questions and error texts: a ciphertext or a gap there helps nobody, so they are masked."""
    return PIIPolicy.OBSERVE if policy is PIIPolicy.OBSERVE else PIIPolicy.MASK


def name_action(treatments: AbstractSet[Treatment]) -> str:
    """The audit action: the strongest thing that was done."""
    return next((name for treatment, name in _ACTIONS if treatment in treatments), "executed")
