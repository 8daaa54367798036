"""What was found in the texts of one call. A text that the call has twice is searched once."""

from collections.abc import Sequence

from security_common.pii import FieldContext, Finding, PIIDetector
from security_common.tool_policy.clean_texts import CleanTexts

__all__ = ["CallFindings"]

_MAX_CHARACTERS = 65_536
"""How many characters of texts a call remembers until it ends. With what is found in short texts, that is 1 MB."""

_MAX_TEXT_LENGTH = 4096


class CallFindings:
    """Searches the texts of one call.

    The same texts are in an argument and in a result that repeats it, in the structured content of a result and in a
    text block with the same data, and in results whose records have equal values. `clean_texts` remembers short texts
    without personal data across calls, such as names of members and states.
    """

    __slots__ = ("_characters_left", "_clean_texts", "_detector", "_found")

    def __init__(self, detector: PIIDetector, clean_texts: CleanTexts) -> None:
        self._detector = detector
        self._clean_texts = clean_texts
        self._characters_left = _MAX_CHARACTERS
        self._found: dict[tuple[str, FieldContext | None], Sequence[Finding]] = {}

    def is_clean(self, text: str, context: FieldContext | None) -> bool:
        """Whether the text is remembered as one without personal data. False says nothing about a text."""
        return self._clean_texts.contains(text, context)

    def find(self, text: str, context: FieldContext | None) -> Sequence[Finding]:
        """The findings in a text in this context."""
        if context is not None and context.says_nothing:
            context = None
        key = (text, context)
        found = self._found.get(key)
        if found is None:
            found = self._detector.scan_text(text, context=context)
            if not found:
                self._clean_texts.add(text, context)
            if len(text) <= min(_MAX_TEXT_LENGTH, self._characters_left):
                self._characters_left -= len(text)
                self._found[key] = found
        return found
