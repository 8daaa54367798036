"""The policy, as pure functions: what happens to a leaf of data, and how the call is named in the record.

| policy    | personal data in arguments | in the result   | in messages and errors | audit action               |
|-----------|----------------------------|-----------------|------------------------|----------------------------|
| `encrypt` | leaf is ciphertext         | leaf ciphertext | masked                 | `executed_with_encryption` |
| `mask`    | masked                     | masked          | masked                 | `executed_with_masking`    |
| `reject`  | call refused               | result withheld | masked                 | `rejected`                 |
| `observe` | unchanged                  | unchanged       | unchanged              | `executed_observed`        |

A leaf without personal data stays as it is, and `executed` is the action when there was none at all. With
`requires_encryption`, `encrypt` takes every string leaf of the arguments.
"""

from collections.abc import Set as AbstractSet
from enum import StrEnum

__all__ = ["PIIPolicy", "Treatment", "name_action", "policy_for_messages", "treat_leaf"]


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


_ON_PERSONAL_DATA = {
    PIIPolicy.ENCRYPT: Treatment.ENCRYPT,
    PIIPolicy.MASK: Treatment.MASK,
    PIIPolicy.REJECT: Treatment.REFUSE,
    PIIPolicy.OBSERVE: Treatment.OBSERVE,
}

_ACTIONS = (
    (Treatment.REFUSE, "rejected"),
    (Treatment.ENCRYPT, "executed_with_encryption"),
    (Treatment.MASK, "executed_with_masking"),
    (Treatment.OBSERVE, "executed_observed"),
)


def treat_leaf(policy: PIIPolicy, *, personal: bool, encrypt_all: bool = False) -> Treatment:
    """What happens to a leaf, given whether it holds personal data."""
    if personal:
        return _ON_PERSONAL_DATA[policy]
    return Treatment.ENCRYPT if encrypt_all and policy is PIIPolicy.ENCRYPT else Treatment.KEEP


def policy_for_messages(policy: PIIPolicy) -> PIIPolicy:
    """Progress, log lines, questions and error texts: a ciphertext or a gap there helps nobody, so they are masked."""
    return PIIPolicy.OBSERVE if policy is PIIPolicy.OBSERVE else PIIPolicy.MASK


def name_action(treatments: AbstractSet[Treatment]) -> str:
    """The audit action: the strongest thing that was done."""
    return next((name for treatment, name in _ACTIONS if treatment in treatments), "executed")
