"""The messages of the commands in Korean, under a Korean locale.

The catalogue of a package is its file `messages.ko.toml`: the lines of English messages, and the Korean lines. `{name}`
is a part that varies; a part that is a message itself is translated too.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib.resources import files

__all__ = ["is_korean", "read_catalogue", "translate_message"]

_PART = re.compile(r"\{(\w+)\}")


def is_korean(environment: Mapping[str, str]) -> bool:
    """Whether messages are in Korean: by LC_ALL, LC_MESSAGES or LANG, the first that is set (POSIX, chapter 8.2)."""
    locales = (environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next(filter(None, locales), "")
    return re.split(r"[_.@]", locale)[0] == "ko"


def translate_message(message: str, packages: Sequence[str], environment: Mapping[str, str]) -> str:
    """The message in the language of the locale. Lines that no catalogue of these packages has stay English."""
    if not is_korean(environment):
        return message
    patterns = [pattern for package in packages for pattern in _patterns(package)]
    return "\n".join(_translate_line(line, patterns) for line in message.split("\n"))


def read_catalogue(package: str) -> Mapping[str, str]:
    """The Korean lines of a package by the English ones."""
    return tomllib.loads(files(package).joinpath("messages.ko.toml").read_text(encoding="utf-8"))


@cache
def _patterns(package: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The lines of a package. Those with more text come first, as they match fewer messages."""
    catalogue = read_catalogue(package)
    longest_first = sorted(catalogue, key=lambda english: len(_PART.sub("", english)), reverse=True)
    return tuple((_pattern(english), catalogue[english]) for english in longest_first)


def _pattern(english: str) -> re.Pattern[str]:
    """Matches the line with any parts. Of adjacent parts, each is as short as possible."""
    texts_and_names = _PART.split(english)
    texts = map(re.escape, texts_and_names[::2])
    names = (f"(?P<{name}>.+?)" for name in texts_and_names[1::2])
    return re.compile("".join(piece for pair in zip(texts, [*names, ""], strict=True) for piece in pair))


def _translate_line(line: str, patterns: Sequence[tuple[re.Pattern[str], str]]) -> str:
    for pattern, korean in patterns:
        found = pattern.fullmatch(line)
        if found is not None:
            return _PART.sub(partial(_translated_part, found, patterns), korean)
    return line


def _translated_part(
    line: re.Match[str], patterns: Sequence[tuple[re.Pattern[str], str]], placeholder: re.Match[str]
) -> str:
    """The part of the line whose name is in the placeholder, translated if it is a message itself."""
    return _translate_line(line[placeholder[1]], patterns)
