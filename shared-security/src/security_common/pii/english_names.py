"""English and romanised names by rule: a title, a label, a greeting, or a common first name before a capital."""

import re
from collections.abc import Iterator
from unicodedata import normalize

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.reading import Reading, Rule
from security_common.pii.word_lists import any_of, table

__all__ = ["ENGLISH_NAMES"]

_DATA = table("english_names")
_FIRST, _LAST, _NOT_LAST = (frozenset(_DATA[key]) for key in ("first", "last", "not_last"))
_PLACES = _NOT_LAST - _LAST
_PLACE_HEADS = frozenset(_DATA["place_heads"])
_KOREAN_SURNAMES = frozenset(_DATA["surnames_korean"])
_SYLLABLES = any_of(word.strip("-") for word in _DATA["syllables_korean"])
_KOREAN_GIVEN = re.compile(rf"{_SYLLABLES}[- ]?{_SYLLABLES}", re.IGNORECASE)

_UPPER, _LOWER = r"[A-ZÀ-ÖØ-Þ\u0141\u015a\u017b\u017d\u010c\u0160]", r"[a-zß-öø-ÿ\u0101-\u017f]"
# The class stands first and the look-behind after it: so the engine skips to capitals at once.
_REST = (
    rf"(?:{_LOWER}{{1,14}}(?:{_UPPER}{_LOWER}{{1,10}})?|(?<=[A-Z])'{_UPPER}{_LOWER}{{2,12}}|(?<=[A-Z])[A-Z]{{1,14}})"
)
_TAIL = rf"{_REST}(?:[-']{_UPPER}{_REST}|-[a-z]{{2,6}})?"
_WORD = _UPPER + _TAIL
_PARTICLES = r"(?:(?:van|von|de|da|di|del|della|der|den|dos|la|le|bin|ibn|al|el|ter)[ ]){0,2}"
_SEQUENCE = re.compile(
    rf"{_UPPER}(?<![A-Za-z0-9_@./'\-].){_TAIL}(?:(?:[ ][A-Z]\.?)?,?[ ]{_PARTICLES}{_WORD}){{0,4}}"
    r"(?![A-Za-z0-9_@]|\.[a-z])"
)
_PART = re.compile(_WORD)
_TITLES = frozenset({"mr", "mrs", "ms", "miss", "mx", "dr", "prof", "professor", "sir", "madam"})
_GREETINGS = frozenset({"dear", "hi", "hello", "hey", "attn", "regards", "thanks", "sincerely", "cheers", "signed"})
_TITLE_BEFORE = ("Mr. ", "Mrs. ", "Ms. ", "Mx. ", "Dr. ", "Prof. ")
# What a name follows for certain, so that it need not be listed; what it often follows; what it does.
_STRONG_CUES, _CUES = tuple(_DATA["strong_cues"]), frozenset(_DATA["cues"])
_DOES = re.compile(rf"(?:'s)?[ ]{any_of(_DATA['does'])}(?![A-Za-z])|\s?(?:님|씨|고객|회원)")
_PART_OF_NAME = re.compile("first|last|given|family|surname")
_LABELLED = re.compile(
    r"(?:은|는)?[\"']?\s{0,2}(?:[:=|]|is\b|-\s)\s{0,2}+[\"']?"
    r"([A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'\-]{0,20}\.?(?:,?[ ][A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'\-]{0,20}\.?){0,3})"
    r"(?=[\"'\n\r,;|/)(<\]}\t]|[ ]{2}|\.(?:\s|$)|$|[ ][\-(|/]|[ ][a-z]{2,})"
)


def _find_english_names(reading: Reading) -> Iterator[Finding]:
    """Strong cues first in score: titles and labels, then introductions, then listed names."""
    text = reading.text
    yield from _labelled(reading)
    for match in _SEQUENCE.finditer(text):
        start = match.start()
        before = text[max(0, start - 16) : start]
        said = before.rstrip().lower()
        strong = said.endswith(_STRONG_CUES)
        cue, titled = said.rpartition(" ")[2] in _CUES, before.endswith(_TITLE_BEFORE)
        cue = cue or strong or _DOES.match(text, match.end()) is not None
        if not (cue or titled or " " in match.group()):
            continue
        words = [(start + word.start(), word.group()) for word in _PART.finditer(match.group())]
        while words and words[0][1].lower() in _GREETINGS:
            words, cue = words[1:], True
        if words and words[0][1].lower() in _TITLES:
            words, titled = words[1:], True
        if not words:
            continue
        if titled:
            yield _candidate(_until_comma(text, words[:3]), 0.9, "title")
            continue
        if len(words) > 1 and reading.called(words[1][0]) == "PERSON":
            words, strong = words[1:], True
        strong = strong or reading.called(words[0][0]) == "PERSON"
        yield from _judge_words(text, words, cue=cue or strong, strong=strong)


def _judge_words(text: str, words: list[tuple[int, str]], *, cue: bool, strong: bool) -> Iterator[Finding]:
    """One name in a sequence of capitalised words, from the first listed name on; a strong cue needs no list."""
    score, why = (0.8, "introduced") if cue else (0.75, "listed")
    for index in range(len(words)):
        if index and words[index - 1][1] in _PLACE_HEADS:
            continue
        rest = _until_comma(text, words[index : index + 3])
        size = _length_of_name([_plain(word) for _, word in rest])
        if size >= 2 or (size == 1 and cue and index == 0):
            yield _candidate(rest[:size], score, why)
            return
    rest = _until_comma(text, words[:3])
    lowered = [_plain(word) for _, word in rest]
    if cue and len(rest) > 1 and (strong or lowered[1] in _LAST) and _PLACES.isdisjoint(lowered):
        yield _candidate(rest if strong else rest[:2], score, why)


def _until_comma(text: str, words: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """A comma ends a name, save between a listed last name and a first one."""
    for index, (start, word) in enumerate(words[:-1]):
        if text.startswith(",", start + len(word)):
            turned = index == 0 and _plain(word) in _LAST and _plain(words[1][1]) in _FIRST
            return words[:2] if turned else words[: index + 1]
    return words


def _plain(word: str) -> str:
    """Lower case without accents, as in the lists."""
    if not word.isascii():
        word = "".join(char for char in normalize("NFD", word) if char.isalpha()).replace("ł", "l")
    return word.lower()


def _candidate(words: list[tuple[int, str]], score: float, why: str) -> Finding:
    start, last = words[0][0], words[-1]
    return Finding(PIIKind.PERSON, start, last[0] + len(last[1]), score, why)


def _length_of_name(words: list[str]) -> int:
    """How many of these words are a name: 0 when the first is none."""
    for size in (3, 2):
        if len(words) >= size and _is_romanised(words[:size]):
            return size
    head = words[0].partition("-")[0]
    if head in _FIRST:
        if len(words) > 1 and (words[1] in _PLACES or (len(words) > 2 and words[2] in _NOT_LAST)):
            return 0
        return 3 if len(words) > 2 and words[2] in _LAST else min(2, len(words))
    return 2 if len(words) > 1 and words[0] in _LAST and words[1] in _FIRST else 0


def _labelled(reading: Reading) -> Iterator[Finding]:
    for label in reading.labels.named("PERSON"):
        match = _LABELLED.match(reading.text, label.end)
        part = _PART_OF_NAME.match(reading.lowered, label.start) is not None
        if match is not None and _may_be_name(match.group(1), part=part):
            yield Finding(PIIKind.PERSON, *match.span(1), 0.87, "label")


def _may_be_name(written: str, *, part: bool) -> bool:
    """A listed name, or capitalised words: more than one, unless the label asks for a `part` of a name."""
    words = [_plain(word) for word in written.replace(",", " ").split()]
    if any(word in _PLACES for word in words):
        return False
    known = words[0] in _FIRST or words[-1] in _LAST or _is_romanised(words)
    return known or ((part or len(words) > 1) and all(word[0].isupper() for word in written.split()))


def _is_romanised(words: list[str]) -> bool:
    """Kim Min-su, Minsu Kim, HONG GILDONG, Hong Gil Dong; in lower case here."""
    if words[0] in _KOREAN_SURNAMES and _KOREAN_GIVEN.fullmatch(" ".join(words[1:])):
        return True
    return words[-1] in _KOREAN_SURNAMES and _KOREAN_GIVEN.fullmatch(" ".join(words[:-1])) is not None


ENGLISH_NAMES = Rule(
    r"[A-ZÀ-ÞŁ-Ž][A-Za-zÀ-ž'.\-]+,? [A-ZÀ-ÞŁ-Ž]"
    # Of labels only those of people: nearly every argument of a tool has a name and a colon.
    rf"|(?i:{any_of(table('labels')['PERSON'])})s?(?:은|는)?[\"']?\s{{0,2}}(?:[:=|]|is|-)\s{{0,2}}[\"']?[A-Za-z]"
    r"|(?i:dear|hi|hey|hello|i'm|i am|is|regards|thanks)\W|[a-z]\s?(?:님|씨|고객|회원)",
    _find_english_names,
)
