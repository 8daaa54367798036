"""Names that clients chose themselves, made safe to display: one visible line without control characters."""

import re
import unicodedata

from markupsafe import Markup

__all__ = ["unverified_name", "visible_name"]

_MAX_NAME_LENGTH = 100

# Displayed as nothing or as a gap, although Unicode classifies them as letters, marks or symbols: fillers, selectors,
# blanks (Unicode Standard, Default_Ignorable_Code_Point, and the empty Braille pattern).
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


def visible_name(name: str) -> str | None:
    """The name in one line of at most 100 characters, without controls, direction marks and invisible characters.

    None if no letter, digit or symbol is left, because people could not see such a name.
    """
    one_line = "".join(" " if character.isspace() else character for character in name)
    without_controls = "".join(character for character in one_line if unicodedata.category(character)[0] != "C")
    visible = " ".join(_INVISIBLE.sub("", without_controls).split())[:_MAX_NAME_LENGTH].rstrip()
    return visible if any(unicodedata.category(character)[0] in "LNS" for character in visible) else None


def unverified_name(name: str) -> Markup | None:
    """`visible_name` for a page: escaped, and its text direction does not affect the text around it."""
    visible = visible_name(name)
    return None if visible is None else Markup("<bdi>{}</bdi>").format(visible)
