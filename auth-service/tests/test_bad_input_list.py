"""Tests name items of docs/bad-input.md by number. Every number that a test names is in that list."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEST_FOLDERS = (
    "auth-service/tests",
    "e2e-tests/tests",
    "gateway-service/tests",
    "mcp-resource-service/tests",
    "shared-security/tests",
)

# `| 52 | input | right answer | source |`. The letters are for lists that are added later.
LIST_ROW = re.compile(r"\| ([EG]?\d+) \|(?: [^|]+ \|){3}")

TEST_NAME = re.compile(r"def test_items?_([eg]?\d+(?:_(?:and_|to_)?[eg]?\d+)*)_")
ROW = re.compile(r"\b(?:item=|Row\()\"([EG]?\d+)\"")
DOCSTRING = re.compile(r"\b[Ii]tems? ([EG]?\d+)(?: (?:and|to) ([EG]?\d+))?")
# Names of cases such as "54 another client", and rows such as ("33", "another aud", ...), in the files that have them.
CASE = re.compile(r"\"([EG]?\d{1,3}) [^\"]+\"|\(\"([EG]?\d{1,3})\", \"")
FILES_WITH_CASES = {
    "client_assertions.py",
    "test_code_redemption.py",
    "test_guard_challenges.py",
    "test_refresh_tokens.py",
    "test_registration.py",
    "test_token_bad_input.py",
}


def listed_items() -> list[str]:
    lines = (ROOT / "docs" / "bad-input.md").read_text(encoding="utf-8").splitlines()
    return [row[1] for row in map(LIST_ROW.fullmatch, lines) if row is not None]


def named_items(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    for numbers in TEST_NAME.findall(text):
        yield from (number.upper() for number in re.findall(r"[eg]?\d+", numbers))
    yield from ROW.findall(text)
    patterns = (DOCSTRING, CASE) if path.name in FILES_WITH_CASES else (DOCSTRING,)
    for pattern in patterns:
        for numbers in pattern.findall(text):
            yield from filter(None, numbers)


def test_the_list_has_each_item_once_and_in_order() -> None:
    items = listed_items()
    assert [item for item in items if item.isdigit()] == [str(number) for number in range(1, 157)]
    assert len(set(items)) == len(items)


def test_every_item_that_a_test_names_is_in_the_list() -> None:
    listed = set(listed_items())
    paths = [path for folder in TEST_FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    named = {path.name: set(named_items(path)) for path in paths if path != Path(__file__)}
    assert {name: items - listed for name, items in named.items() if items - listed} == {}
    assert len(set[str]().union(*named.values())) > 140, "the patterns above find the items in the tests"
