"""Pairs in long texts, and the names in front of `=` and `:`, are the same as those of one search over the text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security_common.pii.key_value_pairs import _names_before_signs, find_pair_values
from security_common.pii.text_slices import SLICE_CHARS, find_matches

NAME_BEFORE_SIGN = re.compile(r"(?<![\w.\-])([^\W\d][\w.\-]{0,62})['\"]?[ \t]?(?:=|:(?=[\s\[]))")
"""The names as one expression, which reads the text from left to right. A colon before a value has a space behind."""

MAX_NAME_LENGTH = 63


@given(st.lists(st.sampled_from(["a", "키", "é", "1", "_", ".", "-", ":", "=", " ", "\t", "'", '"', "\n", "x" * 61])))
def test_names_before_signs(parts: list[str]) -> None:
    text = "".join(parts)
    assert list(_names_before_signs(text)) == NAME_BEFORE_SIGN.findall(text)


@pytest.mark.parametrize("length", [1, MAX_NAME_LENGTH, MAX_NAME_LENGTH + 1, MAX_NAME_LENGTH + 40])
@pytest.mark.parametrize("before", ["", " ", ".", "1"])
def test_long_names_before_signs(before: str, length: int) -> None:
    text = f"{before}{'n' * length}' = 1"
    assert list(_names_before_signs(text)) == NAME_BEFORE_SIGN.findall(text)


@pytest.mark.parametrize("distance", range(-20, 5))
def test_a_pair_at_the_border_of_two_slices(distance: int) -> None:
    text = "z " * ((SLICE_CHARS + distance) // 2) + "phone=1234567, note=nothing\n"
    cells = list(find_pair_values(text))
    assert [(text[cell.start : cell.end], cell.context.name) for cell in cells] == [("1234567", "phone")]


@given(st.integers(0, 60), st.lists(st.sampled_from(["ab ", "b", "aaa", " ", "a" * 9]), max_size=30))
def test_matches_in_slices_are_those_of_the_whole_text(distance: int, parts: list[str]) -> None:
    pattern = re.compile(r"(?<!b)a{1,9}\b")
    text = "-" * (SLICE_CHARS - distance) + "".join(parts) * 3
    spans = [match.span() for match in find_matches(pattern, text, 10)]
    assert spans == [match.span() for match in pattern.finditer(text)]


def test_each_search_reads_a_bounded_part_of_the_text() -> None:
    read: list[tuple[int, int]] = []

    class Recorder:
        """A pattern that notes which parts of a text it is asked to search."""

        def finditer(self, text: str, start: int, end: int) -> list[re.Match[str]]:
            read.append((start, min(end, len(text))))
            return []

    text = "-" * 5 * SLICE_CHARS
    assert list(find_matches(Recorder(), text, 10)) == []  # pyright: ignore[reportArgumentType]
    assert max(end - start for start, end in read) == SLICE_CHARS + 10
    assert [start for start, _ in read] == list(range(0, len(text), SLICE_CHARS))
