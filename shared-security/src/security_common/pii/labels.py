"""Labels: words such as `전화번호` or `phone no` that say what the value beside them is, from `data/labels.toml`.

The nearest label decides. A label for a value that belongs to no person (`주문번호`, `tracking no`) is evidence against
a finding.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from datetime import date
from functools import cached_property
from typing import NamedTuple

from security_common.pii.field_names import meaning_of_name
from security_common.pii.normalization import normalize
from security_common.pii.value_surroundings import name_before
from security_common.pii.word_lists import any_word_without_look_around, longest_word, read_lists

__all__ = ["BANK", "OTHER", "Label", "LabelledText", "Labels", "any_label", "is_label", "label_at_end"]

OTHER = "OTHER"
"""The kind of labels for values that belong to no person."""
BANK = "BANK"
"""The kind of bank names, beside which a number is an account."""

_MAX_CHARS_AFTER_LABEL = 28
_MAX_CHARS_BEFORE_LABEL = 12
# The text between a label and its value: a suffix, a particle, a note in brackets, punctuation, a verb.
_CONNECTOR = re.compile(
    r"(?:[ _]?(?:번호|number|num|no|id)|s)?\.?"
    r"['\"\]]*"
    r"(?:은|는|이|가|을|를|도|란|명|为|為|是|は|が)?\s*"
    r"(?:\([^()\d]{1,15}\))?"
    r"[\s:=\-#'\"\[(<{|>,.~*`_/]*"
    r"(?:is|was on|was|on|es|è|est|ist|lautet)?\s*"
    r"['\"(]?",
    re.IGNORECASE,
)
_USUAL_CONNECTORS = frozenset(
    {"", " ", ": ", ":", "=", " : ", '": ', '":"'}
)  # checked before the expression, for speed
# "order 12 4111…": the label OTHER already has its own number, so it says nothing about the next one.
_NUMBER_OF_OTHER = re.compile(r"\W{0,3}[0-9]{1,6}(?:[,\s]|[건개번호째]{1,2}\W)")
_OPENING = re.compile(r"[(\[/]")
_CONNECTOR_AFTER_VALUE = re.compile(r"(?:으로|로|은|는|이|가|을|를)?[\s(\[/:,\-]{0,3}")


class Label(NamedTuple):
    """A label and its place.

    `kind` is the name of its list in labels.toml: a PIIKind, NATIONAL_ID_ with a country, `OTHER` or `BANK`; it is
    empty for "no label".
    `adjacent_kind` is the same if nothing but a connector is between label and value, otherwise empty. Connectors are
    punctuation, particles (`는`), suffixes (`번호`), notes in brackets and verbs (`is`).
    """

    kind: str
    adjacent_kind: str = ""
    start: int = -1
    end: int = -1


_Place = tuple[str, int, int]
"""The kind of a label, its start and its end."""

# A number or code in front of such a label does not belong to it.
_KINDS_OF_TEXT = frozenset({"PERSON", "ADDRESS", "EMAIL"})
_GENERAL_NAMES = frozenset({"code", "id", "key", "ref"})
_QUOTES = frozenset({"'", '"'})
_NO_LABEL = Label("")
_WITHOUT_SEPARATORS = str.maketrans("", "", " _-")
# The labels are compared with normalized text, which has no combining characters, for example.
_KIND_OF_WORD = {normalize(word).text: kind for kind, words in read_lists("labels").items() for word in words}
_WORD = re.compile(longest_word(_KIND_OF_WORD))
# A label of ASCII letters must begin at a word boundary. In a text without camelCase the expression itself can require
# this, which halves the time. A label such as `e메일` may begin inside a word; it is tried first, because it is longer
# than an ASCII label at the same position.
_WORD_WITHOUT_CAMEL_CASE = re.compile(
    f"{longest_word(word for word in _KIND_OF_WORD if not word.isascii())}"
    f"|(?<![a-z0-9]){longest_word(filter(str.isascii, _KIND_OF_WORD))}"
)
_CAMEL_CASE = re.compile("[A-Z](?<=[a-z].)")  # the capital first, so that the engine skips to capitals
# phone_number, phone-number and phonenumber are all looked up as "phonenumber".
_KIND_OF_SPELLING = _KIND_OF_WORD | {word.translate(_WITHOUT_SEPARATORS): kind for word, kind in _KIND_OF_WORD.items()}


def is_label(word: str) -> bool:
    """Whether a word is itself a label, and therefore not a value."""
    return word in _KIND_OF_SPELLING


def any_label(kind: str) -> str:
    """An expression without look-around that matches where a text has a label of a kind: a part of gates."""
    words = [
        word
        for word, kind_of_word in _KIND_OF_WORD.items()
        if kind in {kind_of_word, _KIND_OF_SPELLING[word.translate(_WITHOUT_SEPARATORS)]}
    ]
    return f"(?i:{any_word_without_look_around(words)})"


def _in_lower_case(text: str) -> str:
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    # a few capitals, such as İ, become two characters: those stay as they are
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)


def label_at_end(name: str) -> str:
    """The kind of the label with which a name ends, or an empty string: OTHER for `build_version`."""
    lowered = name.lower()
    found = _find_labels(name, lowered) if len(lowered) == len(name) else []
    return found[-1][0] if found and found[-1][2] == len(name) else ""


def _find_labels(text: str, lowered: str) -> list[_Place]:
    """The labels of a text in order, not overlapping."""
    found: list[_Place] = []
    search = (_WORD if _CAMEL_CASE.search(text) else _WORD_WITHOUT_CAMEL_CASE).search
    match = search(lowered)
    while match is not None:
        start, end = match.span()
        word = match.group()
        if word.isascii() and not _is_whole_word(text, start, end):
            match = search(lowered, start + 1)
            continue
        kind = _KIND_OF_SPELLING.get(word) or _KIND_OF_SPELLING[word.translate(_WITHOUT_SEPARATORS)]
        found.append((kind, start, end))
        match = search(lowered, end)
    return found


def _is_whole_word(text: str, start: int, end: int) -> bool:
    """Whether an English label begins and ends at a word boundary.

    A capital in camelCase begins a word, and a plural s may follow.
    """
    before, after = text[start - 1 : start], text[end : end + 1]
    if before.isascii() and before.isalnum() and not (before.islower() and text[start].isupper()):
        return False
    if not (after.isascii() and after.isalpha()):
        return True
    if after == "s":
        following = text[end + 1 : end + 2]
        return not (following.isascii() and following.isalpha())
    return after.isupper() and text[end - 1].islower()


class Labels:
    """The labels of one text."""

    def __init__(self, text: str, lowered: str) -> None:
        self._text = text
        self._found = _find_labels(text, lowered)
        self._ends = [end for _, _, end in self._found]

    def of_kind(self, kind: str) -> list[Label]:
        """The labels of one kind, in order."""
        return [Label(kind, start=start, end=end) for found_kind, start, end in self._found if found_kind == kind]

    def before(self, start: int) -> Label:
        """The nearest label that ends at or before `start`; without kind if there is none within reach.

        If a label is only a part of a field name, the whole name decides: the value of `account_id` is not an account
        number. A general name in a sentence does not decide: in `통관 조회 code=P123456789012`, the label is 통관.
        """
        index = bisect_right(self._ends, start)
        label = self._label_before(index - 1, start) if index else _NO_LABEL
        place = name_before(self._text, start)
        if place is None or (label.adjacent_kind and label.start < place[0]):
            return label
        name = self._text[slice(*place)]
        if label.kind and name.lower() in _GENERAL_NAMES and self._text[place[0] - 1 : place[0]] not in _QUOTES:
            return label
        kind = meaning_of_name(name).kind
        return Label(kind, kind, *place) if kind else label

    def _label_before(self, index: int, start: int) -> Label:
        """The label with an index of `_found`, as that of the value at `start`, if it is within reach."""
        kind, label_start, label_end = self._found[index]
        between = self._text[label_end:start]
        if len(between) > _MAX_CHARS_AFTER_LABEL or (kind == OTHER and _NUMBER_OF_OTHER.match(between)):
            return _NO_LABEL
        adjacent = between in _USUAL_CONNECTORS or _CONNECTOR.fullmatch(between) is not None
        return Label(kind, kind if adjacent else "", label_start, label_end)

    def after(self, end: int) -> Label:
        """The label that follows a value, as in `110-123-456789 (신한은행)`."""
        found = self._found
        index = bisect_right(self._ends, end)
        if index == len(found):
            return _NO_LABEL
        kind, label_start, label_end = found[index]
        if not end <= label_start <= end + _MAX_CHARS_BEFORE_LABEL:
            return _NO_LABEL
        connector = _CONNECTOR_AFTER_VALUE.fullmatch(self._text[end:label_start])
        # Without a bracket, a label after the value is often that of the next field: "4111… 유효기간 11/28". A label
        # of kind OTHER counts as evidence against a finding only with a bracket.
        adjacent = connector is not None and (kind != OTHER or _OPENING.search(connector.group()) is not None)
        return Label(kind, kind if adjacent else "", label_start, label_end)


class LabelledText:
    """What every rule gets: a normalized text, the same in lower case, its labels, and the date of the scan.

    `text` and `lowered` have the same length, so a place in one is the same place in the other. Dates after `today`
    are not dates of birth. All but `text` is prepared at the first use.
    """

    def __init__(self, text: str, read_today: Callable[[], date]) -> None:
        self.text = text
        self._read_today = read_today

    @cached_property
    def lowered(self) -> str:
        return _in_lower_case(self.text)

    @cached_property
    def labels(self) -> Labels:
        return Labels(self.text, self.lowered)

    @cached_property
    def today(self) -> date:
        return self._read_today()

    def adjacent_label_kind(self, start: int) -> str:
        """The kind of the label directly before a value, or an empty string."""
        return self.labels.before(start).adjacent_kind

    def label_of(self, start: int, end: int) -> Label:
        """The label of a value.

        An adjacent label before it, unless that is for a text (`_KINDS_OF_TEXT`); otherwise an adjacent label after it,
        unless that is for a text and there is a label before; otherwise the nearest before it.
        """
        before = self.labels.before(start)
        if before.adjacent_kind and before.kind not in _KINDS_OF_TEXT:
            return before
        after = self.labels.after(end)
        names_next_value = before.kind and after.kind in _KINDS_OF_TEXT  # "통관 code P123456789012, 주소 서울"
        return after if after.adjacent_kind and not names_next_value else before
