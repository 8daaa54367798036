"""The steps of a search grow as its input does, for every stage and for inputs that are made to be slow.

Steps are counted, not timed: comparisons and attempts of regular expressions (counted_patterns), calls of Python
functions, and the characters that operations of `str` and `list` read.
"""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, cast

import counted_patterns
import pytest
from counted_patterns import StepCounter, counted_compile
from hypothesis import given
from hypothesis import strategies as st

PACKAGE = "security_common.pii"
SIZE = 200
TIMES, MAX_GROWTH = 3, 4.0
"""An input three times as long. Linear work takes three times as many steps, quadratic work nine times as many."""

OPENS_EVERY_GATE = (
    " 홍길동님 010-1234-5678, hong@example.com, 880101-1234568, 생일 1988-01-01, 서울특별시 강남구 테헤란로 152 3층,"
    " 12가 3456, M12345678, GB82 WEST 1234, 192.168.10.17 fe80::1:2, pw: Xk29!fjQ2z,"
    " Mr. James Miller, 12 Main Street, aGVsbG8gMDEwLTEy"
)

UNITS = (
    *("A", "1", "가", " ", "\n", ".", '"', "[", ":", "@", "a.", "a@b.", "a@b.com ", "1-", "1 ", "1,234,", "a1"),
    *("ab:", "-----BEGIN PRIVATE KEY-----", "Bearer a", "eyJa.", "pw:", "phone: ", "name: a ", "James Miller "),
    *("홍길동 ", "역삼동 ", "서울특별시 강남구 ", "Main Street, ", "생일 ", "1988-01-01 ", "일이삼", "aB3="),
    *("\u200b", "가"),
)
MORE_UNITS = (
    *("a", "0", "김", "\t", ",", "-", "'", "(", ")", "]", "{", "}", "=", "/", "\\", "+", "_", "|", "<", "&"),
    *("%", "a-", "a@", "a@b", "a@b.com,", "1.", "12 ", "010-", "01012345678 ", "880101-", "A1-", "1a", "::"),
    *("1:", "fe80:", "://", "a://", "a://b:c", "-----BEGIN ", "Bearer ", "eyJ", "password", "password: "),
    *("token=a", "phone ", "전화번호", "이름: ", "name: ", "Mr. ", "Aa ", "Aa, ", "James ", "홍길동"),
    *("홍길동님", "길동씨 ", "로 1 ", "동 1 ", "1동 ", "서울 ", "1 A", "1 Aa ", "생", "1년 1월 ", "jan ", "공"),
    *("공일 ", "에 ", "o", "lO0", "aB", "aGVsbG8g", "%20", "\\n", "\\u0031", "&#49;", "１", "İ", "é", "\ud800"),
    *("at ", " (at) ", " dot ", "a (at) b dot ", "골뱅이", "; ", "[A_1]", '{"a":', "[[", '"a": 1, ', "a: b\n"),
    *("a=b ", "a,b\n", '"a,b",', '""', "'a': ", "|a|b|\n", "- a: b\n"),
)


class CountedText(str):
    """Counts the characters that operators of a text read: `in`, slices and copies in another case."""

    __slots__ = ()

    def __contains__(self, part: object) -> bool:
        StepCounter.steps += len(self)
        return str.__contains__(self, part)  # type: ignore[arg-type]

    def __getitem__(self, place: Any) -> Any:
        part = str.__getitem__(self, place)
        StepCounter.steps += len(part)
        return part

    def lower(self) -> "CountedText":
        StepCounter.steps += len(self)
        return CountedText(str.lower(self))


METHODS_THAT_READ_ALL = {
    str: {"count", "split", "splitlines", "replace", "lower", "upper", "translate", "encode", "casefold", "partition"},
    list: {"insert", "remove", "index", "count", "copy", "sort"},
}


NOT_COUNTED = frozenset({counted_patterns.__file__, __file__})
"""The files of the counting itself."""


def count_call(frame: FrameType, event: str, argument: Any) -> None:
    """A profile function: counts calls outside of the counting itself."""
    # It runs at each call and each return, and most of them are those of the counting patterns.
    if event not in {"call", "c_call"} or frame.f_code.co_filename in NOT_COUNTED:
        return
    StepCounter.steps += 1
    if event == "c_call":
        owner: Any = getattr(argument, "__self__", None)
        for kind, methods in METHODS_THAT_READ_ALL.items():
            if isinstance(owner, kind) and argument.__name__ in methods:
                StepCounter.steps += len(cast("str | list[Any]", owner))


def steps_of(work: Callable[[], object]) -> int:
    """The steps of a call."""
    StepCounter.steps = 0
    sys.setprofile(count_call)
    try:
        work()
    finally:
        sys.setprofile(None)
    return StepCounter.steps


@pytest.fixture(scope="module")
def counted_pii() -> Iterator[Any]:
    """The package with patterns that count, and without RE2, whose steps are linear anyway."""
    monkeypatch = pytest.MonkeyPatch()
    known = {name: module for name, module in sys.modules.items() if name.startswith(PACKAGE)}
    library = importlib.import_module("security_common")
    for name in known:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(library, "pii", None, raising=False)
    monkeypatch.setitem(sys.modules, "re2", None)
    monkeypatch.setattr(re, "compile", counted_compile)
    try:
        with deep_recursion():
            yield importlib.import_module(PACKAGE)
    finally:
        for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
            del sys.modules[name]
        monkeypatch.undo()
        sys.modules.update(known)
        counted_compile.cache_clear()


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Patterns that count call themselves for each repetition."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def assert_linear(work: Callable[[int], Callable[[], object]], size: int = SIZE, *, smallest: int = 0) -> None:
    """`work` prepares a call for an input of a size. What a call for the smallest input costs is not counted."""
    without_input = steps_of(work(smallest))
    once, more = steps_of(work(size)), steps_of(work(TIMES * size))
    growth = (more - without_input) / max(1, once - without_input)
    assert growth <= MAX_GROWTH, f"{once} steps for {size} characters, {more} for {TIMES * size}"


def repeated(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


SIZES_OF_UNITS = {"name: ": 3 * SIZE}
"""A unit that is a pair of a name and a value: the value of a pair ends after 500 characters, so that a shorter text is
searched once and a longer one twice. Both sizes are longer."""


def scan_before_end(pii: Any, unit: str, size: int) -> Callable[[], object]:
    """A search of a repeated unit, with an end that makes every rule search the text."""
    text = CountedText(repeated(unit, size) + OPENS_EVERY_GATE)
    return lambda: pii.PIIDetector().scan_text(text)


@pytest.mark.parametrize("unit", [*UNITS, *(pytest.param(unit, marks=pytest.mark.deep) for unit in MORE_UNITS)])
def test_a_repeated_unit_takes_linear_steps(unit: str, counted_pii: Any) -> None:
    size = SIZES_OF_UNITS.get(unit, SIZE)
    assert_linear(lambda size: scan_before_end(counted_pii, unit, size), size, smallest=len(unit))


def with_wide_header(size: int) -> str:
    columns = ["전화번호", "이름"] + [f"c{number}" for number in range(size // 8)]
    return f"{','.join(columns)}\n{','.join('1' for _ in columns)}\n"


def with_many_rows(size: int) -> str:
    return "이름,전화번호\n" + "김민수,010-1234-5678\n" * (size // 20)


TABLES: dict[str, Callable[[int], str]] = {
    "wide header": with_wide_header,
    "many rows": with_many_rows,
    "long headings": lambda size: f"전화번호 {'x' * size},이름\n" + "010-1234-5678,김민수\n" * 3,
    "long cells": lambda size: f"전화번호,이름\n{'1-' * (size // 2)},{'김' * size}\n",
    "rows of other width": lambda size: "이름,전화번호,메모\n" + "a,b\n" * (size // 4),
    "quoted cells": lambda size: "이름,전화번호\n" + '"김, 민수","010-1234-5678"\n' * (size // 24),
    "open quotes": lambda size: "이름,전화번호\n" + '"김, 민수,010\n' * (size // 14),
    "one column": lambda size: "전화번호\n" + "01012345678\n" * (size // 12),
    "tabs": lambda size: "name\tphone\n" + "James\t010-1234-5678\n" * (size // 20),
    "markdown": lambda size: "| 이름 | 전화번호 |\n|---|---|\n" + "| 김민수 | 010-1234-5678 |\n" * (size // 25),
}

DOCUMENTS: dict[str, Callable[[int], str]] = {
    "members": lambda size: "{" + ", ".join(f'"phone{number}": "010-1234-5678"' for number in range(size // 28)) + "}",
    "long names": lambda size: '{"' + "phone_" * (size // 6) + '": "010-1234-5678"}',
    "nested objects": lambda size: '{"a":' * (size // 6) + "1" + "}" * (size // 6),
    "nested arrays": lambda size: "[" * (size // 2) + "]" * (size // 2),
    "open arrays": lambda size: "[" * size,
    "open objects": lambda size: '{"a": ' * (size // 6),
    "open texts": lambda size: '{"a": "' * (size // 7),
    "records": lambda size: "[" + ", ".join('{"name": "김민수", "price": 1}' for _ in range(size // 30)) + "]",
    "lines of records": lambda size: '{"phone": "010-1234-5678"}\n' * (size // 27),
    "escapes": lambda size: '{"a": "' + "\\\\" * (size // 2) + '"}',
    "assignments": lambda size: "phone=010-1234-5678 " * (size // 20),
    "yaml": lambda size: "phone: 010-1234-5678\n" * (size // 21),
}


SIZES = {"nested objects": 3 * SIZE, "long headings": 3 * SIZE}
"""The smaller size where the cost per character has a step: above 64 levels, and above the length of a field name."""


@pytest.mark.parametrize("name", TABLES)
def test_a_table_takes_linear_steps(name: str, counted_pii: Any) -> None:
    detector = counted_pii.PIIDetector()
    assert_linear(lambda size: lambda: detector.scan_text(CountedText(TABLES[name](size))), SIZES.get(name, SIZE))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_takes_linear_steps(name: str, counted_pii: Any) -> None:
    detector = counted_pii.PIIDetector()
    assert_linear(lambda size: lambda: detector.scan_text(CountedText(DOCUMENTS[name](size))), SIZES.get(name, SIZE))


@pytest.mark.parametrize(
    "name", ["many rows", "records", *(pytest.param(name, marks=pytest.mark.deep) for name in [*TABLES, *DOCUMENTS])]
)
def test_masking_takes_linear_steps(name: str, counted_pii: Any) -> None:
    detector = counted_pii.PIIDetector()
    make = TABLES.get(name) or DOCUMENTS[name]
    assert_linear(lambda size: lambda: detector.mask_text(make(size)), SIZES.get(name, SIZE))


def test_a_long_field_name_takes_linear_steps(counted_pii: Any) -> None:
    detector = counted_pii.PIIDetector()
    assert_linear(lambda size: lambda: detector.scan_text("010-1234-5678", field_name=CountedText("phone_" * size)))


def test_a_long_text_takes_linear_steps_in_slices(counted_pii: Any) -> None:
    slices = importlib.import_module(f"{PACKAGE}.text_slices")

    def find(start: int, end: int) -> list[Any]:
        StepCounter.steps += end - start
        return []

    assert_linear(lambda size: lambda: slices.find_in_slices("ab, " * size, find), 20_000)


@pytest.mark.deep
@given(st.lists(st.sampled_from([*UNITS, *MORE_UNITS]), min_size=2, max_size=4).map("".join))
def test_any_repeated_units_take_linear_steps(counted_pii: Any, unit: str) -> None:
    with deep_recursion():  # hypothesis has set a limit of its own
        assert_linear(lambda size: scan_before_end(counted_pii, unit, size), smallest=len(unit))
