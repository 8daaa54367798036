"""Patterns of rules: which names they match."""

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway_service.declaration import RulePatterns

PATTERNS = st.text("ab*", min_size=1, max_size=8).filter(lambda pattern: "*" in pattern)


@given(PATTERNS, st.text("ab", max_size=12))
def test_a_pattern_matches_what_its_regular_expression_matches(pattern: str, name: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    expected = pattern if re.fullmatch(expression, name) else None
    assert RulePatterns({pattern: 1}).pattern_for(name) == expected


def test_a_long_name_does_not_multiply_the_steps() -> None:
    rules = RulePatterns({"*a*a*a*a*a*a*b": 1})
    assert rules.pattern_for("a" * 2048) is None
    assert rules.pattern_for("a" * 2048 + "b") == "*a*a*a*a*a*a*b"


def test_exact_names_come_first_and_then_the_longest_text() -> None:
    rules = RulePatterns({"*": 1, "get_*": 2, "get_one": 3, "*_one": 4})
    names = ("get_one", "get_two", "put_one", "other", "*")
    assert [rules.pattern_for(name) for name in names] == ["get_one", "get_*", "*_one", "*", "*"]
    assert rules.exact_names == ("get_one",)
