"""What every rule reads: the normalized text and its labels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from security_common.pii.finding import Finding
from security_common.pii.labels import Label, Labels

__all__ = ["Reading", "Rule"]


@dataclass(slots=True)
class Reading:
    """One text as the rules see it. A birth after `today` is none."""

    text: str
    lowered: str
    labels: Labels
    today: date

    @classmethod
    def of(cls, text: str, today: date) -> "Reading":
        """Reads a normalized text."""
        lowered = text.lower()
        if len(lowered) != len(text):  # a few capitals grow when lowered; places must stay
            lowered = "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
        return cls(text, lowered, Labels(text, lowered), today)

    def called(self, start: int) -> str:
        """The name of the label directly before a value, or nothing."""
        return self.labels.before(start).called

    def label_of(self, start: int, end: int) -> Label:
        """The label that governs a value: a direct one before it, else one right after, else a loose one before."""
        before = self.labels.before(start)
        if before.called:
            return before
        after = self.labels.after(end)
        return after if after.called else before


class Rule(NamedTuple):
    """How to find something. `needs` is a linear expression for what a text must hold for the rule to find anything."""

    needs: str
    find: Callable[[Reading], Iterator[Finding]]
