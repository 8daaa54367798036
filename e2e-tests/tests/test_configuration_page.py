"""docs/configuration.md and docs/ko/configuration.md match the settings classes."""

import re
from pathlib import Path

import pytest

from local_stack.configuration_page import render
from local_stack.page_languages import KOREAN, Language

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES: dict[Language, Path] = {"en": DOCS / "configuration.md", "ko": DOCS / "ko/configuration.md"}

each_language = pytest.mark.parametrize("language", PAGES)


@each_language
def test_the_page_is_up_to_date(language: Language) -> None:
    assert PAGES[language].read_text(encoding="utf-8") == render(language), "run: make docs"


@each_language
def test_every_setting_is_described(language: Language) -> None:
    undescribed = [row for row in render(language).splitlines() if row.startswith("| `") and row.endswith("|  |")]
    assert undescribed == []


def test_every_korean_description_is_of_a_setting() -> None:
    variables = set(re.findall(r"^\| `([A-Z_]+)`", render("ko"), re.MULTILINE))
    names = variables | {variable.split("_", 1)[1] for variable in variables}
    assert set(KOREAN["settings"]) - names == set()
