"""Values with too few digits for every rule: counts, ids, amounts, and masks such as `010-****-5678`."""

import re

from security_common.pii.field_context import FieldContext
from security_common.pii.field_labels import LABEL_OF_KIND
from security_common.pii.finding import PIIKind
from security_common.pii.labels import OTHER

__all__ = ["is_short_number"]

_LABELS = frozenset({"", *(LABEL_OF_KIND[kind] for kind in (OTHER, PIIKind.PHONE, PIIKind.CREDIT_CARD))})
"""Labels behind which a number has at least eight digits if it is personal data, unlike dates of birth and secrets."""

# Up to seven digits, and as many again after each star: no rule reads a number through a star.
_FEW_DIGITS = re.compile(r"[-+*() ]*(?:[0-9][-+() ]*){0,7}(?:\*[-+*() ]*(?:[0-9][-+() ]*){0,7})*")
_MAX_LENGTH = 40


def is_short_number(text: str, context: FieldContext) -> bool:
    """Whether no rule can find anything in the value of a field, because it has only a few digits.

    This is a fast check for values that need no search. False says nothing about a value.
    """
    if context.label_text not in _LABELS or context.is_part or context.names_login or len(text) > _MAX_LENGTH:
        return False
    return _FEW_DIGITS.fullmatch(text) is not None
