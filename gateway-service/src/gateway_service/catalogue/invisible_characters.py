"""Characters that are not shown, or that change the order in which others are shown.

A text with them reads differently to a person and to a model (Unicode Technical Report 36, section 2.10).
"""

import json
import re
import unicodedata
from functools import lru_cache

__all__ = ["escape_invisible", "find_invisible"]

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Zl", "Zp"})
# Characters of other categories that leave no mark: fillers, joiners, and variation selectors.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800")
_LINE_BREAKS_AND_TABS = frozenset("\t\n\r")


def escape_invisible(text: str) -> str:
    """The text with an escape of JSON in place of each invisible character that is not ASCII."""
    return _NOT_ASCII.sub(lambda match: _escape(match[0]), text)


def find_invisible(text: str) -> list[str]:
    """The invisible characters of the text by code point, such as `U+202E`, each once and in order."""
    found = {each for each in text if each not in _LINE_BREAKS_AND_TABS and _is_invisible(each)}
    return [f"U+{ord(each):04X}" for each in sorted(found)]


@lru_cache(maxsize=4096)
def _escape(character: str) -> str:
    return json.dumps(character)[1:-1] if _is_invisible(character) else character


def _is_invisible(character: str) -> bool:
    if character in _BLANK or "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return True
    return unicodedata.category(character) in _INVISIBLE_CATEGORIES
