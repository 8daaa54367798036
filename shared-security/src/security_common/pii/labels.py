"""Labels: the words that say what the value beside them is, from `data/labels.toml`.

The nearest label decides. A label that belongs to no person ("주문번호", "tracking no") is evidence against.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from security_common.pii.word_lists import table

__all__ = ["BANK", "OTHER", "Label", "Labels", "is_label"]

OTHER, BANK = "OTHER", "BANK"
_REACH_BEFORE, _REACH_AFTER = 28, 12
# What may stand between a label and its value: punctuation, a particle, a note in brackets.
_JOINT = re.compile(
    r"(?:번호|number|num|no|id|s)?\.?['\"\]]*(?:은|는|이|가|을|를|도|란|명)?\s*(?:\([^()\d]{1,15}\))?"
    r"[\s:=\-#'\"\[(<{|>,.~*`_/]*(?:is|was on|was|on)?\s*['\"(]?",
    re.IGNORECASE,
)
_PLAIN_JOINTS = frozenset({"", " ", ": ", ":", "=", " : ", '": "', '":"'})  # the usual ones, to be quick
# "order 12 4111…": what belongs to nobody has its number already.
_ITS_OWN = re.compile(r"\W{0,3}[0-9]{1,6}(?:[,\s]|[건개번호째]{1,2}\W)")
_BRACKET = re.compile(r"[(\[/]")
_JOINT_AFTER = re.compile(r"(?:으로|로|은|는|이|가|을|를)?[\s(\[/:,\-]{0,3}")


class Label(NamedTuple):
    """What a value is called; `called` is empty unless nothing but punctuation or a particle stands between."""

    name: str
    called: str = ""
    start: int = -1
    end: int = -1


_NONE = Label("")
_GROUP = 40
Trie = dict[str, Any]  # a dict of itself, which a type alias of 3.11 cannot say


def _pattern_of(words: Iterable[str]) -> str:
    """One expression that finds the longest word at a place.

    Words share their beginnings. A class of first characters skips most places, and groups of them keep the number of
    branches to try small: together a quarter of the time of a flat alternation.
    """
    trie: Trie = {}
    for word in words:
        node = trie
        for char in word:
            node = node.setdefault(char, {})
        node[""] = {}
    heads = sorted(trie)
    groups = [heads[index : index + _GROUP] for index in range(0, len(heads), _GROUP)]
    branches = "|".join(f"{_one_of(group)}(?:{_alternatives(trie, group)})" for group in groups)
    return f"{_one_of(heads)}(?:{branches})"


def _one_of(chars: Iterable[str]) -> str:
    return f"(?=[{''.join(map(re.escape, chars))}])"


def _alternatives(node: Trie, chars: Iterable[str]) -> str:
    return "|".join(("[ _-]?" if char == " " else re.escape(char)) + _expression(node[char]) for char in chars)


def _expression(node: Trie) -> str:
    chars = sorted(char for char in node if char)
    if not chars:
        return ""
    return f"(?:{_alternatives(node, chars)})" + ("?" if "" in node else "")


_UNSPACED = str.maketrans("", "", " _-")
_WORDS = {word: name for name, words in table("labels").items() for word in words}
_WORD = re.compile(_pattern_of(_WORDS))
_NAME_OF = _WORDS | {word.translate(_UNSPACED): name for word, name in _WORDS.items()}


def is_label(word: str) -> bool:
    """Whether a word is one of the labels itself, and so no value."""
    return word in _NAME_OF


def _labels_in(text: str, lowered: str) -> Iterator[Label]:
    """Labels in order, not overlapping."""
    position, length = 0, len(text)
    while match := _WORD.search(lowered, position):
        start, position = match.span()
        word = match.group()
        if word.isascii() and not _stands_alone(text, start, position, length):
            position = start + 1
            continue
        name = _NAME_OF.get(word) or _NAME_OF[word.translate(_UNSPACED)]
        yield Label(name, start=start, end=position)


def _stands_alone(text: str, start: int, end: int, length: int) -> bool:
    """An English word begins and ends at a word's edge; camelCase has edges inside."""
    if (
        start
        and text[start - 1].isascii()
        and text[start - 1].isalnum()
        and not (text[start].isupper() and text[start - 1].islower())
    ):
        return False
    if end < length and text[end].isascii() and text[end].isalpha():
        plural = text[end] == "s" and not (end + 1 < length and text[end + 1].isascii() and text[end + 1].isalpha())
        return plural or (text[end].isupper() and text[end - 1].islower())
    return True


class Labels:
    """The labels of one text, found when first asked for."""

    def __init__(self, text: str, lowered: str) -> None:
        self._text = text
        self._lowered = lowered
        self._found: list[Label] | None = None
        self._ends: list[int] = []

    def all(self) -> list[Label]:
        """Every label in the text, in order."""
        if self._found is None:
            self._found = list(_labels_in(self._text, self._lowered))
            self._ends = [label.end for label in self._found]
        return self._found

    def named(self, name: str) -> list[Label]:
        """Those of one name."""
        return [label for label in self.all() if label.name == name]

    def before(self, start: int) -> Label:
        """The nearest label that ends before `start`, or one without a name."""
        found = self.all()
        index = bisect_right(self._ends, start)
        if not index:
            return _NONE
        name, _, first, last = found[index - 1]
        gap = self._text[last:start]
        if len(gap) > _REACH_BEFORE or (name == OTHER and _ITS_OWN.match(gap)):
            return _NONE
        return Label(name, name if gap in _PLAIN_JOINTS or _JOINT.fullmatch(gap) else "", first, last)

    def after(self, end: int) -> Label:
        """The label that follows at once, as in `110-123-456789 (신한은행)`."""
        found = self.all()
        index = bisect_right(self._ends, end)
        if index == len(found) or not end <= found[index].start <= end + _REACH_AFTER:
            return _NONE
        name, _, first, last = found[index]
        joint = _JOINT_AFTER.fullmatch(self._text[end:first])
        # What follows without a bracket is the next field as often: 4111… 유효기간 11/28. It denies nothing.
        direct = joint is not None and (name != OTHER or _BRACKET.search(joint.group()) is not None)
        return Label(name, name if direct else "", first, last)
