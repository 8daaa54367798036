"""The languages of the generated pages: English from the code, and Korean from `descriptions.ko.toml`."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

__all__ = ["KOREAN", "Language", "describe_setting", "translate"]

Language = Literal["en", "ko"]

KOREAN: Mapping[str, Mapping[str, Any]] = tomllib.loads(
    Path(__file__).with_name("descriptions.ko.toml").read_text(encoding="utf-8")
)


def translate(words: str, language: Language) -> str:
    """The English words in the language. Raises KeyError if they have no translation."""
    return words if language == "en" else KOREAN["words"][words]


def describe_setting(variable: str, description: str, language: Language) -> str:
    """What the page says about a setting, given its English description. Raises KeyError if it has no translation."""
    if language == "en":
        return description
    settings = KOREAN["settings"]
    common_name = variable.split("_", 1)[1]
    return settings[variable] if variable in settings else settings[common_name]
