"""Korean names by rule: a surname and given syllables that a title, a label, a neighbour or common use vouches for.

"담당자 홍길동 과장(010-…)"   surname 홍 + given 길동, label 담당자, title 과장, a number beside it
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from security_common.pii.finding import PIIKind
from security_common.pii.reading import Candidate, Reading, Rule

__all__ = ["KOREAN_NAMES"]


def _words(value: str | list[str]) -> frozenset[str]:
    return frozenset(value.split() if isinstance(value, str) else value)


def _any_of(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


with Path(__file__).with_name("data").joinpath("korean_names.toml").open("rb") as file:
    _DATA = tomllib.load(file)

_SURNAMES, _DOUBLE_SURNAMES = frozenset(_DATA["surnames"]), _words(_DATA["double_surnames"])
_FIRST, _LAST, _SINGLE = map(frozenset, (_DATA["first_syllables"], _DATA["last_syllables"], _DATA["single_given"]))
_GIVEN, _NOT_NAMES = _words(_DATA["given_names"]), _words(_DATA["not_names"])

# Words whose syllables could be a name: the classes drop most others at the speed of the expression.
_WORD = re.compile(
    rf"(?<![가-힣])(?:(?:{_any_of(_DOUBLE_SURNAMES)})|[{_DATA['surnames']}](?=[{_DATA['first_syllables']}]"
    rf"[{_DATA['last_syllables']}]|[{_DATA['single_given']}](?![가-힣])|[{_DATA['single_given']}][님씨]))[가-힣]{{1,11}}"
)
_SPACED = re.compile(rf"[{_DATA['surnames']}][ ][가-힣][ ][가-힣](?![가-힣])")
_GIVEN_WORD = re.compile(r"(?<![가-힣])([가-힣]{2})(?=\s?(?:씨|님)(?![가-힣]{3}))")
_LABEL_GAP = re.compile(r"(?:\([^()]{1,6}\))?\s{0,2}[:=|]\s{0,2}")
_HONORIFIC = re.compile(rf"[ \t]?(?:{_any_of(_DATA['honorifics'])})(?![가-힣]{{4}})")
_TITLE = re.compile(rf"[ \t]?(?:{_any_of(_DATA['titles'])})")
_PARTICLE = re.compile(
    r"(?:이|가|은|는|을|를|의|에게서?|한테서?|께서?는?|와|과|이랑|랑|하고|도|만|에|로|으로|부터|까지|처럼|보다|마저|조차)?"
    r"(?:입니다|이에요|예요|이예요|이고요?|이며|이라고|라고|이야|야|아|이다|다|인데요?|였|이었|이네요?|네요?|이죠|죠|이라는|라는|이라서|인가요|이신|께|씨|님|요|이지만|이라)?[가-힣]{0,2}"
)
_SAYS_NAME = re.compile(r"(?:이라고|라고|입니다|이에요|예요|이예요|이야|이라|인데)")
_NEIGHBOUR = re.compile(r"[\s,(/|:;\-\[<·\t]{1,4}(?:\+?[0-9][0-9\-. ]{5}|[A-Za-z0-9._%+\-]{2,40}@|[MSROD][0-9]{3})")
_NUMBER_BEFORE = re.compile(r"(?:[0-9]{4}|\.[a-z]{2,4})[\s,)/|:;\-\]>]{1,4}$")
_PARTICLE_SYLLABLES = frozenset("은는이가을를의에도로와과만")


@dataclass(frozen=True, slots=True)
class _Name:
    """A stretch that could be a name, and the rest of its word."""

    reading: Reading
    start: int
    surname: str
    given: str
    rest: str

    @property
    def whole(self) -> str:
        return self.surname + self.given

    @property
    def end(self) -> int:
        return self.start + len(self.whole)

    @property
    def common(self) -> bool:
        return self.given in _GIVEN

    @property
    def plausible(self) -> bool:
        if len(self.given) == 1:
            return self.given in _SINGLE
        return self.given[0] in _FIRST and self.given[-1] in _LAST

    @property
    def denied(self) -> bool:
        """An ordinary word, or one with a particle."""
        if self.whole in _NOT_NAMES:
            return True
        return not self.common and self.whole[:2] in _NOT_NAMES and self.whole[2:3] in _PARTICLE_SYLLABLES

    @property
    def stands_alone(self) -> bool:
        return not self.rest or _PARTICLE.fullmatch(self.rest) is not None

    def followed_by(self, pattern: re.Pattern[str]) -> bool:
        return pattern.match(self.reading.text, self.end) is not None


def _find_korean_names(reading: Reading) -> Iterator[Candidate]:
    """At most one name a word, the longest that something vouches for."""
    text = reading.text
    for match in _WORD.finditer(text):
        yield from _judge_word(reading, match.start(), match.group())
    if not text.isascii():
        for label in reading.labels.all():
            if label.name != "PERSON":
                continue
            if text[label.end : label.end + 1] in _SURNAMES:
                yield from _judge_word(reading, label.end, text[label.end : label.end + 8].split(" ")[0])
            gap = _LABEL_GAP.match(text, label.end)
            if gap is not None and (spaced := _SPACED.match(text, gap.end())):
                yield Candidate(PIIKind.PERSON, spaced.start(), spaced.end(), 0.85, "label")
    if "씨" in text or "님" in text:
        for match in _GIVEN_WORD.finditer(text):
            if match.group() in _GIVEN and match.group() not in _NOT_NAMES:
                yield Candidate(PIIKind.PERSON, match.start(), match.end(), 0.6, "given-name")


def _judge_word(reading: Reading, start: int, word: str) -> Iterator[Candidate]:
    sizes = (4, 3, 2) if word[:2] in _DOUBLE_SURNAMES else (3, 2)
    for size in sizes:
        if len(word) < size:
            continue
        surname = word[:2] if size == 4 or (size == 3 and word[:2] in _DOUBLE_SURNAMES) else word[:1]
        name = _Name(reading, start, surname, word[len(surname) : size], word[size:])
        if name.denied or name.surname not in (_DOUBLE_SURNAMES if len(surname) == 2 else _SURNAMES):
            continue
        if verdict := (_judge_short(name) if len(name.given) == 1 else _judge_full(name)):
            score, why = verdict
            yield Candidate(PIIKind.PERSON, name.start, name.end, score, why)
            return


def _label_vouches(name: _Name) -> bool:
    label = name.reading.labels.before(name.start)
    return label is not None and label.direct and label.name == "PERSON"


def _judge_full(name: _Name) -> tuple[float, str] | None:
    """A surname with two syllables."""
    known = name.common or name.plausible
    if name.followed_by(_HONORIFIC) and known:
        return 0.9, "honorific"
    if not name.stands_alone and not name.followed_by(_TITLE):
        return None
    if known and _label_vouches(name):
        return 0.88, "label"
    if known and name.followed_by(_TITLE):
        return 0.85, "title"
    if known and not name.rest and (name.followed_by(_NEIGHBOUR) or _follows_number(name)):
        return 0.8, "neighbour"
    if name.common:
        return 0.7, "given-name"
    return (0.65, "says-name") if name.plausible and _SAYS_NAME.match(name.rest) else None


def _judge_short(name: _Name) -> tuple[float, str] | None:
    """A surname with one syllable looks like any word: only a label, an honorific or a title vouches."""
    if not name.plausible:
        return None
    glued = name.rest[:1] in {"님", "씨"} or (
        not name.rest and re.match(r"[ \t](?:님|씨|귀하)(?![가-힣])", name.reading.text[name.end : name.end + 4])
    )
    if glued:
        return 0.75, "honorific"
    return (0.7, "label") if not name.rest and _label_vouches(name) else None


def _follows_number(name: _Name) -> bool:
    return _NUMBER_BEFORE.search(name.reading.text, max(0, name.start - 12), name.start) is not None


KOREAN_NAMES = Rule(r"[가-힣]{2}", _find_korean_names)
