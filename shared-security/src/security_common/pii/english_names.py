"""English and romanised names: after a title, a label or a greeting, or a common first name before a capital."""

import re
from collections.abc import Iterator
from unicodedata import normalize

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_word, read_lists

__all__ = ["ENGLISH_NAMES"]

_LISTS = read_lists("english_names")
_FIRST_NAMES = frozenset(_LISTS["first"])
_LAST_NAMES = frozenset(_LISTS["last"])
_NOT_LAST_NAMES = frozenset(_LISTS["not_last"])
_ORDINARY_WORDS = _NOT_LAST_NAMES - _LAST_NAMES
_PLACE_PREFIXES = frozenset(_LISTS["place_heads"])
_KOREAN_SURNAMES = frozenset(_LISTS["surnames_korean"])
_KOREAN_SYLLABLE = any_word(word.strip("-") for word in _LISTS["syllables_korean"])
_KOREAN_GIVEN_NAME = re.compile(rf"{_KOREAN_SYLLABLE}[- ]?{_KOREAN_SYLLABLE}", re.IGNORECASE)

_UPPER, _LOWER = r"[A-ZÀ-ÖØ-Þ\u0141\u015a\u017b\u017d\u010c\u0160]", r"[a-zß-öø-ÿ\u0101-\u017f]"
# What follows the first capital: `arah` or `cDonald`, `'Connor` after O, `MITH`.
_REST_OF_PART = (
    rf"(?:{_LOWER}{{1,14}}(?:{_UPPER}{_LOWER}{{1,10}})?|(?<=[A-Z])'{_UPPER}{_LOWER}{{2,12}}|(?<=[A-Z])[A-Z]{{1,14}})"
)
# With a second part: Smith-Jones, Gil-dong.
_REST_OF_WORD = rf"{_REST_OF_PART}(?:[-']{_UPPER}{_REST_OF_PART}|-[a-z]{{2,6}})?"
_WORD = _UPPER + _REST_OF_WORD
_PARTICLES = r"(?:(?:van|von|de|da|di|del|della|der|den|dos|la|le|bin|ibn|al|el|ter)[ ]){0,2}"
# One to five capitalised words. The capital comes first and the look-behind after it, so that the engine skips to
# capitals quickly.
_CAPITALISED_WORDS = re.compile(
    rf"{_UPPER}(?<![A-Za-z0-9_@./'\-].){_REST_OF_WORD}"
    rf"(?:(?:[ ][A-Z]\.?)?,?[ ]{_PARTICLES}{_WORD}){{0,4}}"
    r"(?![A-Za-z0-9_@]|\.[a-z])"
)
_CAPITALISED_WORD = re.compile(_WORD)
_TITLES = frozenset({"mr", "mrs", "ms", "miss", "mx", "dr", "prof", "professor", "sir", "madam"})
_GREETINGS = frozenset({"dear", "hi", "hello", "hey", "attn", "regards", "thanks", "sincerely", "cheers", "signed"})
_TITLES_BEFORE = ("Mr. ", "Mrs. ", "Ms. ", "Mx. ", "Dr. ", "Prof. ")
_STRONG_CUES, _CUES = tuple(_LISTS["strong_cues"]), frozenset(_LISTS["cues"])
_LONGEST_CUE = 16
_CUE_AFTER = re.compile(rf"(?:'s)?[ ]{any_word(_LISTS['does'])}(?![A-Za-z])|\s?(?:님|씨|고객|회원)")
_LABEL_FOR_PART_OF_NAME = re.compile("first|last|given|family|surname")
_LABELLED_NAME = re.compile(
    r"(?:은|는)?[\"']?\s{0,2}(?:[:=|]|is\b|-\s)\s{0,2}+[\"']?"
    # one to four words
    r"([A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'\-]{0,20}\.?(?:,?[ ][A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'\-]{0,20}\.?){0,3})"
    # the end of the field, or a word in lower case
    r"(?=[\"'\n\r,;|/)(<\]}\t]|[ ]{2}|\.(?:\s|$)|$|[ ][\-(|/]|[ ][a-z]{2,})"
)

_Words = list[tuple[int, str]]
"""Start and text of each word."""


def _find_english_names(source: LabelledText) -> Iterator[Finding]:
    yield from _find_after_labels(source)
    for match in _CAPITALISED_WORDS.finditer(source.text):
        yield from _find_in_capitalised_words(source, match)


def _find_in_capitalised_words(source: LabelledText, match: re.Match[str]) -> Iterator[Finding]:
    """At most one name. Titles score highest, then introductions (cues), then listed names."""
    text, start = source.text, match.start()
    before = text[max(0, start - _LONGEST_CUE) : start]
    words_before = before.rstrip().lower()
    has_title = before.endswith(_TITLES_BEFORE)
    has_strong_cue = words_before.endswith(_STRONG_CUES)
    has_cue = (
        has_strong_cue or words_before.rpartition(" ")[2] in _CUES or _CUE_AFTER.match(text, match.end()) is not None
    )
    is_single_word = " " not in match.group()
    if is_single_word and not has_cue and not has_title:
        return
    words = [(start + word.start(), word.group()) for word in _CAPITALISED_WORD.finditer(match.group())]
    while words and words[0][1].lower() in _GREETINGS:
        words, has_cue = words[1:], True
    if words and words[0][1].lower() in _TITLES:
        words, has_title = words[1:], True
    if not words:
        return
    if has_title:
        yield _finding(_until_comma(text, words[:3]), 0.9, "title")
        return
    if len(words) > 1 and source.adjacent_label(words[1][0]) == "PERSON":
        words, has_strong_cue = words[1:], True  # the first word is the label
    has_strong_cue = has_strong_cue or source.adjacent_label(words[0][0]) == "PERSON"
    yield from _find_listed_or_introduced(text, words, has_cue=has_cue or has_strong_cue, has_strong_cue=has_strong_cue)


def _find_listed_or_introduced(text: str, words: _Words, *, has_cue: bool, has_strong_cue: bool) -> Iterator[Finding]:
    """The name that begins with the first listed name. After a strong cue the name need not be listed."""
    score, why = (0.8, "introduced") if has_cue else (0.75, "listed")
    for index in range(len(words)):
        if index and words[index - 1][1] in _PLACE_PREFIXES:
            continue
        rest = _until_comma(text, words[index : index + 3])
        length = _words_in_name([_in_list_form(word) for _, word in rest])
        if length >= 2 or (length == 1 and has_cue and index == 0):
            yield _finding(rest[:length], score, why)
            return
    rest = _until_comma(text, words[:3])
    in_list_form = [_in_list_form(word) for _, word in rest]
    if not has_cue or len(rest) < 2 or not _ORDINARY_WORDS.isdisjoint(in_list_form):
        return
    if has_strong_cue:
        yield _finding(rest, score, why)
    elif in_list_form[1] in _LAST_NAMES:
        yield _finding(rest[:2], score, why)


def _until_comma(text: str, words: _Words) -> _Words:
    """The words before the first comma, which ends a name unless it is written as "Last, First"."""
    for index, (start, word) in enumerate(words[:-1]):
        if text.startswith(",", start + len(word)):
            is_last_then_first = (
                index == 0 and _in_list_form(word) in _LAST_NAMES and _in_list_form(words[1][1]) in _FIRST_NAMES
            )
            return words[:2] if is_last_then_first else words[: index + 1]
    return words


def _in_list_form(word: str) -> str:
    """Lower case without accents, as names are written in the lists."""
    if not word.isascii():
        word = "".join(char for char in normalize("NFD", word) if char.isalpha()).replace("ł", "l")
    return word.lower()


def _finding(words: _Words, score: float, why: str) -> Finding:
    first_start, (last_start, last_word) = words[0][0], words[-1]
    return Finding(PIIKind.PERSON, first_start, last_start + len(last_word), score, why)


def _words_in_name(words: list[str]) -> int:
    """How many of these words form a name that begins with the first one; 0 if they do not."""
    for length in (3, 2):
        if len(words) >= length and _is_romanised_korean(words[:length]):
            return length
    count = len(words)
    if words[0].partition("-")[0] in _FIRST_NAMES:
        second_is_ordinary = count > 1 and words[1] in _ORDINARY_WORDS
        third_is_no_name = count > 2 and words[2] in _NOT_LAST_NAMES
        if second_is_ordinary or third_is_no_name:
            return 0
        return 3 if count > 2 and words[2] in _LAST_NAMES else min(2, count)
    return 2 if count > 1 and words[0] in _LAST_NAMES and words[1] in _FIRST_NAMES else 0


def _find_after_labels(source: LabelledText) -> Iterator[Finding]:
    for label in source.labels.of_kind("PERSON"):
        match = _LABELLED_NAME.match(source.text, label.end)
        is_part_of_name = _LABEL_FOR_PART_OF_NAME.match(source.lowered, label.start) is not None
        if match is not None and _may_be_name(match.group(1), is_part_of_name=is_part_of_name):
            yield Finding(PIIKind.PERSON, *match.span(1), 0.87, "label")


def _may_be_name(written: str, *, is_part_of_name: bool) -> bool:
    """A listed name, or at least two capitalised words; one is enough after a label such as `first name`."""
    words = [_in_list_form(word) for word in written.replace(",", " ").split()]
    if any(word in _ORDINARY_WORDS for word in words):
        return False
    if words[0] in _FIRST_NAMES or words[-1] in _LAST_NAMES or _is_romanised_korean(words):
        return True
    return (is_part_of_name or len(words) > 1) and all(word[0].isupper() for word in written.split())


def _is_romanised_korean(words: list[str]) -> bool:
    """Kim Min-su, Minsu Kim, Hong Gil Dong; given here in lower case."""
    if words[0] in _KOREAN_SURNAMES and _KOREAN_GIVEN_NAME.fullmatch(" ".join(words[1:])):
        return True
    return words[-1] in _KOREAN_SURNAMES and _KOREAN_GIVEN_NAME.fullmatch(" ".join(words[:-1])) is not None


ENGLISH_NAMES = Rule(
    # two capitalised words
    r"[A-ZÀ-ÞŁ-Ž][A-Za-zÀ-ž'.\-]+,? [A-ZÀ-ÞŁ-Ž]"
    # a label for persons, not any label: nearly every argument of a tool has a name and a colon
    rf"|(?i:{any_word(read_lists('labels')['PERSON'])})s?(?:은|는)?[\"']?\s{{0,2}}(?:[:=|]|is|-)\s{{0,2}}[\"']?[A-Za-z]"
    # a greeting or introduction, a Korean honorific
    r"|(?i:dear|hi|hey|hello|i'm|i am|is|regards|thanks)\W|[a-z]\s?(?:님|씨|고객|회원)",
    _find_english_names,
)
