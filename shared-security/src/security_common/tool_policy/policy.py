"""The policy as pure functions: what happens to a leaf of data, and which action the audit event names.

| policy     | personal data in arguments | in the result       | in messages, errors | audit action                 |
|------------|----------------------------|---------------------|---------------------|------------------------------|
| `encrypt`  | the text is encrypted      | the text, encrypted | masked              | `executed_with_encryption`   |
| `mask`     | masked                     | masked              | masked              | `executed_with_masking`      |
| `reject`   | the call is refused        | withheld            | masked              | `rejected`                   |
| `tokenize` | see below                  | placeholders        | masked              | `executed_with_placeholders` |
| `observe`  | unchanged                  | unchanged           | unchanged           | `executed_observed`          |

Under `tokenize`, the arguments have placeholders such as `[PHONE_7KQ2MZ]`. Those of the kinds in `reveal` are replaced
by their values before the tool runs, the others stay, and a call with a placeholder that is not valid for its caller is
refused. Personal data that the caller writes in plaintext is passed to the tool if its kind is in `reveal`, and masked
otherwise.

A text without personal data is not changed, and the action of a call without any is `executed`. With
`requires_encryption`, the policy `encrypt` encrypts every text of the arguments except identifiers and keys. The
configuration file (`security_common.pii.configuration`) can name another operator for a kind of data, for all tools or
for one tool.
"""

from collections.abc import Set as AbstractSet
from enum import StrEnum

from security_common.audit import Action
from security_common.pii import Operator

__all__ = [
    "PIIPolicy",
    "Treatment",
    "decide_treatment",
    "name_action",
    "operator_of",
    "policy_for_arguments",
    "policy_for_messages",
]


class PIIPolicy(StrEnum):
    """What a tool does with personal data."""

    ENCRYPT = "encrypt"
    MASK = "mask"
    REJECT = "reject"
    TOKENIZE = "tokenize"
    OBSERVE = "observe"


class Treatment(StrEnum):
    """What is done to one leaf.

    REPLACE: each finding is replaced by what its operator writes: a mask, a redaction, a pseudonym or a ciphertext.
    ENCRYPT: the leaf is encrypted as a whole.
    """

    KEEP = "keep"
    OBSERVE = "observe"
    REPLACE = "replace"
    TOKENIZE = "tokenize"
    ENCRYPT = "encrypt"
    REFUSE = "refuse"


_OPERATORS = {
    PIIPolicy.MASK: Operator.MASK,
    PIIPolicy.REJECT: Operator.REJECT,
    PIIPolicy.TOKENIZE: Operator.TOKENIZE,
    PIIPolicy.OBSERVE: Operator.KEEP,
}

# The first treatment in this order names the action.
_ACTIONS = (
    (Treatment.REFUSE, Action.REJECTED),
    (Treatment.TOKENIZE, Action.EXECUTED_WITH_PLACEHOLDERS),
    (Treatment.ENCRYPT, Action.EXECUTED_WITH_ENCRYPTION),
    (Treatment.REPLACE, Action.EXECUTED_WITH_MASKING),
    (Treatment.OBSERVE, Action.EXECUTED_OBSERVED),
)


def operator_of(policy: PIIPolicy) -> Operator | None:
    """The operator for each finding under a policy, or None for `encrypt`, which encrypts the leaf as a whole."""
    return _OPERATORS.get(policy)


def decide_treatment(operators: AbstractSet[Operator | None], *, encrypt_all: bool = False) -> Treatment:
    """What happens to a leaf, given the operators of the findings in it. The strongest operator decides."""
    if Operator.REJECT in operators:
        return Treatment.REFUSE
    if encrypt_all or None in operators:
        return Treatment.ENCRYPT
    if Operator.TOKENIZE in operators:
        return Treatment.TOKENIZE
    if operators <= {Operator.KEEP}:
        return Treatment.OBSERVE if operators else Treatment.KEEP
    return Treatment.REPLACE


def policy_for_messages(policy: PIIPolicy) -> PIIPolicy:
    """The policy for progress, log messages, requests to the client and error texts, where only a mask is readable."""
    return PIIPolicy.OBSERVE if policy is PIIPolicy.OBSERVE else PIIPolicy.MASK


def policy_for_arguments(policy: PIIPolicy) -> PIIPolicy:
    """The policy for personal data in arguments. Values that a caller writes in plaintext get no placeholder.

    Otherwise, a caller could find out by guessing which value a placeholder replaces.
    """
    return PIIPolicy.MASK if policy is PIIPolicy.TOKENIZE else policy


def name_action(treatments: AbstractSet[Treatment]) -> Action:
    """The audit action of a call: that of the first of its treatments in the order of `_ACTIONS`."""
    if not treatments:
        return Action.EXECUTED
    for treatment, action in _ACTIONS:
        if treatment in treatments:
            return action
    return Action.EXECUTED
