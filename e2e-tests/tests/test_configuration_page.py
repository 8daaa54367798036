"""docs/configuration.md matches the settings classes."""

from pathlib import Path

from local_stack.configuration_page import render

PAGE = Path(__file__).resolve().parents[2] / "docs/configuration.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run: make docs"


def test_every_setting_is_described() -> None:
    undescribed = [row for row in render().splitlines() if row.startswith("| `") and row.endswith("|  |")]
    assert undescribed == []
