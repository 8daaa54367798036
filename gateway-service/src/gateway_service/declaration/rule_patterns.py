"""Rules by the name of a component, or by a pattern with `*`."""

import re
from collections.abc import Mapping
from typing import Generic, TypeVar

__all__ = ["RulePatterns"]

Rule = TypeVar("Rule")


class RulePatterns(Generic[Rule]):
    """Finds the rule for a name: its exact name first, then the pattern with the longest text beside the `*`."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self.rules = rules
        patterns = sorted((name for name in rules if "*" in name), key=_by_length_of_text)
        self._patterns = [(_compile(pattern), pattern) for pattern in patterns]

    @property
    def exact_names(self) -> tuple[str, ...]:
        """The names without a pattern."""
        return tuple(name for name in self.rules if "*" not in name)

    def pattern_for(self, name: str) -> str | None:
        """The name or pattern that decides about a name."""
        if name in self.rules and "*" not in name:
            return name
        return next((pattern for compiled, pattern in self._patterns if compiled.fullmatch(name)), None)


def _by_length_of_text(pattern: str) -> tuple[int, str]:
    return -len(pattern.replace("*", "")), pattern


def _compile(pattern: str) -> re.Pattern[str]:
    """The pattern, in which `*` matches any text, as a regular expression."""
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
