"""Reads the word lists in `data/` and builds regular expressions that match any word of a list."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "WordEndings",
    "any_syllable_pair",
    "any_word",
    "any_word_without_look_around",
    "longest_word",
    "read_lists",
    "read_rows",
    "read_tables",
]

_DATA = Path(__file__).with_name("data")
_BRANCH_SIZE = 40
_Trie = dict[str, Any]  # character -> subtrie; the key "" marks the end of a word


class WordEndings:
    """Endings of words, such as 은행. An expression for hundreds of endings is slow: it tries each at every place."""

    def __init__(self, endings: Iterable[str]) -> None:
        self._endings = frozenset(endings)
        self._lengths = sorted({len(ending) for ending in self._endings})

    def match(self, word: str) -> bool:
        """Whether the word has one of the endings, or is one."""
        endings = self._endings
        for length in self._lengths:  # noqa: SIM110 - twice as fast as `any`
            if word[-length:] in endings:
                return True
        return False


@cache
def read_lists(name: str) -> Mapping[str, list[str]]:
    """The lists of `data/<name>.toml`, shared by all modules that read them.

    A list is a TOML array or a string of words separated by spaces.
    """
    entries = tomllib.loads(_DATA.joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    return {key: words.split() if isinstance(words, str) else words for key, words in entries.items()}


@cache
def read_tables(name: str) -> Mapping[str, dict[str, list[str]]]:
    """The tables of `data/<name>.toml`, each with its lists. A list is a string of words separated by spaces."""
    entries = tomllib.loads(_DATA.joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    return {table: {key: words.split() for key, words in lists.items()} for table, lists in entries.items()}


def read_rows(name: str) -> list[str]:
    """The lines of `data/<name>.txt` without comment lines."""
    lines = _DATA.joinpath(f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def any_word(words: Iterable[str]) -> str:
    """A regular expression for any of these words. Longer words are tried first."""
    return f"(?:{'|'.join(sorted(set(words), key=lambda word: (-len(word), word)))})"


def longest_word(words: Iterable[str]) -> str:
    """A regular expression for the longest of these words at a place, fast for lists of hundreds of words.

    A space in a word also matches `_`, `-` or nothing. Words with the same beginning share it (a trie), and the first
    characters are tried in groups of 40, each behind a look-ahead for its characters. This takes a quarter of the time
    of a flat alternation.
    """
    trie = _trie_of(words)
    first_chars = sorted(trie)
    branches: list[str] = []
    for index in range(0, len(first_chars), _BRANCH_SIZE):
        group = first_chars[index : index + _BRANCH_SIZE]
        branches.append(f"{_look_ahead(group)}(?:{_alternatives(trie, group)})")
    return f"{_look_ahead(first_chars)}(?:{'|'.join(branches)})"


def any_word_without_look_around(words: Iterable[str]) -> str:
    """A regular expression for any of these words for RE2, which has no look-ahead."""
    trie = _trie_of(words)
    return f"(?:{_alternatives(trie, sorted(trie))})"


def any_syllable_pair(words: Iterable[str]) -> str:
    """A short expression that matches every word of two syllables, and other pairs of the same syllables."""
    pairs = [word for word in words if len(word) == 2]
    first, last = ("".join(sorted({pair[index] for pair in pairs})) for index in (0, 1))
    return f"[{first}][{last}]"


def _trie_of(words: Iterable[str]) -> _Trie:
    trie: _Trie = {}
    for word in words:
        node = trie
        for char in word:
            node = node.setdefault(char, {})
        node[""] = {}
    return trie


def _look_ahead(chars: Iterable[str]) -> str:
    return f"(?=[{''.join(map(re.escape, chars))}])"


def _alternatives(node: _Trie, chars: Iterable[str]) -> str:
    return "|".join(("[ _-]?" if char == " " else re.escape(char)) + _rest_of_words(node[char]) for char in chars)


def _rest_of_words(node: _Trie) -> str:
    chars = sorted(char for char in node if char)
    if not chars:
        return ""
    rest = f"(?:{_alternatives(node, chars)})"
    ends_here = "" in node
    return f"{rest}?" if ends_here else rest
