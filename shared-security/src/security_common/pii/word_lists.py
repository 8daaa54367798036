"""The lists in `data/`: words in TOML, an array or one string with spaces between them; and rows of text."""

import tomllib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["any_of", "rows", "table"]

_DATA = Path(__file__).with_name("data")


def table(name: str) -> dict[str, list[str]]:
    """The lists of one file by their names."""
    entries = tomllib.loads(_DATA.joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    return {key: words.split() if isinstance(words, str) else words for key, words in entries.items()}


def rows(name: str) -> list[str]:
    """The lines of one file but its comments."""
    lines = _DATA.joinpath(f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def any_of(words: Iterable[str]) -> str:
    """An expression for any of these words, the longest first."""
    return f"(?:{'|'.join(sorted(set(words), key=len, reverse=True))})"
