"""Texts of tests with brackets around what is to be found: 생일 [1990-01-01]. Other brackets are written twice."""

import re

__all__ = ["without_marks"]

_MARK = re.compile(r"\[\[|\]\]|\[([^\[\]]*)\]")


def without_marks(marked: str) -> tuple[str, list[str]]:
    """The text without the marks, and the marked parts in order."""
    expected = [match[1] for match in _MARK.finditer(marked) if match[1] is not None]
    return _MARK.sub(lambda match: match[1] if match[1] is not None else match[0][0], marked), expected
