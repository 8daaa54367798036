"""Usernames that are made of a first and a family name: owen.mcallister, jihoon_park.

They count after a word such as user or author, or as a whole value. Mail addresses have a rule of their own.
"""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.latin_names import is_family_name, is_first_name
from security_common.pii.romanized_names import is_romanized_korean
from security_common.pii.rules import Rule

__all__ = ["USERNAMES"]

_PARTS = r"([a-z]{2,14})[._-]([a-z]{2,14})"
_CUE = (
    r"(?:[uU]ser(?:name|[_ ]?[iI][dD]|[nN]ame)?|[lL]ogin|[aA]uthor|[bB]y|[aA]ccount|[aA]ssignee|[oO]wner|[rR]eviewer)"
    r"[\"']?\s?[:= ]\s?[\"']?"
)
_AFTER_CUE = re.compile(rf"(?<![A-Za-z]){_CUE}(?P<name>{_PARTS})(?![A-Za-z0-9_@/-]|\.[a-z]|\"[ ]?:)")
_WHOLE_VALUE = re.compile(rf"(?P<name>{_PARTS})")


def _find_usernames(source: LabelledText) -> Iterator[Finding]:
    whole = _WHOLE_VALUE.fullmatch(source.text)
    for match in [whole] if whole is not None else _AFTER_CUE.finditer(source.text):
        start, end = match.span("name")
        first, _, last = source.text[start:end].replace("_", ".").replace("-", ".").partition(".")
        if _is_full_name(first, last) or _is_full_name(last, first):
            yield Finding(PIIKind.PERSON, start, end, 0.7, "username")


def _is_full_name(first: str, last: str) -> bool:
    return (is_first_name(first) and is_family_name(last)) or is_romanized_korean([last, first])


USERNAMES = Rule(rf"{_CUE}[a-z]+[._-][a-z]|^[a-z]+[._-][a-z]", _find_usernames, begins_with_word=True)
