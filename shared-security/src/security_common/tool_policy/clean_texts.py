"""Short texts that were searched and have no personal data: names of members, states, timestamps, repeated values."""

from security_common.pii import FieldContext

__all__ = ["CleanTexts"]

_MAX_TEXTS = 2048
"""How many texts are remembered in each of two sets. A text and its context are bounded, so both take 2 MB at most."""

_MAX_TEXT_LENGTH = 64


class CleanTexts:
    """Remembers a bounded number of texts, each with the context of its field.

    When there are too many recent texts, they replace the earlier ones. An earlier text that occurs again becomes a
    recent one, so texts that repeat are kept while thousands of others pass.
    """

    __slots__ = ("_earlier", "_recent")

    def __init__(self) -> None:
        self._recent: set[tuple[str, FieldContext | None]] = set()
        self._earlier: set[tuple[str, FieldContext | None]] = set()

    def contains(self, text: str, context: FieldContext | None) -> bool:
        """Whether the text was added with an equal context, and is still remembered."""
        key = (text, context)
        if key in self._recent:
            return True
        if key in self._earlier:
            self._add(key)
            return True
        return False

    def add(self, text: str, context: FieldContext | None) -> None:
        """Remembers a text without personal data, unless it is long or in a table, where few texts repeat."""
        if len(text) <= _MAX_TEXT_LENGTH and (context is None or not context.columns):
            self._add((text, context))

    def _add(self, key: tuple[str, FieldContext | None]) -> None:
        if len(self._recent) >= _MAX_TEXTS:
            self._earlier, self._recent = self._recent, set()
        self._recent.add(key)
