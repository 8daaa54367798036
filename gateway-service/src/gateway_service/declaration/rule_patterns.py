"""Rules by the name of a component, or by a pattern with `*`."""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

__all__ = ["RulePatterns"]

Rule = TypeVar("Rule")


class RulePatterns(Generic[Rule]):
    """Finds the rule for a name: its exact name first, then the pattern with the longest text beside the `*`."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self.rules = rules
        patterns = sorted((name for name in rules if "*" in name), key=_by_length_of_text)
        self._patterns = [(pattern.split("*"), pattern) for pattern in patterns]

    @property
    def exact_names(self) -> tuple[str, ...]:
        """The names without a pattern."""
        return tuple(name for name in self.rules if "*" not in name)

    def pattern_for(self, name: str) -> str | None:
        """The name or pattern that decides about a name."""
        if name in self.rules and "*" not in name:
            return name
        return next((pattern for parts, pattern in self._patterns if _matches(parts, name)), None)


def _by_length_of_text(pattern: str) -> tuple[int, str]:
    return -len(pattern.replace("*", "")), pattern


def _matches(parts: Sequence[str], name: str) -> bool:
    """Whether the name has these parts in this order, with any text between them, and begins and ends with the outer.

    Taking the first place of each part is enough. A regular expression would try all of them, and clients choose the
    names.
    """
    first, *between, last = parts
    end = len(name) - len(last)
    if len(first) > end or not name.startswith(first) or not name.endswith(last):
        return False
    position = len(first)
    for part in between:
        found = name.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
