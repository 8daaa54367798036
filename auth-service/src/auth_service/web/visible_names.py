"""Names that strangers chose, made safe to show: they look like themselves, and there is something to see."""

import re
import unicodedata

from markupsafe import Markup

__all__ = ["stranger_name", "visible_name"]

_LONGEST_NAME = 100

# Shown as nothing, or as a gap, although Unicode counts them as letters, marks or symbols: fillers, selectors, blanks
# (Unicode Standard, Default_Ignorable_Code_Point, and the empty Braille pattern).
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


def visible_name(name: str) -> str | None:
    """The name in one line, without controls, direction marks and invisible characters, and not too long.

    None when no letter, digit or symbol is left: nobody could tell such a name from none.
    """
    printed = "".join(" " if character.isspace() else character for character in name)
    kept = "".join(character for character in printed if unicodedata.category(character)[0] != "C")
    shown = " ".join(_INVISIBLE.sub("", kept).split())[:_LONGEST_NAME].rstrip()
    return shown if any(unicodedata.category(character)[0] in "LNS" for character in shown) else None


def stranger_name(name: str) -> Markup | None:
    """`visible_name` for a page: escaped, and its direction does not spread to the text around it."""
    shown = visible_name(name)
    return None if shown is None else Markup("<bdi>{}</bdi>").format(shown)
