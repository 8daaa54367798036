"""Texts of tests with brackets around what is to be found: 생일 [1990-01-01]. Other brackets are written twice."""

import re

from security_common.pii import PIIKind, get_pii_detector

__all__ = ["persons", "without_marks"]

_MARK = re.compile(r"\[\[|\]\]|\[([^\[\]]*)\]")


def without_marks(marked: str) -> tuple[str, list[str]]:
    """The text without the marks, and the marked parts in order."""
    expected = [match[1] for match in _MARK.finditer(marked) if match[1] is not None]
    return _MARK.sub(lambda match: match[1] if match[1] is not None else match[0][0], marked), expected


def persons(text: str) -> list[str]:
    """The names of persons that are found in a text, in order."""
    return [text[each.start : each.end] for each in get_pii_detector().scan_text(text) if each.kind is PIIKind.PERSON]
