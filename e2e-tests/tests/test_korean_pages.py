"""The Korean pages in docs/ko have the structure and the code blocks of the English ones, and their links work."""

import re
from pathlib import Path

import pytest

from local_stack.fences import read_fences

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.ko.md"
KOREAN_PAGES = sorted((ROOT / "docs/ko").glob("*.md"))
PAGES_ELSEWHERE = {"shared-security.md": ROOT / "shared-security/README.md"}
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")

each_korean_page = pytest.mark.parametrize("page", KOREAN_PAGES, ids=lambda page: page.stem)


def english_page(page: Path) -> Path:
    return PAGES_ELSEWHERE.get(page.name, ROOT / "docs" / page.name)


def read_prose(page: Path) -> str:
    """The page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of the page."""
    titles = [heading[2].lower() for heading in HEADING.finditer(read_prose(page))]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


@each_korean_page
def test_the_code_blocks_are_those_of_the_english_page(page: Path) -> None:
    korean, english = read_fences(page), read_fences(english_page(page))
    assert [(fence.language, fence.tags, fence.text) for fence in korean] == [
        (fence.language, fence.tags, fence.text) for fence in english
    ]


@each_korean_page
def test_the_headings_have_the_levels_of_the_english_page(page: Path) -> None:
    korean, english = (HEADING.findall(read_prose(each)) for each in (page, english_page(page)))
    assert [level for level, _ in korean] == [level for level, _ in english]


@each_korean_page
def test_the_tables_have_the_rows_of_the_english_page(page: Path) -> None:
    korean, english = (re.findall(r"^ *\|", read_prose(each), re.MULTILINE) for each in (page, english_page(page)))
    assert len(korean) == len(english)


@pytest.mark.parametrize("page", [README, *KOREAN_PAGES], ids=lambda page: page.stem)
def test_every_link_has_a_target(page: Path) -> None:
    broken: list[str] = []
    for path, anchor in LINK.findall(read_prose(page)):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{path}#{anchor}")
    assert broken == []


@each_korean_page
def test_readme_links_to_the_korean_page_and_not_to_the_english_one(page: Path) -> None:
    targets = {(ROOT / path).resolve() for path, _ in LINK.findall(read_prose(README))}
    assert page in targets
    assert english_page(page) not in targets
